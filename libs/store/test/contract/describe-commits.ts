// The commit path: whole units or nothing, a ledger without gaps, listeners in order, and conditions that hold under a crowd.
import type { Store, UnitOfWork, Write } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';
import { isKeylineError } from '@keyline/kernel';
import { describe, expect, it } from 'vitest';
import { codeOf, note, take, useEngine, type CreateEngine } from './engine.ts';
import { batch, certificate, device, id, serial, sha, token } from './rows.ts';

const crowd = 500;
const times = <Item>(count: number, make: (n: number) => Item): Item[] =>
  Array.from({ length: count }, (_, n) => make(n));

async function seqs(store: Store): Promise<number[]> {
  return (await store.readEntries(0, 10_000)).map(({ seq }) => seq);
}

function tally(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const code of outcomes) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

export function describeCommits(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);
  const insert = (name: string): UnitOfWork => ({
    writes: [{ op: 'insert-device', device: device(name, { labels: { of: name } }) }],
    entries: [note(name)],
  });

  it('keeps with an entry who asked for it and from which address', async () => {
    const { store } = db;
    await store.commit({
      writes: [],
      entries: [{ ...note('a'), actor: 'operator:o@works', address: '2001:db8::7' }, note('b')],
    });
    const entries = await store.readEntries(0, 5);
    expect(entries[0]).toMatchObject({ actor: 'operator:o@works', address: '2001:db8::7' });
    expect(entries[1]).not.toHaveProperty('address');
  });

  describe('a refused unit', () => {
    it('is undone wholly, whichever of its writes was refused', async () => {
      await take(
        db.store,
        { op: 'insert-batch', batch: batch('b', { quota: 1, issued: 1 }) },
        { op: 'insert-token', token: token('t', { maxUses: 5 }) },
      );
      const result = await db.store.commit({
        writes: [
          { op: 'insert-device', device: device('d1', { labels: { a: 'b' } }) },
          { op: 'use-token', id: 't', at: 1 },
          { op: 'claim-key', spkiSha256: sha('k'), owner: 'd1' },
          { op: 'insert-certificate', certificate: certificate(1) },
          { op: 'move-cursor', follower: 'f', seq: 9 },
          { op: 'take-quota', id: 'b', at: 1, units: 1 },
        ],
        entries: [note('d1')],
      });
      expect(result).toMatchObject({ ok: false, code: 'BATCH_QUOTA_EXHAUSTED', writeIndex: 5 });
      const { store } = db;
      expect(await store.findDevice(id('d1'))).toBeUndefined();
      expect((await store.listDevices({ limit: 5, label: 'a=b' })).items).toEqual([]);
      expect((await store.findToken('t'))?.uses).toBe(0);
      expect(await store.findKeyOwner(sha('k'))).toBeUndefined();
      expect(await store.findCertificate(serial(1))).toBeUndefined();
      expect(await store.findCursor('f')).toBe(0);
      expect((await store.countDevicesByState()).active).toBe(0);
      expect(await store.lastSeq()).toBe(0);
    });

    it('harms no neighbour that waits beside it', async () => {
      const outcomes = await Promise.all(
        times(60, (n) => db.store.commit(insert(n % 3 === 2 ? 'd0' : `d${String(n)}`))),
      );
      expect(tally(outcomes.map(codeOf))).toEqual({ taken: 40, DEVICE_EXISTS: 20 });
      expect((await db.store.countDevicesByState()).active).toBe(40);
      expect(await seqs(db.store)).toEqual(times(40, (n) => n + 1));
    });

    it('may be one that no write foresees: it alone is rejected, and leaves no gap', async () => {
      await take(db.store, { op: 'insert-token', token: token('t') });
      const twice: UnitOfWork = {
        writes: [
          { op: 'insert-device', device: device('never') },
          { op: 'insert-token', token: token('t') },
        ],
        entries: [note('never')],
      };
      const unwritable: UnitOfWork = { writes: [], entries: [note('x', Number.NaN)] };
      const results = await Promise.allSettled([
        db.store.commit(insert('d1')),
        db.store.commit(twice),
        db.store.commit(insert('d2')),
        db.store.commit({ ...unwritable, entries: [note('y'), ...unwritable.entries] }),
        db.store.commit(insert('d3')),
      ]);
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      for (const result of results) {
        if (result.status !== 'rejected') continue;
        expect(isKeylineError(result.reason) && result.reason.code).toBe('INTERNAL');
      }
      const entries = await db.store.readEntries(0, 10);
      expect(entries.map(({ seq, data }) => [seq, 'token' in data && data.token])).toEqual([
        [1, 'd1'],
        [2, 'd2'],
        [3, 'd3'],
      ]);
      expect(await db.store.findDevice(id('never'))).toBeUndefined();
    });
  });

  describe('the ledger', () => {
    it('counts 1, 2, 3 … across refusals and opening again', async () => {
      await db.store.commit({ writes: [], entries: [note('a'), note('b')] });
      await db.store.commit(insert('d1'));
      await db.store.commit(insert('d1'));
      const store = await db.reopen();
      expect(await store.lastSeq()).toBe(3);
      await store.commit(insert('d1'));
      const result = await store.commit(insert('d2'));
      expect(result.ok && result.entries.map(({ seq }) => seq)).toEqual([4]);
      expect(await seqs(store)).toEqual([1, 2, 3, 4]);
    });

    it('reads on after a position, a bounded number at a time', async () => {
      await db.store.commit({ writes: [], entries: times(10, (n) => note(`t${String(n)}`)) });
      const read = async (after: number, limit: number) =>
        (await db.store.readEntries(after, limit)).map(({ seq }) => seq);
      expect(await read(0, 4)).toEqual([1, 2, 3, 4]);
      expect(await read(4, 4)).toEqual([5, 6, 7, 8]);
      expect(await read(8, 4)).toEqual([9, 10]);
      expect(await read(10, 4)).toEqual([]);
    });

    it('finds what happened to one subject, newest first', async () => {
      await db.store.commit({
        writes: [],
        entries: [
          note('tok_1', 5),
          note('tok_2', 6),
          {
            at: 7,
            actor: 'admin:a@keyline',
            data: { kind: 'token-revoked', token: 'tok_1', use: 'enroll' },
          },
          {
            at: 8,
            actor: 'device:d1',
            data: {
              kind: 'device-renewed',
              device: 'tok_1',
              type: 'default',
              state: 'active',
              role: 'device',
              serial: 'aa',
              notAfter: 9,
            },
          },
        ],
      });
      const found = await db.store.listEntriesOf('tok_1', 10);
      expect(found.map(({ seq, at }) => [seq, at])).toEqual([
        [4, 8],
        [3, 7],
        [1, 5],
      ]);
      expect(found[0]?.data).toMatchObject({ kind: 'device-renewed', serial: 'aa' });
      expect((await db.store.listEntriesOf('tok_1', 1)).map(({ seq }) => seq)).toEqual([4]);
    });

    it('keeps the order of commits even when the clock goes back', async () => {
      await db.store.commit({ writes: [], entries: [note('a', 900)] });
      await db.store.commit({ writes: [], entries: [note('b', 100)] });
      const entries = await db.store.readEntries(0, 10);
      expect(entries.map(({ seq, at }) => [seq, at])).toEqual([
        [1, 900],
        [2, 100],
      ]);
    });
  });

  describe('listeners', () => {
    it('hear every entry once, in order, before the promise of its commit resolves', async () => {
      const heard: number[] = [];
      db.store.onCommit((entries) => heard.push(...entries.map(({ seq }) => seq)));
      const late: LedgerEntry[] = [];
      await Promise.all(
        times(300, async (n) => {
          const result = await db.store.commit(insert(`d${String(n % 290)}`));
          if (!result.ok) return;
          late.push(...result.entries.filter(({ seq }) => !heard.includes(seq)));
        }),
      );
      expect(late).toEqual([]);
      expect(heard).toEqual(times(290, (n) => n + 1));
    });

    it('hear what is durable: a read from within one sees it', async () => {
      let seen: Promise<unknown> | undefined;
      db.store.onCommit(() => {
        seen = db.store.findDevice(id('d1'));
      });
      await db.store.commit(insert('d1'));
      expect(await seen).toMatchObject({ id: 'd1' });
    });

    it('hear nothing of units without entries, of refused ones, or after they stopped', async () => {
      let calls = 0;
      const stop = db.store.onCommit(() => calls++);
      await db.store.commit({ writes: [], entries: [] });
      await db.store.commit({ writes: [{ op: 'close-batch', id: 'none' }], entries: [note('x')] });
      expect(calls).toBe(0);
      await db.store.commit(insert('d1'));
      expect(calls).toBe(1);
      stop();
      await db.store.commit(insert('d2'));
      expect(calls).toBe(1);
    });

    it('may commit themselves', async () => {
      let inner: Promise<unknown> | undefined;
      const stop = db.store.onCommit(() => {
        stop();
        inner = db.store.commit(insert('inner'));
      });
      await db.store.commit(insert('outer'));
      await inner;
      expect(await seqs(db.store)).toEqual([1, 2]);
    });
  });

  describe(`under ${String(crowd)} commits at once`, () => {
    const rush = async (write: (n: number) => Write): Promise<Record<string, number>> =>
      tally(
        (
          await Promise.all(
            times(crowd, (n) =>
              db.store.commit({ writes: [write(n)], entries: [note(`n${String(n)}`)] }),
            ),
          )
        ).map(codeOf),
      );

    it('a batch signs as many units as its quota and not one more', async () => {
      await take(db.store, { op: 'insert-batch', batch: batch('b', { quota: 123 }) });
      expect(await rush(() => ({ op: 'take-quota', id: 'b', at: 1, units: 1 }))).toEqual({
        taken: 123,
        BATCH_QUOTA_EXHAUSTED: crowd - 123,
      });
      expect((await db.store.findBatch('b'))?.issued).toBe(123);
      expect(await db.store.lastSeq()).toBe(123);
    });

    it('a token is used as often as it may', async () => {
      await take(db.store, { op: 'insert-token', token: token('t', { maxUses: 77 }) });
      expect(await rush(() => ({ op: 'use-token', id: 't', at: 1 }))).toEqual({
        taken: 77,
        TOKEN_EXHAUSTED: crowd - 77,
      });
      expect((await db.store.findToken('t'))?.uses).toBe(77);
    });

    it('one certificate gets a serial, one owner a key, one change a version of a device', async () => {
      await take(db.store, { op: 'insert-device', device: device('d') });
      expect(
        await rush((n) => ({
          op: 'insert-certificate',
          certificate: certificate(1, { owner: `o${String(n)}` }),
        })),
      ).toEqual({ taken: 1, STORE_CONFLICT: crowd - 1 });
      expect(
        await rush((n) => ({ op: 'claim-key', spkiSha256: sha('k'), owner: `o${String(n)}` })),
      ).toEqual({ taken: 1, CSR_KEY_IN_USE: crowd - 1 });
      expect(
        await rush(() => ({
          op: 'update-device',
          id: id('d'),
          expectVersion: 1,
          at: 1,
          state: 'suspended',
          serial: null,
          notAfter: null,
        })),
      ).toEqual({ taken: 1, DEVICE_CHANGED: crowd - 1 });
      expect(await seqs(db.store)).toEqual([1, 2, 3]);
    });
  });

  it('commits what waits when it is closed, and refuses what comes after', async () => {
    const { store } = db;
    const waiting = Promise.all(times(300, (n) => store.commit(insert(`d${String(n)}`))));
    const reopened = db.reopen();
    expect((await waiting).every(({ ok }) => ok)).toBe(true);
    expect((await (await reopened).countDevicesByState()).active).toBe(300);
    await expect(store.commit(insert('late'))).rejects.toMatchObject({ code: 'INTERNAL' });
  });
}
