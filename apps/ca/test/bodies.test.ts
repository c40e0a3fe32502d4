// Every route × every kind of body: nothing but what its row lists is read, and a refusal leaves nothing behind.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { routes, type RouteContract, type RouteName } from '@keyline/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  changedConfig,
  makeCsr,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let token: string;
let device: Identity;
let ids: Record<string, string>;

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  // Nobody's refusals are counted, and here are thousands of them.
  await issuingCa.restart(
    await changedConfig(issuingCa, [
      ['anonymous: { requests: 300,', 'anonymous: { requests: 1000000,'],
      ['device: { requests: 60,', 'device: { requests: 1000000,'],
    ]),
  );
  const made = await issuingCa.call('POST', '/v1/tokens', {
    body: { use: 'api', role: 'admin' },
    as: issuingCa.admin,
  });
  token = made.body.secret as string;
  const enrollment = await issuingCa.call('POST', '/v1/tokens', { body: {}, as: issuingCa.admin });
  const csr = await makeCsr('d1');
  const enrolled = await issuingCa.call('POST', '/v1/enroll', {
    body: { csr: csr.pem, token: enrollment.body.secret },
  });
  device = { cert: enrolled.body.certificate + enrolled.body.chain.join(''), key: csr.key };
  await issuingCa.call('POST', '/v1/batches', {
    body: { id: 'b1', quota: 5 },
    as: issuingCa.admin,
  });
  ids = {
    '/v1/devices/:id': 'd1',
    '/v1/batches/:id': 'b1',
    '/v1/tokens/:id': enrollment.body.token.id as string,
    '/v1/authorities/:id': 'issuing-1',
    '/v1/alerts/:key': 'identity:d1:two-holders',
    ':serial': enrolled.body.serial as string,
    ':name': 'broker',
    '/v1/renewal-info/:id': 'AAAA.AAAA',
  };
});
afterAll(() => issuingCa.close());

/** With the ids of what there is, so that a request that is not refused does something. */
function urlOf({ url }: RouteContract): string {
  let path = url;
  for (const [pattern, id] of Object.entries(ids)) {
    const at = pattern.indexOf(':');
    if (path.includes(pattern)) path = path.replace(pattern, pattern.slice(0, at) + id);
  }
  return path;
}

/** Comes and goes beside what is asked for. */
const passing = /-(wal|shm|journal)$|\.part$|(^|\/)\.[^/]*$/;

async function written(): Promise<{ seq: unknown; files: string[] }> {
  const db = new DatabaseSync(join(issuingCa.data, 'keyline.db'), { readOnly: true });
  const { seq } = db
    // That somebody was refused is written, too.
    .prepare(
      "SELECT max(seq) AS seq FROM ledger WHERE json_extract(data, '$.kind') <> 'call-refused'",
    )
    .get() as { seq: number };
  db.close();
  const files = await readdir(issuingCa.data, { recursive: true });
  return { seq, files: files.filter((name) => !passing.test(name)).toSorted() };
}

const json = 'application/json';
const types = [
  undefined,
  json,
  'application/json; charset=utf-8',
  'APPLICATION/JSON',
  'application/pkcs10',
  'application/x-ndjson',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json-patch+json',
  'application/octet-stream',
  'application/json, text/plain',
  'json',
  ';',
] as const;

const bodies: Readonly<Record<string, string | Buffer>> = {
  empty: '',
  null: 'null',
  array: '[]',
  string: '"text"',
  number: '1e999',
  nested: '['.repeat(30_000) + ']'.repeat(30_000),
  huge: JSON.stringify({ csr: 'x'.repeat(100_000) }),
  'wrong types': JSON.stringify({
    ...{ id: 1, csr: [], token: {}, validity: 1, reason: 7, wait: 'yes', name: null, profile: {} },
    ...{ quota: '5', certificate: 1, root: 1, crl: {}, profiles: 'x', description: 1, use: [] },
  }),
  'a form': 'reason=keyCompromise&wait=true',
  'not UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  'a poisoned prototype': '{"__proto__":{"role":"admin"}}',
  'a poisoned constructor': '{"constructor":{"prototype":{"role":"admin"}}}',
  unfinished: '{"id":"d1"',
};

const listed = (contract: RouteContract, type: string | undefined): boolean =>
  (contract.takes ?? []).some((one) => one === type?.split(';')[0]?.toLowerCase());

