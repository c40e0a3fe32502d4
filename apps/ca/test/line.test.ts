// The line at the API: batches, single and bulk signing, stations, quota, rework.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Identity, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let station: Identity;
let stranger: Identity;

async function issueStation(name: string): Promise<Identity> {
  const csr = await makeCsr(name);
  const { status, body } = await issuingCa.call('POST', '/v1/certificates', {
    as: issuingCa.admin,
    body: { profile: 'station', name, csr: csr.pem },
  });
  expect(status).toBe(201);
  return { cert: body.certificate + body.chain.join(''), key: csr.key };
}

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  station = await issueStation('s1@line');
  stranger = await issueStation('s2@line');
});
afterAll(() => issuingCa.close());

async function openBatch(id: string, more: Record<string, unknown> = {}): Promise<void> {
  const { status } = await issuingCa.call('POST', '/v1/batches', {
    as: issuingCa.admin,
    body: { id, quota: 3, idPattern: `${id}-*`, stations: ['s1@line'], ...more },
  });
  expect(status).toBe(201);
}

async function signBulk(
  batch: string,
  units: readonly unknown[],
): Promise<{ id: string; status: number; certificate?: string; error?: { code: string } }[]> {
  const { status, text } = await issuingCa.call('POST', `/v1/batches/${batch}/sign`, {
    as: station,
    body: units.map((unit) => (typeof unit === 'string' ? unit : JSON.stringify(unit))).join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  });
  expect(status).toBe(200);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('POST /v1/batches/{id}/sign', () => {
  it('signs a unit, and the same unit again with the same certificate and no quota', async () => {
    await openBatch('one');
    const csr = await makeCsr('one-1');
    const sign = () =>
      issuingCa.call('POST', '/v1/batches/one/sign', { as: station, body: { csr: csr.pem } });
    const [first, again] = [await sign(), await sign()];
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body.certificate).toBe(first.body.certificate);
    const batch = await issuingCa.call('GET', '/v1/batches/one', { as: station });
    expect(batch.body.issued).toBe(1);
  });

  it('streams NDJSON, in order, with a line for each refusal, and never beyond the quota', async () => {
    await openBatch('bulk');
    const csrs = await Promise.all([1, 2, 3, 4].map((n) => makeCsr(`bulk-${String(n)}`)));
    const lines = await signBulk('bulk', [
      ...csrs.map(({ pem }, n) => ({ id: `bulk-${String(n + 1)}`, csr: pem })),
      'not json',
      { id: 'other-1', csr: (await makeCsr('other-1')).pem },
    ]);
    expect(
      lines
        .slice(0, 4)
        .map(({ status }) => status)
        .toSorted(),
    ).toEqual([201, 201, 201, 409]);
    expect(lines.filter(({ error }) => error?.code === 'BATCH_QUOTA_EXHAUSTED')).toHaveLength(1);
    expect(lines[4]?.error?.code).toBe('REQUEST_INVALID');
    expect(lines[5]?.error?.code).toBe('BATCH_PATTERN_MISMATCH');
    const again = await signBulk(
      'bulk',
      csrs.map(({ pem }) => ({ csr: pem })),
    );
    expect(again.filter(({ status }) => status === 200)).toHaveLength(3);
    const batch = await issuingCa.call('GET', '/v1/batches/bulk', { as: issuingCa.admin });
    expect(batch.body.issued).toBe(3);
  });

  it('refuses a second key for a unit unless the batch allows rework', async () => {
    await openBatch('strict');
    await openBatch('rework', { rework: true });
    for (const [batch, code] of [
      ['strict', 'BATCH_KEY_DIFFERS'],
      ['rework', undefined],
    ] as const) {
      const sign = async () =>
        issuingCa.call('POST', `/v1/batches/${batch}/sign`, {
          as: station,
          body: { csr: (await makeCsr(`${batch}-1`)).pem },
        });
      await sign();
      const second = await sign();
      expect(second.body.code).toBe(code);
    }
    const device = await issuingCa.call('GET', '/v1/devices/rework-1/history', {
      as: issuingCa.admin,
    });
    expect(device.body.certificates.map((one: { state: string }) => one.state)).toEqual([
      'active',
      'revoked',
    ]);
  });

  it('is for the stations of the batch, and for nobody once it is closed', async () => {
    await openBatch('mine');
    const { pem } = await makeCsr('mine-1');
    const other = await issuingCa.call('POST', '/v1/batches/mine/sign', {
      as: stranger,
      body: { csr: pem },
    });
    expect([other.status, other.body.code]).toEqual([403, 'BATCH_STATION_NOT_ALLOWED']);
    await issuingCa.call('POST', '/v1/batches/mine/close', { as: issuingCa.admin });
    const closed = await issuingCa.call('POST', '/v1/batches/mine/sign', {
      as: station,
      body: { csr: pem },
    });
    expect([closed.status, closed.body.code]).toEqual([409, 'BATCH_CLOSED']);
  });

  it('gives a station nothing beyond the line', async () => {
    for (const path of ['/v1/devices', '/v1/tokens', '/v1/alerts', '/metrics']) {
      const answer = await issuingCa.call('GET', path, { as: station });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'FORBIDDEN']);
    }
  });
});

