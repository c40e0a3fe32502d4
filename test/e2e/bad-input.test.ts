// Everything that must be refused: each a problem document with a stable code, and nothing written.
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { has } from '../support/needs.ts';
import { openssl } from '../support/openssl.ts';
import type { RestClient } from '../support/rest-client.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const json = { 'content-type': 'application/json' };

let token: string;
let device: EnrolledDevice;
let asDevice: RestClient;
let entriesBefore: number;
let devicesBefore: unknown;

const listDevices = (): Promise<unknown[]> => suite.fleet.listDevices();

beforeAll(async () => {
  const { fleet, keyline } = suite;
  token = await fleet.createToken({ maxUses: 1000, expiresIn: 'PT1H' });
  device = await fleet.enroll('witness', { token });
  asDevice = keyline.as(device);
});

// The requests of a test may need preparation that is written; `mark` is called after it.
async function mark(): Promise<void> {
  entriesBefore = suite.fleet.countEntries();
  devicesBefore = await listDevices();
}
beforeEach(mark);
afterEach(async () => {
  expect(suite.fleet.countEntries(), 'entries of the ledger').toBe(entriesBefore);
  expect(await listDevices(), 'devices').toEqual(devicesBefore);
});

function enroll(csr: string, more: object = {}) {
  return suite.fleet.anyone.post('/v1/enroll', { id: 'bad-1', csr, token, ...more });
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

function derOf(csrPem: string): Buffer {
  return Buffer.from(csrPem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
}

describe('a CSR', () => {
  it.each([
    ['that is no PEM', 'hello', 'CSR_MALFORMED'],
    ['of noise', pem(createHash('sha512').update('noise').digest()), 'CSR_MALFORMED'],
    ['of nothing', pem(new Uint8Array()), 'CSR_MALFORMED'],
    ['of one byte', pem(Uint8Array.of(0x30)), 'CSR_MALFORMED'],
    [
      'of a length without end',
      pem(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff)),
      'CSR_MALFORMED',
    ],
    ['nested a thousand deep', pem(Buffer.from('3080'.repeat(1000), 'hex')), 'CSR_MALFORMED'],
    [
      'that is a certificate’s PEM',
      '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
      'CSR_MALFORMED',
    ],
    ['of 20 KB', pem(Buffer.alloc(14_000, 0x30)), 'CSR_TOO_LARGE'],
    ['above the limit of the configuration', pem(Buffer.alloc(20_000, 0x30)), 'CSR_TOO_LARGE'],
    ['in a body of 100 KB', pem(Buffer.alloc(80_000)), 'REQUEST_TOO_LARGE'],
  ])('%s is refused', async (_, csr, code) => {
    expectRefusal(await enroll(csr), code);
  });

  it('that was cut off, anywhere, is refused', async () => {
    const whole = derOf(await createDeviceKey().csr('bad-1'));
    for (let length = 10; length < whole.length; length += 40) {
      expectRefusal(await enroll(pem(whole.subarray(0, length))), 'CSR_MALFORMED');
    }
  });

  it('whose signature is not of its key is refused: there is no proof of possession', async () => {
    const whole = derOf(await createDeviceKey().csr('bad-1'));
    // The last byte belongs to the signature; one of the name belongs to what was signed.
    for (const position of [whole.length - 1, whole.indexOf('bad-1') + 4]) {
      const forged = Buffer.from(whole);
      forged[position]! ^= 1;
      const answer = await enroll(
        pem(forged),
        position === whole.length - 1 ? {} : { id: undefined },
      );
      expectRefusal(answer, 'CSR_SIGNATURE_INVALID');
    }
  });

  it.skipIf(!has('openssl')).each([
    ['a 1024-bit RSA key', ['-newkey', 'rsa:1024'], 'CSR_KEY_WEAK'],
    ['a SHA-1 signature', ['-newkey', 'rsa:2048', '-sha1'], 'CSR_ALGORITHM_NOT_ALLOWED'],
    ['an MD5 signature', ['-newkey', 'rsa:2048', '-md5'], 'CSR_ALGORITHM_NOT_ALLOWED'],
    [
      'a P-224 key',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-224'],
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'a key on Bitcoin’s curve',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    ['an Ed448 key', ['-newkey', 'ed448'], 'CSR_ALGORITHM_NOT_ALLOWED'],
  ])('with %s is refused', async (_, options, code) => {
    const csr = await openssl([
      ...['req', '-new', '-nodes', '-subj', '/CN=bad-1', '-keyout', '/dev/null', ...options],
    ]);
    expectRefusal(await enroll(csr.slice(csr.indexOf('-----BEGIN'))), code);
  });

  it('for another name than the request is refused', async () => {
    expectRefusal(await enroll(await createDeviceKey().csr('other')), 'CSR_SUBJECT_MISMATCH');
  });

  it('that was seen before is of no use to somebody else', async () => {
    const csr = await device.deviceKey.csr('witness');
    const other = await suite.fleet.createToken();
    await mark();
    const replay = { id: 'witness', csr, token: other };
    expectRefusal(await suite.fleet.anyone.post('/v1/enroll', replay), 'DEVICE_EXISTS');
    expectRefusal(await enroll(await device.deviceKey.csr('bad-1')), 'CSR_KEY_IN_USE');
  });

  it('with the key of a service is refused', async () => {
    const key = createDeviceKey();
    const request = { profile: 'station', name: 'st@line', csr: await key.csr('st@line') };
    expectStatus(await suite.fleet.admin.post('/v1/certificates', request), 201);
    await mark();
    expectRefusal(await enroll(await key.csr('bad-1')), 'CSR_KEY_IN_USE');
  });
});

describe('an enrollment', () => {
  it.each([
    ['no token', undefined, 'TOKEN_INVALID'],
    ['a token that nobody made', 'kle_0123456789', 'TOKEN_INVALID'],
    ['an empty token', '', 'REQUEST_INVALID'],
    ['a token of 10 KB', 'x'.repeat(10_000), 'REQUEST_INVALID'],
    ['a token that is a number', 5, 'REQUEST_INVALID'],
  ])('with %s is refused', async (_, wrong, code) => {
    expectRefusal(await enroll(await createDeviceKey().csr('bad-1'), { token: wrong }), code);
  });

  it('with a token that has expired, is used up, was revoked, or is for others is refused', async () => {
    const { fleet } = suite;
    const expired = await fleet.createToken({ expiresIn: 'PT1S' });
    const exhausted = await fleet.createToken();
    await fleet.enroll('used-up', { token: exhausted });
    const pattern = await fleet.createToken({ idPattern: 'good-*' });
    const { body } = await fleet.admin.post('/v1/tokens', {});
    await fleet.admin.send('DELETE', `/v1/tokens/${body.token.id}`);
    const api = await fleet.createToken({ use: 'api', role: 'admin' });
    await sleep(1100);
    await mark();
    for (const [wrong, code] of [
      [expired, 'TOKEN_EXPIRED'],
      [exhausted, 'TOKEN_EXHAUSTED'],
      [pattern, 'TOKEN_PATTERN_MISMATCH'],
      [body.secret, 'TOKEN_INVALID'],
      [api, 'TOKEN_INVALID'],
    ] as const) {
      expectRefusal(await enroll(await createDeviceKey().csr('bad-1'), { token: wrong }), code);
    }
  });

  it.each(['a/b', '../etc', '-x', 'ä', 'a b', '$SYS', 'a+', '#', 'a@b', 'x'.repeat(65), ''])(
    'of a device called %j is refused',
    async (id) => {
      const answer = await enroll(await createDeviceKey().csr('bad-1'), { id });
      expectRefusal(answer, 'REQUEST_INVALID');
    },
  );

  it('of a name that only the CSR gives is refused when it can be no device’s', async () => {
    for (const name of ['a/b', 'keyline@service', '#']) {
      const answer = await enroll(await createDeviceKey().csr(name), { id: undefined });
      expectRefusal(answer, 'DEVICE_ID_INVALID');
    }
  });

  it.each([
    ['P1000D', 'VALIDITY_NOT_ALLOWED'],
    ['PT0S', 'VALIDITY_NOT_ALLOWED'],
    ['tomorrow', 'REQUEST_INVALID'],
  ])('for a validity of %s is refused', async (validity, code) => {
    expectRefusal(await enroll(await createDeviceKey().csr('bad-1'), { validity }), code);
  });
});

describe('a body', () => {
  it.each([
    ['that is not JSON', '{', json, 'REQUEST_INVALID'],
    ['that is an array', '[]', json, 'REQUEST_INVALID'],
    ['with an unknown member', '{"csr":"x","tokn":"y"}', json, 'REQUEST_INVALID'],
    ['with a poisoned prototype', '{"csr":"x","__proto__":{"a":1}}', json, 'REQUEST_INVALID'],
    ['of an unknown media type', '<a/>', { 'content-type': 'text/xml' }, 'UNSUPPORTED_MEDIA_TYPE'],
    ['of no media type', 'x', {}, 'UNSUPPORTED_MEDIA_TYPE'],
  ])('%s is refused', async (_, body, headers, code) => {
    const call = { body, headers: headers as Record<string, string> };
    expectRefusal(await suite.fleet.anyone.send('POST', '/v1/enroll', call), code);
  });
});

describe('a caller', () => {
  const adminOnly = [
    ['POST', '/v1/tokens'],
    ['GET', '/v1/devices'],
    ['GET', '/v1/devices/other'],
    ['GET', '/v1/devices/witness/history'],
    ['POST', '/v1/devices/witness/revoke'],
    ['POST', '/v1/batches'],
    ['POST', '/v1/certificates'],
    ['GET', '/v1/alerts'],
    ['DELETE', '/v1/tokens/tok_0123456789abcdef01234567'],
  ] as const;

  const bodyOf = (method: string) => (method === 'POST' ? { body: '{}', headers: json } : {});

  it.each(adminOnly)('that shows nothing is not told: %s %s', async (method, path) => {
    const answer = await suite.fleet.anyone.send(method, path, bodyOf(method));
    expectRefusal(answer, 'UNAUTHENTICATED');
  });

  it.each(adminOnly)('that is a device may not: %s %s', async (method, path) => {
    expectRefusal(await asDevice.send(method, path, bodyOf(method)), 'FORBIDDEN');
  });

  it('with an API token may do what its role may, and no more', async () => {
    const { fleet } = suite;
    const call = async (role: string, method: string, path: string, body?: object) => {
      const secret = secrets.get(role)!;
      const headers = { authorization: `Bearer ${secret}` };
      return fleet.anyone.send(method, path, { headers, ...(body === undefined ? {} : { body }) });
    };
    const secrets = new Map<string, string>();
    for (const role of ['operator', 'auditor', 'station']) {
      secrets.set(role, await fleet.createToken({ use: 'api', role }));
    }
    const short = await fleet.createToken({ use: 'api', role: 'admin', expiresIn: 'PT1S' });
    await sleep(1100);
    await mark();
    expectStatus(await call('operator', 'GET', '/v1/devices'), 200);
    expectStatus(await call('auditor', 'GET', '/v1/devices'), 200);
    expectStatus(await call('station', 'GET', '/v1/batches'), 200);
    const api = { use: 'api', role: 'admin' };
    for (const refused of [
      await call('operator', 'POST', '/v1/tokens', api),
      await call('operator', 'POST', '/v1/certificates', {
        profile: 'admin',
        name: 'a@b',
        csr: 'x',
      }),
      await call('auditor', 'POST', '/v1/tokens', {}),
      await call('auditor', 'POST', '/v1/devices/witness/revoke', {}),
      await call('station', 'GET', '/v1/devices'),
      await call('station', 'POST', '/v1/batches', { id: 'wo-1', quota: 1 }),
    ]) {
      expectRefusal(refused, 'FORBIDDEN');
    }
    const nobody = [
      `Bearer ${short}`,
      'Bearer kla_wrong',
      'Bearer',
      `Bearer ${token}`,
      'Basic eA==',
    ];
    for (const authorization of nobody) {
      const answer = await fleet.anyone.get('/v1/devices', { headers: { authorization } });
      expectRefusal(answer, 'UNAUTHENTICATED');
    }
  });

  it.skipIf(!has('openssl'))(
    'with a certificate that Keyline did not issue is not accepted',
    async () => {
      const made = await openssl([
        ...[
          'req',
          '-x509',
          '-new',
          '-nodes',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
        ],
        ...['-subj', '/CN=admin@keyline', '-keyout', '-', '-days', '1'],
      ]);
      const stranger = suite.keyline.as({ certificate: made, key: made });
      expectRefusal(await stranger.get('/v1/devices'), 'CERTIFICATE_NOT_ACCEPTED');
      stranger.close();
      const identity = { id: 'admin@keyline', certificate: made, key: made };
      expect(await suite.fleet.whyRefused(identity)).toBeDefined();
    },
  );
});

describe('a route', () => {
  it.each([
    ['GET', '/v1/nothing'],
    ['POST', '/v2/enroll'],
    ['GET', '/v1/devices/witness/certificates'],
    ['GET', '/..%2f..%2fetc/passwd'],
    ['GET', '/docs/..%2f..%2fpackage.json'],
  ])('that is not there is a 404: %s %s', async (method, path) => {
    expectRefusal(await suite.fleet.admin.send(method, path), 'NOT_FOUND');
  });

  it.each([
    ['PUT', '/v1/enroll'],
    ['DELETE', '/v1/devices/witness'],
    ['PATCH', '/v1/devices/witness'],
    ['GET', '/v1/renew'],
    ['TRACE', '/v1/devices'],
    ['QUERY', '/v1/devices'],
    ['PROPFIND', '/v1/devices'],
  ])('that does not take the method says so: %s %s', async (method, path) => {
    const answer = await suite.fleet.admin.send(method, path);
    expectRefusal(answer, 'METHOD_NOT_ALLOWED');
    expect(answer.headers['allow']).toMatch(/GET|POST|DELETE/);
  });

  it.each([
    ['/v1/devices?state=lost', 'REQUEST_INVALID'],
    ['/v1/devices?limit=0', 'REQUEST_INVALID'],
    ['/v1/devices?limit=100000', 'REQUEST_INVALID'],
    ['/v1/devices?cursor=%00', 'REQUEST_INVALID'],
    ['/v1/devices?cursor=bm9wZQ', 'REQUEST_INVALID'],
    ['/v1/devices?unknown=1', 'REQUEST_INVALID'],
    ['/v1/devices?expiresBefore=soon', 'REQUEST_INVALID'],
    ['/v1/devices/a%2fb', 'REQUEST_INVALID'],
    ['/v1/certificates/xyz', 'REQUEST_INVALID'],
    ['/v1/certificates/00112233', 'CERTIFICATE_NOT_FOUND'],
  ])('asked for %s answers %s', async (path, code) => {
    expectRefusal(await suite.fleet.admin.get(path), code);
  });
});

describe('the listeners', () => {
  it('survive noise, half requests and older TLS', async () => {
    const { api, http, broker } = suite.keyline.endpoints;
    for (const url of [api, http, broker]) {
      const { hostname, port } = new URL(url);
      for (const noise of [
        '\0'.repeat(2000),
        'GET / HTTP/1.1\r\nHost: x\r\n',
        'POST /ocsp HTTP/1.1\r\n\r\n',
      ]) {
        await new Promise<void>((resolve) => {
          const socket = connectTcp(Number(port), hostname, () => socket.end(noise));
          socket.on('error', () => undefined).on('close', () => resolve());
          socket.setTimeout(300, () => socket.destroy());
        });
      }
    }
    const { hostname, port } = new URL(api);
    const speak = (version: 'TLSv1.1' | 'TLSv1.2') =>
      new Promise<string>((resolve) => {
        const socket = connectTls({
          ...{ host: hostname, port: Number(port), rejectUnauthorized: false },
          // OpenSSL itself offers nothing this old but at its lowest level.
          ...{ minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' },
        });
        socket.on('secureConnect', () => {
          resolve('connected');
          socket.destroy();
        });
        socket.on('error', (error) => resolve(error.message));
      });
    expect(await speak('TLSv1.1')).toMatch(/protocol version/i);
    // Older Mbed TLS and wolfSSL know no TLS 1.3: they must be able to renew.
    expect(await speak('TLSv1.2')).toBe('connected');
    expectStatus(await suite.fleet.anyone.get('/readyz'), 200);
    expect(await suite.fleet.whyRefused(device)).toBeUndefined();
  });

  it('answer OCSP requests of noise with an OCSP error, not with silence', async () => {
    const { http } = suite.keyline.endpoints;
    for (const body of [new Uint8Array(), Uint8Array.of(0), Buffer.alloc(65_536, 0x30)]) {
      const answer = await fetch(`${http}/ocsp`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/ocsp-request' },
      });
      expect([200, 400, 413]).toContain(answer.status);
      await answer.arrayBuffer();
    }
    const answer = await fetch(`${http}/ocsp/not+base64/==`);
    expect([200, 400, 404]).toContain(answer.status);
  });
});
