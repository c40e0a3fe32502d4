// Requests that Node's parser takes and RFC 9112 does not, and text that no terminal should act on; on real sockets.
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

/** Everything that came until the service closed. */
function say(lines: readonly string[]): Promise<string> {
  const { port } = issuingCa.service.http.server.address() as AddressInfo;
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.write(lines.join('\r\n'));
    });
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(text);
    });
  });
}

const smuggled = ['', 'GET /healthz HTTP/1.1', 'Host: x', '', ''];

describe('a request that could be read in two ways', () => {
  it.each([
    ['two hosts (RFC 9112 §3.2)', ['GET /healthz HTTP/1.1', 'Host: x', 'host: y', '', '']],
    ['no host (RFC 9112 §3.2)', ['GET /healthz HTTP/1.1', 'X: y', '', '']],
    ['HTTP/2.0 in the form of 1.1', ['GET /healthz HTTP/2.0', 'Host: x', '', '']],
    [
      'a transfer coding that is not chunked (RFC 9112 §6.1)',
      ['POST /ocsp HTTP/1.1', 'Host: x', 'Transfer-Encoding: xchunked', ...smuggled],
    ],
    [
      'a length and a transfer coding (RFC 9112 §6.3)',
      [
        'POST /ocsp HTTP/1.1',
        'Host: x',
        'Content-Length: 5',
        'Transfer-Encoding: chunked',
        '',
        '0',
        ...smuggled,
      ],
    ],
    [
      'two lengths (RFC 9112 §6.3)',
      ['POST /ocsp HTTP/1.1', 'Host: x', 'Content-Length: 0', 'Content-Length: 5', '', 'GET /', ''],
    ],
    [
      'two media types',
      [
        'POST /ocsp HTTP/1.1',
        'Host: x',
        'Content-Type: a/b',
        'Content-Type: c/d',
        'Content-Length: 0',
        '',
        '',
      ],
    ],
    ['a blank before the colon (RFC 9112 §5.1)', ['GET /healthz HTTP/1.1', 'Host : x', '', '']],
    ['a folded line (RFC 9112 §5.2)', ['GET /healthz HTTP/1.1', 'Host: x', 'X: a', ' b', '', '']],
  ])('is answered 400, and the connection ends there: %s', async (_title, lines) => {
    const text = await say(lines);
    // Once, or once more for what follows; never what is smuggled behind.
    expect([...new Set(text.match(/HTTP\/1\.1 \d+/g))]).toEqual(['HTTP/1.1 400']);
    expect(text).toContain('"code":"REQUEST_INVALID"');
  });

  it('is told apart from one that has everything once', async () => {
    const text = await say(['GET /healthz HTTP/1.1', 'Host: x', 'Connection: close', '', '']);
    expect(text).toMatch(/^HTTP\/1\.1 200/);
  });
});

describe('a path', () => {
  it.each(['/docs/static/..%2f..%2fpackage.json', '/crl/..%2f..%2fca.json', '/v1/devices/%00'])(
    'that leads elsewhere leads nowhere: %s',
    async (path) => {
      const answer = await issuingCa.call('GET', path, { as: issuingCa.admin });
      expect([400, 404]).toContain(answer.status);
    },
  );
});

describe('text', () => {
  it.each([
    ['/v1/tokens', { description: '\u001b[2J' }],
    ['/v1/tokens', { description: '\ud800' }],
    ['/v1/tokens', { labels: { site: 'a\u0000b' } }],
    ['/v1/batches', { id: 'b', quota: 1, stations: ['a\nb'] }],
  ])('with control characters is not taken: POST %s %o', async (path, body) => {
    const answer = await issuingCa.call('POST', path, { body, as: issuingCa.admin });
    expect([answer.status, answer.body.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('in the letters of any language is taken', async () => {
    const description = 'Werk Süd – 第一工場 🌱';
    const answer = await issuingCa.call('POST', '/v1/tokens', {
      body: { description },
      as: issuingCa.admin,
    });
    expect(answer.body.token.description).toBe(description);
  });
});
