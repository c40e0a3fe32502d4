// What relying parties read, as OpenSSL reads it: CRL, OCSP, AIA; and what anybody may send there.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

const run = promisify(execFile);
let issuingCa: IssuingCa;
const file = (name: string): string => join(issuingCa.folder, name);

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  for (const id of ['good', 'bad']) {
    const csr = await makeCsr(id);
    const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
    const { body } = await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: csr.pem, token: token.body.secret },
    });
    await writeFile(file(`${id}.crt`), body.certificate as string);
  }
  await issuingCa.call('POST', '/v1/devices/bad/revoke', {
    as: issuingCa.admin,
    body: { reason: 'keyCompromise', wait: true },
  });
});
afterAll(() => issuingCa.close());

const origin = (): string =>
  `http://127.0.0.1:${String((issuingCa.service.http.server.address() as AddressInfo).port)}`;

describe.skipIf(!has('openssl'))('OpenSSL', () => {
  it('accepts the good certificate and refuses the revoked one by the CRL', async () => {
    const { bytes, headers } = await issuingCa.plain('GET', '/crl/issuing-1.crl');
    expect(headers['content-type']).toBe('application/pkix-crl');
    await writeFile(file('crl.der'), bytes);
    await run('openssl', [
      'crl',
      '-inform',
      'DER',
      '-in',
      file('crl.der'),
      '-out',
      file('crl.pem'),
    ]);
    const verify = (id: string) =>
      run('openssl', [
        'verify',
        '-x509_strict',
        '-crl_check',
        ...['-CAfile', file('root.crt')],
        ...['-untrusted', file('issuing.crt')],
        ...['-CRLfile', file('crl.pem')],
        file(`${id}.crt`),
      ]);
    expect((await verify('good')).stdout).toContain('good.crt: OK');
    await expect(verify('bad')).rejects.toThrow(/revoked/);
  });

  it('verifies OCSP answers by POST, with CertIDs of every digest and a nonce', async () => {
    const ask = async (id: string, ...more: string[]) =>
      (
        await run('openssl', [
          'ocsp',
          ...['-issuer', file('issuing.crt')],
          ...more,
          ...['-cert', file(`${id}.crt`)],
          ...['-CAfile', file('root.crt')],
          ...['-verify_other', file('issuing.crt')],
          ...['-url', `${origin()}/ocsp`],
        ])
      ).stdout;
    expect(await ask('good')).toContain('good.crt: good');
    for (const digest of ['-sha256', '-sha384', '-sha512']) {
      expect(await ask('good', digest)).toContain('good.crt: good');
    }
    expect(await ask('bad', '-no_nonce')).toMatch(/bad.crt: revoked[\s\S]*keyCompromise/);
  });

  it('gets another answer once a certificate is revoked, also with the ETag of the answer of a moment ago', async () => {
    const request = file('late.req');
    const csr = await makeCsr('late');
    const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
    const { body } = await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: csr.pem, token: token.body.secret },
    });
    await writeFile(file('late.crt'), body.certificate as string);
    await run('openssl', [
      'ocsp',
      ...['-issuer', file('issuing.crt'), '-cert', file('late.crt')],
      ...['-no_nonce', '-reqout', request],
    ]);
    const path = `/ocsp/${encodeURIComponent((await readFile(request)).toString('base64'))}`;
    // Both in one second.
    await new Promise((done) => setTimeout(done, 1010 - (Date.now() % 1000)));
    const good = await issuingCa.plain('GET', path);
    await issuingCa.call('POST', `/v1/certificates/${body.serial}/revoke`, {
      as: issuingCa.admin,
      body: {},
    });
    const revoked = await issuingCa.plain('GET', path, {
      headers: { 'if-none-match': String(good.headers.etag) },
    });
    expect(revoked.status).toBe(200);
    expect(revoked.bytes.equals(good.bytes)).toBe(false);
  });
});

describe('GET /crl', () => {
  it('is cacheable for less than its life, and answers 304', async () => {
    const first = await issuingCa.plain('GET', '/crl/issuing-1.crl');
    expect(first.headers['cache-control']).toBe('public, max-age=60');
    const again = await issuingCa.plain('GET', '/crl/issuing-1.crl', {
      headers: { 'if-none-match': String(first.headers.etag) },
    });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
  });

  it('is 404 for another authority', async () => {
    const answer = await issuingCa.plain('GET', '/crl/issuing-2.crl');
    expect([answer.status, answer.body.code]).toEqual([404, 'NOT_FOUND']);
  });
});

