// Conditional requests by RFC 9110 §13, as a function and on what is served.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeConditions, parseHttpDate } from '../src/conditional.ts';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const now = 'Fri, 02 Jan 2026 03:04:05 GMT';
const before = 'Fri, 02 Jan 2026 03:04:04 GMT';
const judge = (headers: Record<string, string>, method = 'GET') =>
  judgeConditions({ method, headers }, { etag: '"a,b"', modifiedAt: at });

describe('a condition', () => {
  it.each([
    ['nothing asked', {}, 'send'],
    ['the tag', { 'if-none-match': '"a,b"' }, 'not-modified'],
    ['the tag, weak (§13.1.2)', { 'if-none-match': 'W/"a,b"' }, 'not-modified'],
    ['a list with it', { 'if-none-match': '"x", W/"y" ,W/"a,b","z"' }, 'not-modified'],
    ['a list without it', { 'if-none-match': '"x", "a", "b"' }, 'send'],
    ['anything (*)', { 'if-none-match': '*' }, 'not-modified'],
    ['a tag without quotes', { 'if-none-match': 'a,b' }, 'send'],
    ['the date (§13.1.3)', { 'if-modified-since': now }, 'not-modified'],
    ['an earlier date', { 'if-modified-since': before }, 'send'],
    ['a date that is none', { 'if-modified-since': 'yesterday' }, 'send'],
    [
      'another tag and the date: the date is ignored (§13.1.3)',
      { 'if-none-match': '"x"', 'if-modified-since': now },
      'send',
    ],
    ['If-Match with the tag (§13.1.1)', { 'if-match': '"x", "a,b"' }, 'send'],
    ['If-Match with the tag, weak', { 'if-match': 'W/"a,b"' }, 'precondition-failed'],
    ['If-Match with another', { 'if-match': '"x"' }, 'precondition-failed'],
    ['If-Match with anything', { 'if-match': '*' }, 'send'],
    ['unmodified since the date (§13.1.4)', { 'if-unmodified-since': now }, 'send'],
    ['modified since the date', { 'if-unmodified-since': before }, 'precondition-failed'],
    [
      'If-Match true, so the date is ignored (§13.1.4)',
      { 'if-match': '*', 'if-unmodified-since': before },
      'send',
    ],
    [
      'If-Match true, then If-None-Match (§13.2.2)',
      { 'if-match': '"a,b"', 'if-none-match': '"a,b"' },
      'not-modified',
    ],
    [
      'If-Match false, and If-None-Match never asked (§13.2.2)',
      { 'if-match': '"x"', 'if-none-match': '"a,b"' },
      'precondition-failed',
    ],
  ])('%s', (_title, headers, verdict) => {
    expect(judge(headers as Record<string, string>)).toBe(verdict);
    expect(judge(headers as Record<string, string>, 'HEAD')).toBe(verdict);
    expect(judge(headers as Record<string, string>, 'POST')).toBe('send');
  });

  it('is judged in time that grows with its length alone', () => {
    expect(judge({ 'if-none-match': `${'"x",'.repeat(4000)}"a,b"` })).toBe('not-modified');
    expect(judge({ 'if-none-match': ' ,'.repeat(8000) })).toBe('send');
  });
});

describe('an HTTP-date (RFC 9110 §5.6.7)', () => {
  it.each([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ])('is read: %s', (text) => {
    expect(parseHttpDate(text)).toBe(784111777);
  });

  it.each([
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 +0100',
    'Sun, 40 Nov 1994 08:49:37 GMT',
    '',
    '0',
  ])('is not: "%s"', (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });
});

describe('what is served', () => {
  let issuingCa: IssuingCa;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
  });
  afterAll(() => issuingCa.close());

  it.each([
    '/crl/issuing-1.crl',
    '/crl/issuing-1-delta.crl',
    '/aia/issuing-1.cer',
    '/v1/trust-bundle',
  ])('comes once: %s', async (path) => {
    const first = await issuingCa.plain('GET', path);
    const { etag = '', 'last-modified': modified = '' } = first.headers;
    expect([first.status, etag, Number.isNaN(Date.parse(modified))]).toEqual([
      200,
      expect.stringMatching(/^"[^"]+"$/),
      false,
    ]);
    for (const headers of [
      { 'if-none-match': `"other", W/${etag}` },
      { 'if-modified-since': modified },
    ] as Record<string, string>[]) {
      const again = await issuingCa.plain('GET', path, { headers });
      expect([again.status, again.bytes.length]).toEqual([304, 0]);
      // §15.4.5: these must be there, others should not.
      expect(again.headers).toMatchObject({
        etag,
        'cache-control': first.headers['cache-control'],
      });
      expect(again.headers).not.toHaveProperty('content-type');
      expect(again.headers).not.toHaveProperty('last-modified');
    }
    const failed = await issuingCa.plain('GET', path, { headers: { 'if-match': '"other"' } });
    expect([failed.status, failed.body.code]).toEqual([412, 'PRECONDITION_FAILED']);
    const head = await issuingCa.plain('HEAD', path);
    expect([head.status, head.bytes.length, head.headers.etag]).toEqual([200, 0, etag]);
    expect(head.headers['content-length']).toBe(String(first.bytes.length));
  });

  it('is the same trust bundle on the API, by its contract', async () => {
    const api = await issuingCa.call('GET', '/v1/trust-bundle');
    const plain = await issuingCa.plain('GET', '/v1/trust-bundle');
    expect(api.headers['content-type']).toContain('application/pem-certificate-chain');
    expect([api.status, api.text]).toEqual([200, plain.text]);
    const { body } = await issuingCa.call('GET', '/openapi.json');
    expect(Object.keys(body.paths['/v1/trust-bundle'].get.responses['200'].content)).toEqual([
      'application/pem-certificate-chain',
    ]);
    expect(createHash('sha256').update(plain.bytes).digest('base64url')).toBe(
      plain.headers.etag?.slice(1, -1),
    );
  });
});