/** A stream of units that stays open: lines in, lines out. */
function openStream(batch: string, as: Identity) {
  const sent = httpsRequest({
    host: '127.0.0.1',
    port: (issuingCa.service.api.server.address() as AddressInfo).port,
    method: 'POST',
    path: `/v1/batches/${batch}/sign`,
    headers: { 'content-type': 'application/x-ndjson' },
    ca: issuingCa.trust,
    agent: false,
    ...as,
  });
  sent.on('error', () => undefined);
  const lines = once(sent, 'response').then(([response]) =>
    createInterface({ input: response as NodeJS.ReadableStream })[Symbol.asyncIterator](),
  );
  return {
    send: (unit: unknown) =>
      sent.write(typeof unit === 'string' ? unit : `${JSON.stringify(unit)}\n`),
    async next(): Promise<{ status: number; error?: { code: string } }> {
      return JSON.parse((await (await lines).next()).value as string);
    },
    close: () => sent.destroy(),
  };
}

describe('a stream that stays open', () => {
  it('answers each unit as it comes, not only when there are many', async () => {
    await openBatch('paced');
    const stream = openStream('paced', station);
    for (const id of ['paced-1', 'paced-2']) {
      stream.send({ id, csr: (await makeCsr(id)).pem });
      expect((await stream.next()).status).toBe(201);
    }
    stream.close();
  });

  it('signs nothing more once the station was revoked', async () => {
    await openBatch('long', { stations: [] });
    const gone = await issueStation('gone@line');
    const stream = openStream('long', gone);
    stream.send({ id: 'long-1', csr: (await makeCsr('long-1')).pem });
    expect((await stream.next()).status).toBe(201);
    const found = await issuingCa.call('GET', '/v1/whoami', { as: gone });
    expect(found.status).toBe(200);
    const [leaf] = gone.cert.match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? [];
    const serial = new X509Certificate(leaf ?? '').serialNumber.toLowerCase();
    await issuingCa.call('POST', `/v1/certificates/${serial}/revoke`, {
      as: issuingCa.admin,
      body: {},
    });
    stream.send({ id: 'long-2', csr: (await makeCsr('long-2')).pem });
    expect(await stream.next()).toMatchObject({ error: { code: 'CERTIFICATE_NOT_ACCEPTED' } });
    stream.close();
  });

  it('tells of a line that is too long before it ends', async () => {
    await openBatch('wide');
    const stream = openStream('wide', station);
    stream.send('x'.repeat(40_000));
    expect(await stream.next()).toMatchObject({ error: { code: 'REQUEST_TOO_LARGE' } });
    stream.close();
  });
});

describe('a request whose body comes late', () => {
  it('is refused when its caller was revoked in between', async () => {
    const token = await issuingCa.call('POST', '/v1/tokens', {
      as: issuingCa.admin,
      body: { use: 'api', role: 'admin' },
    });
    const body = JSON.stringify({ description: 'late' });
    const sent = httpsRequest({
      host: '127.0.0.1',
      port: (issuingCa.service.api.server.address() as AddressInfo).port,
      method: 'POST',
      path: '/v1/tokens',
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        authorization: `Bearer ${token.body.secret}`,
      },
      ca: issuingCa.trust,
      agent: false,
    });
    sent.write(body.slice(0, 5));
    // Until it was admitted.
    await new Promise((done) => setTimeout(done, 200));
    await issuingCa.call('DELETE', `/v1/tokens/${token.body.token.id}`, { as: issuingCa.admin });
    sent.end(body.slice(5));
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(401);
    response.resume();
  });
});
