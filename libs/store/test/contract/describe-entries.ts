// The ledger entry that a row stands on: known by the row, so that nobody searches for it.
import type { Certificate, Device, Store, Write } from '@keyline/fleet';
import { expect, it } from 'vitest';
import { note, take, useEngine, type CreateEngine } from './engine.ts';
import { certificate, device, id, serial } from './rows.ts';

export function describeEntries(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);
  const commit = async (writes: Write[], entries: number): Promise<number[]> => {
    const result = await db.store.commit({
      writes,
      entries: Array.from({ length: entries }, (_, n) => note(`n${String(n)}`)),
    });
    if (!result.ok) throw new Error(`refused: ${result.code}`);
    return result.entries.map(({ seq }) => seq);
  };
  const deviceRow = async (name: string, store: Store = db.store): Promise<Device | undefined> =>
    store.findDevice(id(name));
  const certificateRow = (n: number): Promise<Certificate | undefined> =>
    db.store.findCertificate(serial(n));
  const update = (expectVersion: number, changes: object = {}): Write => ({
    op: 'update-device',
    id: id('d1'),
    expectVersion,
    at: 5,
    state: 'active',
    serial: null,
    notAfter: null,
    ...changes,
  });

  it('is for a device the first of the unit that inserted it, which let it in, and then of each change', async () => {
    await commit([], 3);
    await commit([{ op: 'insert-device', device: device('d1') }], 2);
    expect(await deviceRow('d1')).toMatchObject({ entry: 4, admission: 4 });
    await commit([update(1)], 1);
    expect(await deviceRow('d1')).toMatchObject({ entry: 6, admission: 4 });
    await commit([update(2, { state: 'suspended' })], 1);
    expect(await deviceRow('d1')).toMatchObject({ entry: 7, admission: 4 });
    await commit([update(3, { admits: true })], 2);
    // The first use of a certificate is no change of the device.
    await commit([update(4, { serial: serial(1), predecessor: serial(2) })], 1);
    await commit([{ op: 'end-predecessor', device: id('d1'), serial: serial(1) }], 1);
    expect(await deviceRow('d1')).toMatchObject({ entry: 10, admission: 8 });
    const store = await db.reopen();
    expect(await deviceRow('d1', store)).toMatchObject({ entry: 10, admission: 8 });
    expect((await store.listDevices({ limit: 1 })).items[0]).toMatchObject({ entry: 10 });
  });

  it('is for a certificate that which issued it, and that which revoked or resumed it', async () => {
    await commit([{ op: 'insert-certificate', certificate: certificate(1) }], 1);
    expect((await certificateRow(1))?.entry).toBe(1);
    await commit([{ op: 'supersede-certificate', serial: serial(1) }], 1);
    const used = device('d1', { serial: serial(1), predecessor: serial(2) });
    const end = { op: 'end-predecessor', device: used.id, serial: serial(1) } as const;
    await commit([{ op: 'insert-device', device: used }, end], 1);
    expect((await certificateRow(1))?.entry).toBe(1);
    const hold = { op: 'revoke-certificate', serial: serial(1), at: 1 } as const;
    await commit([{ ...hold, reason: 'certificateHold' }], 1);
    expect((await certificateRow(1))?.entry).toBe(4);
    await commit([{ op: 'unhold-certificate', serial: serial(1) }], 1);
    expect((await certificateRow(1))?.entry).toBe(5);
    await commit([{ op: 'unhold-certificate', serial: serial(1) }], 1);
    expect((await certificateRow(1))?.entry).toBe(5);
    // One of several entries of a unit, by its position.
    await commit([{ ...hold, reason: 'superseded', entry: 2 }], 3);
    expect((await certificateRow(1))?.entry).toBe(9);
    expect((await db.store.listCertificatesOf('d1'))[0]?.entry).toBe(9);
  });

  it('is null where a unit has none, also for a row that had one before', async () => {
    await commit([{ op: 'insert-device', device: device('d1') }], 1);
    await commit([{ op: 'insert-certificate', certificate: certificate(1) }], 1);
    await take(db.store, update(1), {
      op: 'revoke-certificate',
      serial: serial(1),
      at: 1,
      reason: 'superseded',
    });
    expect(await deviceRow('d1')).toMatchObject({ entry: null, admission: 1 });
    expect((await certificateRow(1))?.entry).toBeNull();
  });

  it('is its own for each unit of a crowd, past those that were refused', async () => {
    const units = await Promise.all(
      Array.from({ length: 90 }, async (_, n) => {
        const name = `d${String(n % 60)}`;
        const result = await db.store.commit({
          writes: [
            { op: 'insert-certificate', certificate: certificate(n) },
            { op: 'insert-device', device: device(name) },
          ],
          entries: [note(name), note('more')],
        });
        return { name, n, seq: result.ok ? result.entries[0]?.seq : undefined };
      }),
    );
    const taken = units.filter(({ seq }) => seq !== undefined);
    expect(taken).toHaveLength(60);
    for (const { name, n, seq } of taken) {
      expect(await deviceRow(name)).toMatchObject({ entry: seq, admission: seq });
      expect((await certificateRow(n))?.entry).toBe(seq);
    }
  });
}