describe('hostile OCSP input', () => {
  const malformed = Buffer.from('30030a0101', 'hex');
  const post = (body: Uint8Array) =>
    issuingCa.plain('POST', '/ocsp', {
      body,
      headers: { 'content-type': 'application/ocsp-request' },
    });

  it('is answered as OCSP with malformedRequest: nothing, one byte, noise', async () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.of(0x30),
      Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 73) % 256)),
    ]) {
      const { status, bytes: answer, headers } = await post(bytes);
      expect([status, headers['content-type'], answer.toString('hex')]).toEqual([
        200,
        'application/ocsp-response',
        malformed.toString('hex'),
      ]);
      expect(headers['cache-control']).toBe('no-store');
    }
    const get = await issuingCa.plain('GET', '/ocsp/%2F%2B/not/base64!!');
    expect(get.bytes.toString('hex')).toBe(malformed.toString('hex'));
  });

  it('is cut off by size, media type and method', async () => {
    expect((await post(Buffer.alloc(20_000))).body.code).toBe('REQUEST_TOO_LARGE');
    const type = await issuingCa.plain('POST', '/ocsp', {
      body: Buffer.of(1),
      headers: { 'content-type': 'text/plain' },
    });
    expect([type.status, type.body.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    const method = await issuingCa.plain('TRACE', '/ocsp');
    expect([404, 405]).toContain(method.status);
  });
});

describe('the API around its routes', () => {
  it('describes itself: OpenAPI 3.1 with every route of the contract, and a page', async () => {
    const { body } = await issuingCa.call('GET', '/openapi.json');
    expect(body.openapi).toBe('3.1.0');
    const { routes } = await import('@keyline/api');
    for (const { url, method } of Object.values(routes)) {
      const path = url.replaceAll(/:(\w+)/g, '{$1}');
      expect(body.paths[path]?.[method.toLowerCase()], `${method} ${path}`).toBeDefined();
    }
    const page = await issuingCa.call('GET', '/docs/');
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  });

  it('answers unknown paths 404 and other methods 405, as problems', async () => {
    const unknown = await issuingCa.call('GET', '/v1/nothing');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'NOT_FOUND']);
    const method = await issuingCa.call('DELETE', '/v1/devices/good', { as: issuingCa.admin });
    expect([method.status, method.body.code]).toEqual([405, 'METHOD_NOT_ALLOWED']);
  });

  it('says what is wrong with a body and changes nothing', async () => {
    for (const [body, type, code] of [
      ['{', 'application/json', 'REQUEST_INVALID'],
      ['[]', 'application/json', 'REQUEST_INVALID'],
      ['{"csr":"x","colour":"red"}', 'application/json', 'REQUEST_INVALID'],
      ['x=1', 'application/x-www-form-urlencoded', 'UNSUPPORTED_MEDIA_TYPE'],
      [JSON.stringify({ csr: 'x'.repeat(100_000) }), 'application/json', 'REQUEST_TOO_LARGE'],
    ] as const) {
      const answer = await issuingCa.call('POST', '/v1/enroll', {
        body,
        headers: { 'content-type': type },
      });
      expect([body.slice(0, 30), answer.body.code]).toEqual([body.slice(0, 30), code]);
    }
    const named = await issuingCa.call('POST', '/v1/enroll', { body: { csr: 'x', colour: 'red' } });
    expect(named.body.detail).toContain('colour');
  });

  it('shows metrics to those who may read the fleet, and health to anybody', async () => {
    const metrics = await issuingCa.call('GET', '/metrics', { as: issuingCa.admin });
    expect(metrics.text).toMatch(/keyline_devices\{state="revoked"\} 1$/m);
    expect(metrics.text).toContain('x509_crl_number{authority="issuing-1"}');
    expect((await issuingCa.call('GET', '/metrics')).status).toBe(401);
    expect((await issuingCa.plain('GET', '/readyz')).body.status).toBe('ok');
  });
});

describe('API tokens', () => {
  it('carry a role, end when revoked, and are made by admins only', async () => {
    const { body } = await issuingCa.call('POST', '/v1/tokens', {
      as: issuingCa.admin,
      body: { use: 'api', role: 'auditor' },
    });
    const headers = { authorization: `Bearer ${body.secret as string}` };
    expect((await issuingCa.call('GET', '/v1/devices', { headers })).status).toBe(200);
    const refused = await issuingCa.call('POST', '/v1/devices/good/revoke', { headers, body: {} });
    expect([refused.status, refused.body.code]).toEqual([403, 'FORBIDDEN']);
    const revoked = await issuingCa.call('DELETE', `/v1/tokens/${body.token.id as string}`, {
      as: issuingCa.admin,
    });
    expect(revoked.body.revokedAt).not.toBeNull();
    const after = await issuingCa.call('GET', '/v1/devices', { headers });
    expect([after.status, after.body.code]).toEqual([401, 'UNAUTHENTICATED']);
  });
});