/** Of the requests below those that ask for something that the route may do. */
function isLegitimate(contract: RouteContract, type: string | undefined, body: string): boolean {
  if (body !== 'empty') return contract.method === 'GET' && body === '';
  if (contract.body === undefined) return true;
  return contract.bodyOptional === true && (type === undefined || listed(contract, type));
}

describe.each(Object.keys(routes) as RouteName[])('%s', (name) => {
  it.each(['the admin', 'nobody'])(
    'does nothing for a body that its row does not list, from %s (RFC 9110 §15.5.16)',
    async (who) => {
      const contract: RouteContract = routes[name];
      const before = await written();
      for (const type of types) {
        for (const [kind, payload] of Object.entries(bodies)) {
          if (isLegitimate(contract, type, kind)) continue;
          const answer = await issuingCa.service.api.inject({
            method: contract.method,
            url: urlOf(contract),
            headers: {
              'content-length': String(Buffer.byteLength(payload)),
              ...(type === undefined ? {} : { 'content-type': type }),
              ...(who === 'nobody' ? {} : { authorization: `Bearer ${token}` }),
            },
            payload,
          });
          const what = `${name}, ${String(type)}, ${kind}: ${answer.body.slice(0, 300)}`;
          if (type === 'application/x-ndjson' && listed(contract, type) && who === 'the admin') {
            // A stream is answered line by line.
            expect(answer.statusCode, what).toBe(200);
            expect(answer.body, what).not.toMatch(/"status":(2|5)/);
            continue;
          }
          expect(answer.statusCode, what).toBeGreaterThanOrEqual(400);
          expect(answer.statusCode, what).toBeLessThan(500);
          expect(answer.headers['content-type'], what).toContain('application/problem+json');
          if (kind === 'empty' || listed(contract, type)) continue;
          // Those who are not admitted are not told what a route takes.
          const admits: readonly string[] = contract.admits;
          const refusal = who === 'nobody' ? 401 : 403;
          const isAdmitted =
            admits.includes('anyone') || (who !== 'nobody' && admits.includes('admin'));
          expect(answer.statusCode, what).toBe(isAdmitted ? 415 : refusal);
        }
      }
      expect(await written()).toEqual(before);
    },
  );
});

