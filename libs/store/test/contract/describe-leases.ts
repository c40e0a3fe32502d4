// Leases as conditions of units of work: one holder at a time, each at an epoch of its own, and a late one is refused.
import type { Write } from '@keyline/fleet';
import { describe, expect, it } from 'vitest';
import { note, outcome, take, useEngine, type CreateEngine } from './engine.ts';

const takeLease = (
  holder: string,
  seen: { epoch: number; beat: number } | null = null,
  name = 'crl',
): Write => ({ op: 'take-lease', name, holder, seen, until: 100 });
const renew = (epoch: number): Write => ({ op: 'renew-lease', name: 'crl', epoch, until: 200 });
const release = (epoch: number): Write => ({ op: 'release-lease', name: 'crl', epoch });
const hold = (epoch: number): Write => ({ op: 'hold-lease', name: 'crl', epoch });

export function describeLeases(createEngine: CreateEngine): void {
  describe('leases', () => {
    const db = useEngine(createEngine);
    const find = () => db.store.findLease('crl');

    it('are not there before somebody takes one', async () => {
      expect(await find()).toBeUndefined();
      expect(await outcome(db.store, hold(1))).toBe('LEASE_LOST');
      expect(await outcome(db.store, renew(1))).toBe('LEASE_LOST');
    });

    it('begin at epoch 1, for the first who takes one; the second is refused with LEASE_LOST', async () => {
      await take(db.store, takeLease('a'));
      expect(await outcome(db.store, takeLease('b'))).toBe('LEASE_LOST');
      expect(await find()).toEqual({ name: 'crl', holder: 'a', epoch: 1, beat: 0, until: 100 });
    });

    it('go to whoever saw them as they stand, at the next epoch, also after opening again', async () => {
      await take(db.store, takeLease('a'), renew(1));
      const store = await db.reopen();
      expect(await outcome(store, takeLease('b', { epoch: 1, beat: 0 }))).toBe('LEASE_LOST');
      expect(await outcome(store, takeLease('b', { epoch: 1, beat: 1 }))).toBe('taken');
      expect(await store.findLease('crl')).toMatchObject({ holder: 'b', epoch: 2, beat: 0 });
      // A third who saw the same is too late.
      expect(await outcome(store, takeLease('c', { epoch: 1, beat: 1 }))).toBe('LEASE_LOST');
    });

    it('beat with each renewal, at their epoch alone', async () => {
      await take(db.store, takeLease('a'), renew(1), renew(1));
      expect(await find()).toMatchObject({ beat: 2, until: 200 });
      expect(await outcome(db.store, renew(2))).toBe('LEASE_LOST');
    });

    it('have no holder after they were given up, and go on with the next epoch', async () => {
      await take(db.store, takeLease('a'), release(1));
      expect(await find()).toMatchObject({ holder: null, epoch: 1, beat: 1 });
      expect(await outcome(db.store, hold(1))).toBe('LEASE_LOST');
      expect(await outcome(db.store, renew(1))).toBe('LEASE_LOST');
      await take(db.store, takeLease('b', { epoch: 1, beat: 1 }), release(1));
      // Giving up one that was lost takes it from nobody.
      expect(await find()).toMatchObject({ holder: 'b', epoch: 2 });
    });

    it('let a unit through that holds them, and refuse the whole unit of one that lost them', async () => {
      await take(db.store, takeLease('a'));
      const move: Write = { op: 'move-cursor', follower: 'f', seq: 7 };
      expect(await outcome(db.store, hold(1), move)).toBe('taken');
      await take(db.store, takeLease('b', { epoch: 1, beat: 0 }));
      const late = await db.store.commit({
        writes: [{ ...move, seq: 9 }, hold(1)],
        entries: [note('late')],
      });
      expect(late).toEqual({
        ok: false,
        code: 'LEASE_LOST',
        writeIndex: 1,
        context: { lease: 'crl', epoch: 1 },
      });
      expect(await db.store.findCursor('f')).toBe(7);
      expect(await db.store.lastSeq()).toBe(0);
    });

    it('of one name say nothing of another', async () => {
      await take(db.store, takeLease('a'), takeLease('b', null, 'alerts'));
      expect(await db.store.findLease('alerts')).toMatchObject({ holder: 'b', epoch: 1 });
      expect(await outcome(db.store, { ...hold(1), name: 'other' } as Write)).toBe('LEASE_LOST');
    });
  });
}
