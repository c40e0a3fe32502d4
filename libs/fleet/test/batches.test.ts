import { Duration, parseDeviceId } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeDeviceState,
  closeBatch,
  enroll,
  getBatch,
  renew,
  signUnit,
  type Batch,
  type Caller,
  type Enrolled,
} from '../src/index.ts';
import {
  batchOf,
  caller,
  codeOf,
  csrOf,
  kinds,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  written,
  type TestFleet,
} from './test-fleet.ts';

const station = caller('station', 'st1@works');
const u1 = parseDeviceId('u1');
let fleet: TestFleet;
beforeEach(async () => {
  fleet = await openTestFleet();
});
afterEach(() => fleet.close());

const sign = (
  batch: Batch,
  csr: string,
  more: { caller?: Caller; id?: string } = {},
): Promise<Enrolled> => signUnit(fleet, { caller: station, batch, csr, ...more });
const issued = async (id = 'lot-1'): Promise<number> => (await getBatch(fleet, id)).issued;
/** The code of a refusal that must leave nothing behind. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  const before = await written(fleet);
  const code = await codeOf(work());
  expect(await written(fleet)).toEqual(before);
  return code;
}

describe('a batch', () => {
  it('is opened, found, and closed once', async () => {
    const batch = await batchOf(fleet, { labels: { lot: '7' }, stations: ['st1@works'] });
    expect(await getBatch(fleet, 'lot-1')).toEqual(batch);
    expect((await closeBatch(fleet, { caller: operator, id: 'lot-1' })).state).toBe('closed');
    await closeBatch(fleet, { caller: operator, id: 'lot-1' });
    expect(kinds(await fleet.store.listEntriesOf('lot-1', 9))).toEqual([
      'batch-closed',
      'batch-opened',
    ]);
  });

  it('is BATCH_EXISTS the second time, BATCH_NOT_FOUND when there is none', async () => {
    await batchOf(fleet);
    expect(await refusal(() => batchOf(fleet, { quota: 9 }))).toBe('BATCH_EXISTS');
    expect(await codeOf(getBatch(fleet, 'lot-2'))).toBe('BATCH_NOT_FOUND');
    expect(await codeOf(closeBatch(fleet, { caller: operator, id: 'lot-2' }))).toBe(
      'BATCH_NOT_FOUND',
    );
  });

  it('needs a type that is known and a second of life', async () => {
    expect(await refusal(() => batchOf(fleet, { type: 'x' }))).toBe('DEVICE_TYPE_UNKNOWN');
    expect(await refusal(() => batchOf(fleet, { lifetime: 999 }))).toBe('VALIDITY_NOT_ALLOWED');
  });
});

describe('signing a unit', () => {
  it('makes a device of the batch, by its station, and takes one of the quota', async () => {
    const batch = await batchOf(fleet, { type: 'sensor', labels: { lot: '7' } });
    const unit = await sign(batch, await csrOf('u1'));
    expect(unit).toMatchObject({ device: { id: 'u1' }, created: true });
    expect(await fleet.store.findDevice(u1)).toEqual(unit.device);
    expect(unit.device).toMatchObject({
      batch: 'lot-1',
      type: 'sensor',
      labels: { lot: '7' },
      state: 'active',
      serial: unit.certificate.serial,
    });
    expect(await issued()).toBe(1);
    const [entry] = await fleet.store.listEntriesOf('u1', 1);
    expect(entry).toMatchObject({
      actor: 'station:st1@works',
      data: { kind: 'device-enrolled', batch: 'lot-1', station: 'st1@works', role: 'sensor' },
    });
  });

  it('again with the same key gives the same certificate and takes nothing, also when closed or ended', async () => {
    const batch = await batchOf(fleet, { quota: 1 });
    const csr = await csrOf('u1');
    const first = await sign(batch, csr);
    const before = await written(fleet);
    for (let n = 0; n < 3; n++) {
      const again = await sign(batch, csr);
      expect(again).toMatchObject({ created: false });
      expect(again.certificate.serial).toBe(first.certificate.serial);
    }
    expect(await written(fleet)).toEqual(before);
    await closeBatch(fleet, { caller: operator, id: 'lot-1' });
    fleet.clock.advance(Duration.days(2));
    expect((await sign(batch, csr)).created).toBe(false);
  });

  it('is for ids of the pattern: BATCH_PATTERN_MISMATCH', async () => {
    const batch = await batchOf(fleet, { idPattern: 'u-?' });
    expect(await refusal(async () => sign(batch, await csrOf('u-12')))).toBe(
      'BATCH_PATTERN_MISMATCH',
    );
    expect((await sign(batch, await csrOf('u-1'))).created).toBe(true);
  });

  it('is for the stations of the batch, when it names some: BATCH_STATION_NOT_ALLOWED', async () => {
    const batch = await batchOf(fleet, { stations: ['st2@works'] });
    const csr = await csrOf('u1');
    expect(await refusal(() => sign(batch, csr))).toBe('BATCH_STATION_NOT_ALLOWED');
    expect((await sign(batch, csr, { caller: caller('station', 'st2@works') })).created).toBe(true);
    expect((await sign(batch, await csrOf('u2'), { caller: operator })).created).toBe(true);
  });

  it('stops at the quota, at the end, and at the close, also for who read the batch before', async () => {
    const batch = await batchOf(fleet, { quota: 1 });
    await sign(batch, await csrOf('u1'));
    expect(await refusal(async () => sign(batch, await csrOf('u2')))).toBe('BATCH_QUOTA_EXHAUSTED');
    const ended = await batchOf(fleet, { id: 'lot-2', lifetime: 5000 });
    fleet.clock.advance(5000);
    expect(await refusal(async () => sign(ended, await csrOf('u3')))).toBe('BATCH_CLOSED');
    const closed = await batchOf(fleet, { id: 'lot-3' });
    await closeBatch(fleet, { caller: operator, id: 'lot-3' });
    expect(await refusal(async () => sign(closed, await csrOf('u4')))).toBe('BATCH_CLOSED');
  });

  it.each(['st1', '', 'two words@line', 'api@keyline'])(
    'is not opened for a station that can not be: %j',
    async (name) => {
      expect(await refusal(() => batchOf(fleet, { id: 'lot-9', stations: [name] }))).toBe(
        'REQUEST_INVALID',
      );
      expect(await fleet.store.findBatch('lot-9')).toBeUndefined();
    },
  );

  it('refuses a key of another unit, and a CSR for another', async () => {
    const batch = await batchOf(fleet);
    const key = newKey();
    await sign(batch, await csrOf('u1', key));
    const csr = await csrOf('u2', key);
    expect(await refusal(() => sign(batch, csr))).toBe('CSR_KEY_IN_USE');
    // Who may look up any device is told whose key it is; a station is not.
    await expect(sign(batch, csr)).rejects.toMatchObject({
      detail: expect.not.stringContaining('u1'),
    });
    await expect(sign(batch, csr, { caller: operator })).rejects.toMatchObject({
      code: 'CSR_KEY_IN_USE',
      detail: expect.stringContaining('belongs to "u1" already'),
    });
    expect(await refusal(async () => sign(batch, await csrOf('u3'), { id: 'u4' }))).toBe(
      'CSR_SUBJECT_MISMATCH',
    );
    expect(await refusal(() => sign(batch, 'x'))).toBe('CSR_MALFORMED');
  });

  it('is DEVICE_EXISTS for a device of another batch, or one that enrolled by itself', async () => {
    const { tokenHash } = await tokenOf(fleet);
    await enroll(fleet, { csr: await csrOf('u1'), tokenHash });
    const one = await batchOf(fleet, { id: 'lot-1', rework: true });
    const two = await batchOf(fleet, { id: 'lot-2', rework: true });
    await sign(one, await csrOf('u2'));
    expect(await refusal(async () => sign(one, await csrOf('u1')))).toBe('DEVICE_EXISTS');
    expect(await refusal(async () => sign(two, await csrOf('u2')))).toBe('DEVICE_EXISTS');
  });

  it.each(['suspend', 'revoke'] as const)('is DEVICE_STATE_FORBIDS after a %s', async (change) => {
    const batch = await batchOf(fleet, { rework: true });
    const csr = await csrOf('u1');
    await sign(batch, csr);
    await changeDeviceState(fleet, { caller: operator, id: 'u1', change });
    expect(await refusal(() => sign(batch, csr))).toBe('DEVICE_STATE_FORBIDS');
    expect(await refusal(async () => sign(batch, await csrOf('u1')))).toBe('DEVICE_STATE_FORBIDS');
  });
});

describe('a unit that comes with another key', () => {
  it('is BATCH_KEY_DIFFERS when the batch allows no rework', async () => {
    const batch = await batchOf(fleet);
    await sign(batch, await csrOf('u1'));
    expect(await refusal(async () => sign(batch, await csrOf('u1')))).toBe('BATCH_KEY_DIFFERS');
  });

  it('is signed anew in a batch with rework: the old certificates are revoked, the quota stays', async () => {
    const batch = await batchOf(fleet, { rework: true, quota: 1 });
    const first = await sign(batch, await csrOf('u1'));
    const own = { role: 'device', name: 'u1', via: 'certificate' } as const;
    const second = await renew(fleet, {
      caller: { ...own, certificate: first.certificate },
      csr: await csrOf('u1'),
    });
    const third = await sign(batch, await csrOf('u1'));
    expect(third.created).toBe(true);
    for (const { certificate } of [first, second]) {
      expect(await fleet.store.findCertificate(certificate.serial)).toMatchObject({
        state: 'revoked',
        reason: 'superseded',
      });
    }
    expect(await issued()).toBe(1);
    expect((await fleet.store.findDevice(u1))?.serial).toBe(third.certificate.serial);
    expect(kinds(await fleet.store.listEntriesOf('u1', 9)).sort()).toEqual([
      'certificate-revoked',
      'certificate-revoked',
      'device-enrolled',
      'device-reissued',
      'device-renewed',
    ]);
  });

  it('does not come back to a key it had before: CSR_KEY_IN_USE', async () => {
    const batch = await batchOf(fleet, { rework: true });
    const key = newKey();
    await sign(batch, await csrOf('u1', key));
    await sign(batch, await csrOf('u1'));
    expect(await refusal(async () => sign(batch, await csrOf('u1', key)))).toBe('CSR_KEY_IN_USE');
  });

  it('is not reworked in a batch that is closed or has ended: BATCH_CLOSED', async () => {
    const batch = await batchOf(fleet, { rework: true, lifetime: 5000 });
    await sign(batch, await csrOf('u1'));
    fleet.clock.advance(5000);
    expect(await refusal(async () => sign(batch, await csrOf('u1')))).toBe('BATCH_CLOSED');
    const closed = await batchOf(fleet, { id: 'lot-2', rework: true });
    await sign(closed, await csrOf('u2'));
    await closeBatch(fleet, { caller: operator, id: 'lot-2' });
    expect(await refusal(async () => sign(closed, await csrOf('u2')))).toBe('BATCH_CLOSED');
  });
});

it('signs a decommissioned id anew, as a unit of this batch and type, and takes quota for it', async () => {
  const { tokenHash } = await tokenOf(fleet);
  const key = newKey();
  await enroll(fleet, { csr: await csrOf('u1', key), tokenHash });
  await changeDeviceState(fleet, { caller: operator, id: 'u1', change: 'decommission' });
  const batch = await batchOf(fleet, { type: 'sensor', labels: { lot: '7' } });
  expect(await refusal(async () => sign(batch, await csrOf('u1', key)))).toBe('CSR_KEY_IN_USE');
  expect((await sign(batch, await csrOf('u1'))).created).toBe(true);
  expect(await fleet.store.findDevice(u1)).toMatchObject({
    state: 'active',
    type: 'sensor',
    batch: 'lot-1',
    labels: { lot: '7' },
  });
  expect(await issued()).toBe(1);
});

describe('forty at once', () => {
  const forty = <T>(make: (n: number) => T): T[] => Array.from({ length: 40 }, (_, n) => make(n));

  it('different units never overrun the quota', async () => {
    const batch = await batchOf(fleet, { quota: 13 });
    const csrs = await Promise.all(forty((n) => csrOf(`u${String(n)}`)));
    const codes = await Promise.all(csrs.map((csr) => codeOf(sign(batch, csr))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(13);
    expect(codes.filter((code) => code === 'BATCH_QUOTA_EXHAUSTED')).toHaveLength(27);
    expect(await issued()).toBe(13);
    expect((await fleet.store.countDevicesByState()).active).toBe(13);
  });

  it('the same unit is one certificate and one of the quota, also when it is the last one', async () => {
    const batch = await batchOf(fleet, { quota: 1 });
    const csr = await csrOf('u1');
    const units = await Promise.all(forty(() => sign(batch, csr)));
    expect(units.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(units.map(({ certificate }) => certificate.serial)).size).toBe(1);
    expect(await issued()).toBe(1);
  });

  it('a duplicate id with different keys is one unit; the others meet BATCH_KEY_DIFFERS', async () => {
    const batch = await batchOf(fleet, { quota: 40 });
    const csrs = await Promise.all(forty(() => csrOf('u1')));
    const codes = await Promise.all(csrs.map((csr) => codeOf(sign(batch, csr))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    expect(codes.filter((code) => code === 'BATCH_KEY_DIFFERS')).toHaveLength(39);
    expect(await issued()).toBe(1);
  });
});
