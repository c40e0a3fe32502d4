// A service's life at the API: made by an operator, renewed over mTLS by itself, listed apart from devices, revoked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  makeCsr,
  type Answer,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

const call = (method: string, path: string, body?: object, as = issuingCa.admin): Promise<Answer> =>
  issuingCa.call(method, path, { as, ...(body === undefined ? {} : { body }) });

async function create(
  name: string,
  extra: Record<string, unknown> = {},
): Promise<{ answer: Answer; identity: Identity }> {
  const csr = await makeCsr(name);
  const answer = await call('POST', '/v1/services', {
    ...{ name, role: 'telemetry-reader', csr: csr.pem },
    ...extra,
  });
  const { certificate = '', chain = [] } = answer.body;
  return { answer, identity: { cert: certificate + chain.join(''), key: csr.key } };
}

describe('POST /v1/services', () => {
  it('gives certificate, chain, broker address and the topics of the role', async () => {
    const { answer } = await create('recorder', { labels: { site: 'north' } });
    expect(answer.status).toBe(201);
    expect(answer.body.device).toMatchObject({
      ...{ id: 'recorder', kind: 'service', role: 'telemetry-reader', state: 'active' },
      labels: { site: 'north' },
    });
    expect(answer.body.broker.topics).toMatchObject({ publish: [] });
    expect(answer.body.broker.topics.subscribe).toContain('devices/+/telemetry');
  });

  it('is refused to what is no administrator or operator, a service itself among them', async () => {
    const { identity } = await create('upstart');
    const csr = await makeCsr('second');
    const body = { name: 'second', role: 'bridge', csr: csr.pem };
    expect((await call('POST', '/v1/services', body, identity)).status).toBe(403);
    expect((await issuingCa.call('POST', '/v1/services', { body })).status).toBe(401);
  });

  it('says which roles there are for services', async () => {
    const { answer } = await create('lost', { role: 'device' });
    expect(answer).toMatchObject({ status: 400, body: { code: 'ROLE_UNKNOWN' } });
    expect(answer.body.detail).toMatch(
      /is for devices.*bridge, commander, configurator, telemetry-reader, worker/,
    );
  });
});

describe('a service', () => {
  it('renews over mTLS with a new key, reads itself and nobody else, and reaches nothing more', async () => {
    const { identity } = await create('dashboard');
    const csr = await makeCsr('dashboard');
    const renewed = await call('POST', '/v1/renew', { csr: csr.pem }, identity);
    expect(renewed.status).toBe(201);
    const now: Identity = {
      cert: renewed.body.certificate + renewed.body.chain.join(''),
      key: csr.key,
    };
    const read = await call('GET', '/v1/devices/dashboard', undefined, now);
    expect(read).toMatchObject({ status: 200, body: { kind: 'service' } });
    expect((await call('GET', '/v1/services/dashboard', undefined, now)).status).toBe(200);
    expect((await call('GET', '/v1/services/recorder', undefined, now)).status).toBe(403);
    expect((await call('GET', '/v1/devices', undefined, now)).status).toBe(403);
    expect((await call('POST', '/v1/devices/recorder/revoke', {}, now)).status).toBe(403);
    // Superseded, and its successor was used.
    expect((await call('GET', '/v1/services/dashboard', undefined, identity)).status).toBe(401);
  });

  it('is among the services and not among the devices', async () => {
    await create('lister');
    const ids = async (path: string) =>
      ((await call('GET', path)).body.items as { id: string }[]).map(({ id }) => id);
    expect(await ids('/v1/services')).toContain('lister');
    expect(await ids('/v1/services?type=service:bridge')).not.toContain('lister');
    expect(await ids('/v1/devices')).not.toContain('lister');
    const { body } = await issuingCa.call('POST', '/v1/tokens', { body: {}, as: issuingCa.admin });
    const device = await makeCsr('d1');
    await issuingCa.call('POST', '/v1/enroll', { body: { csr: device.pem, token: body.secret } });
    expect(await call('GET', '/v1/services/d1')).toMatchObject({
      status: 404,
      body: { detail: 'There is no service "d1". It is the name of a device.' },
    });
  });

  it('that is revoked is refused at once', async () => {
    const { identity } = await create('gone');
    const { body } = await call('POST', '/v1/devices/gone/revoke', { reason: 'keyCompromise' });
    expect(body.device).toMatchObject({ kind: 'service', state: 'revoked' });
    expect((await call('POST', '/v1/renew', {}, identity)).status).toBe(401);
  });

  it('whose certificate was asked for by name alone does not come to renew by that', async () => {
    const csr = await makeCsr('tool@works');
    const issued = await call('POST', '/v1/certificates', {
      ...{ profile: 'service-client', name: 'tool@works', csr: csr.pem },
    });
    const identity = { cert: issued.body.certificate + issued.body.chain.join(''), key: csr.key };
    expect((await call('POST', '/v1/renew', {}, identity)).status).toBe(403);
  });
});

describe('GET /v1/certificates', () => {
  it('lists what was issued by name and to services, until it is revoked', async () => {
    const csr = await makeCsr('mqtt@server');
    const issued = await call('POST', '/v1/certificates', {
      ...{ profile: 'broker-server', name: 'mqtt@server', csr: csr.pem },
      ...{ dnsNames: ['mqtt.example.org'], ipAddresses: ['192.0.2.7'] },
    });
    expect(issued.status).toBe(201);
    await create('watched');
    const owners = async (query = '') =>
      ((await call('GET', `/v1/certificates${query}`)).body.items as { owner: string }[]).map(
        ({ owner }) => owner,
      );
    expect(await owners()).toEqual(
      expect.arrayContaining(['mqtt@server', 'watched', 'api@keyline']),
    );
    expect(await owners('?kind=service&q=wat')).toEqual(['watched']);
    expect((await call('GET', '/v1/certificates?kind=device')).status).toBe(400);
    expect((await call('GET', '/v1/certificates?cursor=x')).status).toBe(400);
    await call('POST', `/v1/certificates/${String(issued.body.serial)}/revoke`, {});
    expect(await owners('?q=mqtt')).toEqual([]);
  });
});
