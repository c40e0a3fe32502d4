// Job 1, sign on the manufacturing line: batches, their quota, repeats, rework, and streams of units.
import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import type { RestClient } from '../support/rest-client.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
let station: RestClient;

interface Unit {
  readonly id: string;
  readonly csr: string;
}
interface Line {
  readonly id: string | null;
  readonly status: number;
  readonly serial: string;
  readonly certificate: string;
  readonly error?: { readonly code: string };
}

beforeAll(async () => {
  const identity = await suite.fleet.issueIdentity({ profile: 'station', name: 'st1@line' });
  station = suite.keyline.as(identity);
});

async function openBatch(id: string, request: object): Promise<void> {
  expectStatus(await suite.fleet.admin.post('/v1/batches', { id, ...request }), 201);
}

function createUnits(prefix: string, count: number): Promise<Unit[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const id = `${prefix}-${String(n).padStart(4, '0')}`;
      return { id, csr: await createDeviceKey().csr(id) };
    }),
  );
}

async function sign(batch: string, units: readonly (Unit | string)[]): Promise<Line[]> {
  const body = units
    .map((unit) => `${typeof unit === 'string' ? unit : JSON.stringify(unit)}\n`)
    .join('');
  const headers = { 'content-type': 'application/x-ndjson' };
  const answer = await station.send('POST', `/v1/batches/${batch}/sign`, { body, headers });
  expectStatus(answer, 200);
  expect(answer.headers['content-type']).toContain('application/x-ndjson');
  return answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

async function issuedOf(batch: string): Promise<number> {
  const { body } = expectStatus(await station.get(`/v1/batches/${batch}`), 200);
  return body.issued;
}

describe('a batch of fifty', () => {
  it('is signed in one stream, answers in order; sent again it is the same, and the quota holds', async () => {
    const { fleet } = suite;
    await openBatch('wo-1', { quota: 50, type: 'sensor', idPattern: 'u1-*' });
    const units = await createUnits('u1', 50);
    const first = await sign('wo-1', units);
    expect(first.map(({ id }) => id)).toEqual(units.map(({ id }) => id));
    expect(new Set(first.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(first.map(({ serial }) => serial)).size).toBe(50);
    for (const { id, certificate, serial } of first) {
      const { subject, serialNumber } = new X509Certificate(certificate);
      expect([subject, serialNumber.toLowerCase()]).toEqual([`CN=${String(id)}`, serial]);
    }

    const entries = fleet.countEntries();
    const again = await sign('wo-1', units);
    expect(again.map(({ status }) => status)).toEqual(units.map(() => 200));
    expect(again.map(({ certificate }) => certificate)).toEqual(
      first.map(({ certificate }) => certificate),
    );
    expect(fleet.countEntries()).toBe(entries);
    expect(await issuedOf('wo-1')).toBe(50);

    const [extra] = await createUnits('u1-x', 1);
    const answer = await station.post('/v1/batches/wo-1/sign', extra);
    expectRefusal(answer, 'BATCH_QUOTA_EXHAUSTED');
    expectStatus(await fleet.admin.get(`/v1/devices/${extra?.id ?? ''}`), 404);
    const list = await fleet.admin.get('/v1/devices?batch=wo-1&limit=1000');
    expect(list.body.items).toHaveLength(50);
  });

  it('sent by two stations at once is signed once, and the quota is not overrun by either', async () => {
    await openBatch('wo-2', { quota: 50 });
    const units = await createUnits('u2', 60);
    const [left, right] = await Promise.all([
      sign('wo-2', units),
      sign('wo-2', units.toReversed()),
    ]);
    const signed = new Map<string, Set<string>>();
    for (const { id, serial, status } of [...left, ...right]) {
      if (status >= 300) continue;
      signed.set(id ?? '', (signed.get(id ?? '') ?? new Set()).add(serial));
    }
    expect(signed.size).toBe(50);
    for (const serials of signed.values()) expect(serials.size).toBe(1);
    expect(await issuedOf('wo-2')).toBe(50);
  });
});

describe('a stream', () => {
  it('goes on after a line that is refused, and says for each why', async () => {
    await openBatch('wo-3', { quota: 10, idPattern: 'u3-*' });
    const [good, other] = await createUnits('u3', 2);
    const [stranger] = await createUnits('x', 1);
    const forged = { id: 'u3-9', csr: other?.csr ?? '' };
    const lines = await sign('wo-3', [
      good!,
      '{"id":"u3-5","csr":',
      '{"id":"u3-6"}',
      {
        id: 'u3-7',
        csr: '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
      },
      forged,
      stranger!,
      other!,
    ]);
    expect(lines.map(({ status, error }) => error?.code ?? status)).toEqual([
      201,
      'REQUEST_INVALID',
      'REQUEST_INVALID',
      'CSR_MALFORMED',
      'CSR_SUBJECT_MISMATCH',
      'BATCH_PATTERN_MISMATCH',
      201,
    ]);
    expect(await issuedOf('wo-3')).toBe(2);
  });

  it('ends with a refusal at a line that is too long', async () => {
    await openBatch('wo-4', { quota: 10 });
    const [unit] = await createUnits('u4', 1);
    const lines = await sign('wo-4', [unit!, `{"id":"u4-x","csr":"${'A'.repeat(40_000)}"}`]);
    expect(lines.map(({ status, error }) => error?.code ?? status)).toEqual([
      201,
      'REQUEST_TOO_LARGE',
    ]);
  });
});

describe('a unit that comes again with another key', () => {
  it('is refused unless the batch allows rework', async () => {
    await openBatch('wo-5', { quota: 5 });
    const id = 'u5-1';
    const send = async () =>
      station.post('/v1/batches/wo-5/sign', { id, csr: await createDeviceKey().csr(id) });
    expectStatus(await send(), 201);
    expectRefusal(await send(), 'BATCH_KEY_DIFFERS');
  });

  it('is signed anew with rework: the old certificate is revoked, no quota is taken, the device stays one', async () => {
    const { fleet } = suite;
    await openBatch('wo-6', { quota: 1, rework: true });
    const id = 'u6-1';
    const keys = [createDeviceKey(), createDeviceKey()];
    const answers = [];
    for (const key of keys) {
      const request = { id, csr: await key.csr(id) };
      answers.push(expectStatus(await station.post('/v1/batches/wo-6/sign', request), 201).body);
    }
    const [old, current] = answers;
    const { body } = await fleet.admin.get(`/v1/certificates/${old.serial}`);
    expect(body).toMatchObject({ state: 'revoked', reason: 'superseded' });
    expect((await fleet.admin.get(`/v1/devices/${id}`)).body.serial).toBe(current.serial);
    expect(await issuedOf('wo-6')).toBe(1);
    const identities = answers.map((answer, n) => ({
      id,
      certificate: [answer.certificate, ...answer.chain].join(''),
      key: keys[n]!.keyPem,
    }));
    await expect
      .poll(async () => [
        (await fleet.whyRefused(identities[0]!)) === undefined,
        (await fleet.whyRefused(identities[1]!)) === undefined,
      ])
      .toEqual([false, true]);
  });
});

describe('a batch', () => {
  it('is signed only by the stations it names', async () => {
    await openBatch('wo-7', { quota: 5, stations: ['st2@line'] });
    const [unit] = await createUnits('u7', 1);
    const answer = await station.post('/v1/batches/wo-7/sign', unit);
    expectRefusal(answer, 'BATCH_STATION_NOT_ALLOWED');
  });

  it('is signed no more once it is closed', async () => {
    await openBatch('wo-8', { quota: 5 });
    expectStatus(await suite.fleet.admin.post('/v1/batches/wo-8/close', {}), 200);
    const [unit] = await createUnits('u8', 1);
    expectRefusal(await station.post('/v1/batches/wo-8/sign', unit), 'BATCH_CLOSED');
    expectRefusal(await station.post('/v1/batches/wo-nil/sign', unit), 'BATCH_NOT_FOUND');
  });

  it('is not opened by a station, and not twice by anybody', async () => {
    await openBatch('wo-9', { quota: 1 });
    const { admin } = suite.fleet;
    expectRefusal(await admin.post('/v1/batches', { id: 'wo-9', quota: 2 }), 'BATCH_EXISTS');
    expectRefusal(await station.post('/v1/batches', { id: 'wo-10', quota: 2 }), 'FORBIDDEN');
  });

  it('gives a device that connects to the broker', async () => {
    const { fleet } = suite;
    await openBatch('wo-11', { quota: 1 });
    const key = createDeviceKey();
    const request = { id: 'u11-1', csr: await key.csr('u11-1') };
    const { body } = expectStatus(await station.post('/v1/batches/wo-11/sign', request), 201);
    const certificate = [body.certificate, ...body.chain].join('');
    const unit = { id: 'u11-1', certificate, key: key.keyPem };
    await expect.poll(() => fleet.whyRefused(unit), { timeout: 5000 }).toBeUndefined();
  });
});