describe('a body', () => {
  it('of a route that takes JSON is refused with another charset or a Content-Encoding (RFC 9110 §8.4, RFC 8259 §8.1)', async () => {
    for (const headers of [
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': json, 'content-encoding': 'gzip' },
    ]) {
      const answer = await issuingCa.call('POST', '/v1/tokens', {
        body: '{}',
        headers,
        as: issuingCa.admin,
      });
      expect([answer.status, answer.body.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    }
  });

  it('of a renewal is held against its row like any other, from the device itself', async () => {
    const before = await written();
    for (const type of types) {
      for (const [kind, body] of Object.entries(bodies)) {
        if (kind === 'empty') continue;
        const answer = await issuingCa.call('POST', '/v1/renew', {
          body,
          headers: type === undefined ? {} : { 'content-type': type },
          as: device,
        });
        const what = `${String(type)}, ${kind}: ${answer.text.slice(0, 300)}`;
        expect(answer.status, what).toBeGreaterThanOrEqual(400);
        expect(answer.status, what).toBeLessThan(500);
      }
    }
    expect(await written()).toEqual(before);
  });

  it('may be left out where the row says so, and is an empty object then', async () => {
    const answer = await issuingCa.call('POST', '/v1/devices/d1/suspend', { as: issuingCa.admin });
    expect([answer.status, answer.body.device.state]).toEqual([200, 'suspended']);
  });

  it('keeps its pattern and limits in a token that is made of it', async () => {
    const body = { idPattern: 'line-*', maxUses: 3 };
    const answer = await issuingCa.call('POST', '/v1/tokens', { body, as: issuingCa.admin });
    expect(answer.body.token).toMatchObject(body);
  });
});

describe('POST /v1/authorities', () => {
  it('leaves no key behind when it is refused, and the files of one that stands as they are', async () => {
    const before = await written();
    for (const body of [
      { id: 'issuing-1', commonName: 'Another' },
      { id: 'root' },
      { id: 'x2', commonName: 'two\nlines' },
      { id: 'x2', algorithm: 'constructor' },
      { id: '../x2' },
    ]) {
      const answer = await issuingCa.call('POST', '/v1/authorities', { body, as: issuingCa.admin });
      expect(answer.status, JSON.stringify(body)).toBeGreaterThanOrEqual(400);
      expect(answer.status, JSON.stringify(body)).toBeLessThan(500);
    }
    expect(await written()).toEqual(before);
  });
});

describe('a page of another origin', () => {
  const revoke = (headers: Record<string, string>) =>
    issuingCa.call('POST', '/v1/devices/d1/resume', { as: issuingCa.admin, headers });

  it.each([
    [{ origin: 'https://evil.example' }],
    [{ origin: 'null' }],
    [{ origin: 'http://127.0.0.1' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
  ] as Record<string, string>[][])('changes nothing: %o', async (headers) => {
    const answer = await revoke(headers);
    expect([answer.status, answer.body.code]).toEqual([403, 'FORBIDDEN']);
  });

  it('is refused also when an attacker lets a name of his own point here', async () => {
    const answer = await issuingCa.service.api.inject({
      method: 'POST',
      url: '/v1/tokens',
      headers: {
        ...{ host: 'evil.example', origin: 'https://evil.example' },
        ...{ authorization: `Bearer ${token}`, 'sec-fetch-site': 'same-origin' },
      },
      payload: {},
    });
    expect([answer.statusCode, answer.json().code]).toEqual([403, 'FORBIDDEN']);
  });

  it('is told apart from a page of this service, and from the address bar', async () => {
    const { port } = issuingCa.service.api.server.address() as { port: number };
    const host = `127.0.0.1:${String(port)}`;
    const own = await revoke({ host, origin: `https://${host}`, 'sec-fetch-site': 'same-origin' });
    expect(own.status).toBe(200);
    const again = await revoke({ 'sec-fetch-site': 'none' });
    expect(again.status).toBe(200);
  });
});

describe('a method that a path does not take', () => {
  it.each([
    ['PUT', '/v1/devices/d1', 'GET, HEAD'],
    ['POST', '/metrics', 'GET, HEAD'],
    ['DELETE', '/v1/enroll', 'POST'],
    ['PATCH', '/healthz', 'GET, HEAD'],
    ['OPTIONS', '/openapi.json', 'GET, HEAD'],
  ])('is answered 405 with Allow: %s %s (RFC 9110 §15.5.6)', async (method, path, allow) => {
    const answer = await issuingCa.call(method, path, { as: issuingCa.admin });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    expect(answer.body.code).toBe('METHOD_NOT_ALLOWED');
  });

  it.each([
    ['PUT', '/ocsp', 'POST'],
    ['DELETE', '/crl/issuing-1.crl', 'GET, HEAD'],
    ['POST', '/aia/issuing-1.cer', 'GET, HEAD'],
    ['PUT', '/ocsp/AAAA', 'GET, HEAD'],
  ])('is answered 405 on the plain listener: %s %s', async (method, path, allow) => {
    const answer = await issuingCa.plain(method, path);
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });
});

describe('the OpenAPI document', () => {
  it('says application/problem+json for errors, and the media types of each body', async () => {
    const { body } = await issuingCa.call('GET', '/openapi.json');
    const { post } = body.paths['/v1/enroll'];
    expect(Object.keys(post.responses.default.content)).toEqual(['application/problem+json']);
    expect(Object.keys(post.requestBody.content)).toEqual([json, 'application/pkcs10']);
  });
});

it('names the members of a body that a route does not have', async () => {
  const { status, body } = await issuingCa.call('POST', '/v1/batches', {
    body: { id: 'b2', quota: 5, quotta: 6, [`x${'y'.repeat(5000)}`]: 1 },
    as: issuingCa.admin,
  });
  expect(status).toBe(400);
  expect(body.detail).toMatch(/^body has no member "quotta", member "xy{59}"\. /);
});

it('names what there is to choose from, once', async () => {
  const { status, body } = await issuingCa.call('GET', '/v1/devices?state=wrong', {
    as: issuingCa.admin,
  });
  expect(status).toBe(400);
  expect(body.detail).toMatch(
    /^querystring: "state" must be one of "registered", "active", "suspended", "revoked", "decommissioned"\. /,
  );
});
