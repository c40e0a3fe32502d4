// Taking presence from a broker: on record before the broker forgets it, in this service's turn only, whatever the broker says.
import { KeylineError } from '@keyline/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPresence } from '../src/dynsec/presence.ts';
import { followPresence } from '../src/follow-presence.ts';
import type { PresencePage, PresenceQuestion } from '../src/target.ts';

const hold = { op: 'hold-lease', name: 'target:a', epoch: 1 } as const;

function follow(given: {
  pages: (PresencePage | undefined)[];
  keep?: (page: PresencePage) => Promise<void>;
  mayAct?: () => boolean;
}) {
  const asked: PresenceQuestion[] = [];
  const kept: PresencePage[] = [];
  const failures: unknown[] = [];
  let now = 0;
  const follower = followPresence({
    name: 'a',
    target: {
      refusesSerials: () => true,
      takePresence(question) {
        asked.push(question);
        return Promise.resolve(given.pages[asked.length - 1]);
      },
    },
    record: {
      cursorOf: () =>
        Promise.resolve({ start: kept.at(-1)?.start ?? '', last: kept.at(-1)?.last ?? 0 }),
      async keep(_target, page) {
        await given.keep?.(page);
        kept.push(page);
      },
    },
    hold: () => ((given.mayAct?.() ?? true) ? hold : undefined),
    onFailure: (error) => failures.push(error),
    elapsed: () => now,
  });
  return {
    ...{ asked, kept, failures },
    tick(milliseconds: number): Promise<void> {
      now += milliseconds;
      return follower.tick();
    },
  };
}

const page = (last: number, changes: Partial<PresencePage> = {}): PresencePage => ({
  ...{ start: 's', last, sightings: [], refusals: [], refusalBatch: 0, complete: true, ...changes },
});

describe('presence of a broker', () => {
  it('is asked for every two seconds, after what is on record', async () => {
    const run = follow({ pages: [page(3, { refusalBatch: 4 }), page(5)] });
    await run.tick(0);
    await run.tick(1000);
    expect(run.asked).toEqual([{ start: '', last: 0, refusalBatch: 0 }]);
    await run.tick(1000);
    expect(run.asked[1]).toEqual({ start: 's', last: 3, refusalBatch: 4 });
  });

  it('is taken page by page, and the rest in the next tick, so that a herd holds nothing up', async () => {
    const run = follow({
      pages: Array.from({ length: 9 }, (_, n) => page(n + 1, { complete: n === 8 })),
    });
    await run.tick(0);
    expect(run.kept).toHaveLength(8);
    await run.tick(1);
    expect(run.kept).toHaveLength(9);
  });

  it('is asked for again when it could not be recorded: the broker has not forgotten it', async () => {
    let fails = true;
    const run = follow({
      pages: [page(3, { refusalBatch: 1 }), page(3, { refusalBatch: 1 })],
      keep: () =>
        fails ? Promise.reject(new KeylineError('INTERNAL', 'the disk')) : Promise.resolve(),
    });
    await run.tick(0);
    expect(run.failures).toHaveLength(1);
    fails = false;
    await run.tick(2000);
    expect(run.asked[1]).toEqual({ start: '', last: 0, refusalBatch: 0 });
    expect(run.kept).toHaveLength(1);
  });

  it('is neither asked for nor recorded while another service has the lease', async () => {
    let isMine = false;
    const run = follow({ pages: [page(1), page(2)], mayAct: () => isMine });
    await run.tick(0);
    expect(run.asked).toEqual([]);
    // It is lost while the broker answers.
    let looks = 0;
    const losing = follow({ pages: [page(1)], mayAct: () => ++looks < 2 });
    await losing.tick(0);
    expect([losing.asked.length, losing.kept.length]).toEqual([1, 0]);
    isMine = true;
    await run.tick(2000);
    expect(run.kept).toHaveLength(1);
  });

  it('is asked for seldom of one that tells no such thing', async () => {
    const run = follow({ pages: [undefined, page(1)] });
    await run.tick(0);
    for (let n = 0; n < 10; n++) await run.tick(2000);
    expect(run.asked).toHaveLength(1);
    await run.tick(10_000);
    expect(run.asked).toHaveLength(2);
  });
});

describe('what a broker says of presence', () => {
  it('is read whatever it is, bounded, and with nothing that acts on a terminal or did not happen yet', () => {
    const sighting = fc.record(
      {
        username: fc.oneof(fc.constantFrom('pump', 'a/b', '', 'x'.repeat(65)), fc.anything()),
        online: fc.oneof(fc.boolean(), fc.anything()),
        at: fc.oneof(fc.double(), fc.anything()),
        clientId: fc.oneof(fc.string({ unit: 'binary', maxLength: 500 }), fc.anything()),
        version: fc.anything(),
        address: fc.anything(),
        event: fc.oneof(fc.string(), fc.anything()),
        happened: fc.string({ unit: 'binary', maxLength: 900 }),
        count: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const data = fc.oneof(
      fc.anything(),
      fc.record({
        start: fc.oneof(fc.constant('s'), fc.anything()),
        last: fc.anything(),
        now: fc.oneof(fc.double(), fc.anything()),
        complete: fc.anything(),
        batch: fc.anything(),
        sightings: fc.oneof(fc.array(sighting), fc.anything()),
        refusals: fc.oneof(fc.array(sighting), fc.anything()),
      }),
    );
    fc.assert(
      fc.property(data, (value) => {
        const read = readPresence(value, 1_000_000);
        if (read === undefined) return;
        for (const one of [...read.sightings, ...read.refusals]) {
          expect(one.identity).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/);
          expect(one.clientId.length).toBeLessThanOrEqual(400);
          expect(one.clientId).not.toMatch(/\p{Cc}/u);
          expect(one.clientId.isWellFormed()).toBe(true);
        }
        for (const { at, protocol } of read.sightings) {
          expect(at >= 0 && at <= 1_000_000 && Number.isInteger(at)).toBe(true);
          expect([3, 4, 5, null]).toContain(protocol);
        }
        for (const { count, lastAt } of read.refusals) {
          expect(Number.isSafeInteger(count) && count > 0 && lastAt <= 1_000_000).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is moved to the clock of this process', () => {
    const told = { start: 's', now: 500, sightings: [{ username: 'pump', online: true, at: 400 }] };
    expect(readPresence(told, 1_000_000)?.sightings).toMatchObject([{ at: 999_900 }]);
  });
});
