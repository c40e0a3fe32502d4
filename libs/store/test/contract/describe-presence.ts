// Who is on which broker, and what each identity was refused: kept as brokers tell it, bounded, and found again by filters.
import type { Write } from '@keyline/fleet';
import { beforeEach, describe, expect, it } from 'vitest';
import { outcome, take, useEngine, type CreateEngine } from './engine.ts';
import { device } from './rows.ts';

type Told = Extract<Write, { op: 'put-presence' }>;

function told(given: Partial<Told>): Told {
  return {
    ...{ op: 'put-presence', target: 'broker', start: 'first', last: 1, asOf: 1000 },
    ...{ sightings: [], refusals: [] },
    ...given,
  };
}

const sighting = (identity: string, online: boolean, at: number): Told['sightings'][number] => ({
  ...{ identity, online, at, clientId: `${identity}:1`, protocol: 5, address: '192.0.2.7' },
});

const refusal = (
  identity: string,
  given: Partial<Told['refusals'][number]> = {},
): Told['refusals'][number] => ({
  ...{
    identity,
    event: 'message denied',
    reason: 'publish',
    topic: 'a/b',
    firstAt: 10,
    lastAt: 10,
  },
  ...{ count: 1, clientId: identity, address: '192.0.2.7', serial: '01', proven: true },
  ...{ happened: 'It may not.', remedy: 'Let it.' },
  ...given,
});

export function describePresence(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);

  describe('presence', () => {
    it('is kept for each broker, by the last word of it, and is there after a restart', async () => {
      await take(
        db.store,
        told({ sightings: [sighting('a', true, 100), sighting('b', true, 110)] }),
      );
      await take(db.store, told({ last: 2, sightings: [sighting('a', false, 200)] }));
      await take(db.store, told({ target: 'other', sightings: [sighting('a', true, 150)] }));

      const store = await db.reopen();
      const rows = await store.listPresence(['a', 'c']);
      expect(rows).toHaveLength(2);
      expect(rows).toContainEqual({ ...sighting('a', false, 200), target: 'broker', source: 1 });
      expect(rows).toContainEqual({ ...sighting('a', true, 150), target: 'other', source: 2 });
    });

    it('does not go back to an earlier moment at which somebody was seen', async () => {
      await take(db.store, told({ sightings: [sighting('a', false, 300)] }));
      await take(db.store, told({ start: 'second', sightings: [sighting('a', false, 200)] }));
      expect(await db.store.listPresence(['a'])).toMatchObject([{ online: false, at: 300 }]);
      await take(
        db.store,
        told({ start: 'second', last: 2, sightings: [sighting('a', true, 250)] }),
      );
      expect(await db.store.listPresence(['a'])).toMatchObject([{ online: true, at: 250 }]);
    });

    it('begins a new source with each start of a broker, and moves the time of one that tells all', async () => {
      await take(db.store, told({ last: 7, asOf: 1000 }));
      await take(db.store, told({ last: 9, asOf: undefined }));
      await take(db.store, told({ start: 'second', last: 1, asOf: undefined }));

      expect(await db.store.listPresenceSources()).toEqual([
        { id: 1, target: 'broker', start: 'first', last: 9, asOf: 1000 },
        { id: 2, target: 'broker', start: 'second', last: 1, asOf: null },
      ]);
    });

    it('does not take an older word of the same start, which somebody says late', async () => {
      await take(db.store, told({ last: 9, sightings: [sighting('a', false, 200)] }));
      expect(
        await outcome(db.store, told({ last: 8, sightings: [sighting('a', true, 100)] })),
      ).toBe('STORE_CONFLICT');
      expect(await db.store.listPresence(['a'])).toMatchObject([{ online: false }]);
    });

    it('keeps a hundred earlier starts of a broker that restarts all day', async () => {
      for (let n = 0; n < 105; n++) await take(db.store, told({ start: String(n) }));
      await take(db.store, told({ target: 'other' }));
      const sources = await db.store.listPresenceSources();
      expect(sources.filter(({ target }) => target === 'broker').length).toBeLessThanOrEqual(105);
      expect(sources.at(-1)).toMatchObject({ target: 'other' });
      expect(sources.at(-2)).toMatchObject({ target: 'broker', start: '104' });
    });
  });

  describe('the list of devices, by who is there', () => {
    const named = async (filter: object): Promise<string[]> =>
      (await db.store.listDevices({ limit: 10, ...filter })).items.map(({ id }) => id);
    beforeEach(async () => {
      const devices = ['a', 'b', 'c', 'd', 'e'].map((id) => device(id));
      await take(
        db.store,
        ...devices.map((one) => ({ op: 'insert-device', device: one }) as const),
      );
      // d by a broker that has ended since, at 500 at the earliest.
      await take(db.store, told({ asOf: 500, sightings: [sighting('d', true, 50)] }));
      await take(
        db.store,
        told({
          start: 'second',
          sightings: [
            sighting('a', true, 100),
            sighting('b', false, 900),
            sighting('c', false, 90),
          ],
        }),
      );
    });

    it('finds those that are online by sources that count, and no others', async () => {
      expect(await named({ onlineBy: [2] })).toEqual(['a']);
      expect(await named({ onlineBy: [] })).toEqual([]);
    });

    it('finds those that were not seen since a moment, and those that nobody ever saw', async () => {
      const notSeen = (since: number) => named({ notSeen: { since, onlineBy: [2] } });
      expect(await notSeen(1)).toEqual(['e']);
      expect(await notSeen(400)).toEqual(['c', 'e']);
      expect(await notSeen(600)).toEqual(['c', 'd', 'e']);
      expect(await notSeen(5000)).toEqual(['b', 'c', 'd', 'e']);
    });

    it('takes who was online for seen until its broker was last heard of, not for longer', async () => {
      // The source is out of date: nobody is online by it.
      expect(await named({ notSeen: { since: 999, onlineBy: [] } })).toEqual(['b', 'c', 'd', 'e']);
      expect(await named({ notSeen: { since: 1001, onlineBy: [] } })).toEqual([
        ...['a', 'b', 'c', 'd', 'e'],
      ]);
    });
  });

  describe('the refusals of an identity', () => {
    it('are counted where they are alike, the newest first', async () => {
      await take(db.store, told({ refusals: [refusal('a'), refusal('a', { topic: 'x' })] }));
      await take(
        db.store,
        told({ refusals: [refusal('a', { firstAt: 50, lastAt: 60, count: 3 })] }),
      );

      expect(await db.store.listRefusalsOf('a')).toEqual([
        { ...refusal('a', { firstAt: 10, lastAt: 60, count: 4 }), target: 'broker' },
        { ...refusal('a', { topic: 'x' }), target: 'broker' },
      ]);
      expect(await db.store.listRefusalsOf('b')).toEqual([]);
    });

    it('are a few of each, and a name that somebody else says pushes none of its own out', async () => {
      for (let n = 0; n < 40; n++) {
        const at = { firstAt: n, lastAt: n, topic: String(n) };
        await take(
          db.store,
          told({
            refusals: [refusal('a', at), refusal('a', { ...at, lastAt: 100 + n, proven: false })],
          }),
        );
      }
      const kept = await db.store.listRefusalsOf('a');
      expect(kept.filter(({ proven }) => proven).map(({ topic }) => Number(topic))).toEqual([
        ...[39, 38, 37, 36, 35, 34, 33, 32, 31, 30],
      ]);
      expect(kept.filter(({ proven }) => !proven)).toHaveLength(3);
    });
  });
}
