// Who may revoke whose certificate: every role against every kind.
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Identity, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let identities: Record<string, Identity | { token: string }>;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  identities = {
    admin: issuingCa.admin,
    operator: await certified('operator', 'olga@works'),
    station: await certified('station', 'st1@works'),
    device: await enrolled('caller-1'),
    'admin token': await tokenOf('admin'),
    'operator token': await tokenOf('operator'),
    'station token': await tokenOf('station'),
    'auditor token': await tokenOf('auditor'),
    nobody: { token: 'kla_nobody' },
  };
});
afterAll(() => issuingCa.close());

async function certified(profile: string, name: string): Promise<Identity & { serial: string }> {
  const { pem, key } = await makeCsr(name);
  const { status, body } = await issuingCa.call('POST', '/v1/certificates', {
    as: issuingCa.admin,
    body: {
      profile,
      name,
      csr: pem,
      ...(profile === 'broker-server' ? { dnsNames: ['broker.example.com'] } : {}),
    },
  });
  expect(status).toBe(201);
  return { cert: body.certificate as string, key, serial: body.serial as string };
}

async function enrolled(id: string): Promise<Identity & { serial: string }> {
  const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
  const { pem, key } = await makeCsr(id);
  const { body } = await issuingCa.call('POST', '/v1/enroll', {
    body: { csr: pem, token: token.body.secret },
  });
  return { cert: body.certificate as string, key, serial: body.serial as string };
}

async function tokenOf(role: string): Promise<{ token: string }> {
  const { body } = await issuingCa.call('POST', '/v1/tokens', {
    as: issuingCa.admin,
    body: { use: 'api', role },
  });
  return { token: body.secret as string };
}

/** A fresh certificate of a kind; Keyline's own are the ones it runs on. */
const kinds: Record<string, (n: number) => Promise<string>> = {
  device: async (n) => (await enrolled(`dev-${String(n)}`)).serial,
  service: async (n) => (await certified('service-client', `svc${String(n)}@works`)).serial,
  station: async (n) => (await certified('station', `st${String(n)}@line`)).serial,
  operator: async (n) => (await certified('operator', `op${String(n)}@works`)).serial,
  admin: async (n) => (await certified('admin', `adm${String(n)}@works`)).serial,
  'broker server': async (n) => (await certified('broker-server', `b${String(n)}@works`)).serial,
  'broker@keyline': async () => (await certified('broker-server', 'broker@keyline')).serial,
  'keyline@service': () => ownSerial('keyline@service'),
  'api@keyline': () => ownSerial('api@keyline'),
  'ocsp.issuing-1@keyline': () => ownSerial('ocsp.issuing-1@keyline'),
};

/** From the database itself: the service tells nobody of its own certificates. */
function ownSerial(owner: string): Promise<string> {
  const db = new DatabaseSync(`${issuingCa.data}/keyline.db`, { readOnly: true });
  const row = db
    .prepare(
      'SELECT lower(hex(serial)) AS serial FROM certificates WHERE owner = ? ORDER BY rowid DESC LIMIT 1',
    )
    .get(owner);
  db.close();
  return Promise.resolve(String(row?.['serial']));
}

const operators = ['operator', 'operator token'];
const forOperators = ['device', 'service', 'station'];
function expected(role: string, kind: string): number {
  if (role === 'nobody') return 401;
  if (role === 'admin' || role === 'admin token') return 200;
  return operators.includes(role) && forOperators.includes(kind) ? 200 : 403;
}

const roles = [
  'nobody',
  'auditor token',
  'device',
  'station',
  'station token',
  'operator',
  'operator token',
  'admin token',
  'admin',
];
let count = 0;

describe.each(Object.keys(kinds))('a certificate of the kind %s', (kind) => {
  it.each(roles)('is revoked, or not, by: %s', async (role) => {
    const serial = await kinds[kind]!(++count);
    const who = identities[role]!;
    const answer = await issuingCa.call('POST', `/v1/certificates/${serial}/revoke`, {
      body: {},
      ...('token' in who ? { headers: { authorization: `Bearer ${who.token}` } } : { as: who }),
    });
    expect(answer.status).toBe(expected(role, kind));
    const { body } = await issuingCa.call('GET', `/v1/certificates/${serial}`, {
      as: issuingCa.admin,
    });
    expect(body.state).toBe(expected(role, kind) === 200 ? 'revoked' : 'active');
  });
});

describe("a certificate under one of the service's own names", () => {
  it.each(['keyline@service', 'api@keyline', 'ocsp.issuing-1@keyline'])(
    'is issued to nobody, by nobody: %s',
    async (name) => {
      const { pem } = await makeCsr(name);
      const answer = await issuingCa.call('POST', '/v1/certificates', {
        as: issuingCa.admin,
        body: { profile: 'service-client', name, csr: pem },
      });
      expect(answer.body.code).toBe('PROFILE_VIOLATION');
    },
  );
});

describe("the service's own certificates", () => {
  it.each(['api@keyline', 'keyline@service', 'ocsp.issuing-1@keyline'])(
    'are replaced at once when one is revoked: %s',
    async (name) => {
      const before = await ownSerial(name);
      await issuingCa.call('POST', `/v1/certificates/${before}/revoke`, {
        as: issuingCa.admin,
        body: { reason: 'keyCompromise' },
      });
      await expect.poll(() => ownSerial(name)).not.toBe(before);
      expect((await issuingCa.call('GET', '/v1/whoami', { as: issuingCa.admin })).status).toBe(200);
    },
  );
});
