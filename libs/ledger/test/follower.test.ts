// The follower loop against a ledger in memory: order, back-off, cursors, waiting, stopping.
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Follower, FollowerOptions } from '../src/follower.ts';
import { startFollower, type LedgerEntry, type RunningFollower } from '../src/index.ts';
import { FakeLedger } from './fake-ledger.ts';

let ledger: FakeLedger;
let running: RunningFollower[];
beforeEach(() => {
  ledger = new FakeLedger();
  running = [];
});
afterEach(async () => {
  for (const one of running) await one.stop();
});

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

async function start(
  apply: Follower['apply'],
  options: Partial<FollowerOptions> & { batchSize?: number } = {},
): Promise<RunningFollower> {
  const { batchSize, ...rest } = options;
  const one = await startFollower({
    store: ledger,
    follower: { name: 'f', apply, ...(batchSize === undefined ? {} : { batchSize }) },
    backoff: { first: 4, most: 20 },
    saveInterval: 5,
    ...rest,
  });
  running.push(one);
  return one;
}

/** An `apply` that notes what it was given. */
function noting(): {
  seen: number[];
  sizes: number[];
  apply: (e: readonly LedgerEntry[]) => Promise<void>;
} {
  const seen: number[] = [];
  const sizes: number[] = [];
  return {
    seen,
    sizes,
    async apply(entries) {
      seen.push(...entries.map(({ seq }) => seq));
      sizes.push(entries.length);
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1);
}

describe('a follower that gets on', () => {
  it('is given what was there before and what comes, in order, each entry once', async () => {
    const { seen, apply } = noting();
    ledger.add(3);
    const follower = await start(apply);
    ledger.add(2);
    for (let n = 0; n < 50; n++) {
      ledger.add(1 + (n % 3));
      if (n % 4 === 0) await turn();
    }
    expect(await follower.waitFor(ledger.entries.length, 1000)).toBe(true);
    expect(seen).toEqual(range(1, ledger.entries.length));
    expect(follower.position()).toBe(ledger.entries.length);
    expect(follower.lag()).toBe(0);
    expect(follower.lastError()).toBeUndefined();
  });

  it('begins at the end when it is new and wants that, and goes on from there ever after', async () => {
    const first = noting();
    ledger.add(9);
    const options = { store: ledger, follower: { name: 'n', beginsAt: 'end' as const } };
    const one = await startFollower({ ...options, follower: { ...options.follower, ...first } });
    ledger.add(2);
    await one.waitFor(11, 1000);
    await one.stop();
    ledger.add(1);
    const second = noting();
    const two = await startFollower({ ...options, follower: { ...options.follower, ...second } });
    running.push(two);
    await two.waitFor(12, 1000);
    expect([first.seen, second.seen]).toEqual([[10, 11], [12]]);
  });

  it('is given no more at once than it asked for', async () => {
    const { seen, sizes, apply } = noting();
    ledger.add(25);
    const follower = await start(apply, { batchSize: 10 });
    await follower.waitFor(25, 1000);
    ledger.add(25);
    await follower.waitFor(50, 1000);
    expect(seen).toEqual(range(1, 50));
    expect(Math.max(...sizes)).toBe(10);
  });

  it('is never given two runs of entries at the same time', async () => {
    let inside = 0;
    let most = 0;
    const follower = await start(async () => {
      most = Math.max(most, ++inside);
      await turn();
      inside--;
    });
    for (let n = 0; n < 30; n++) {
      ledger.add(1);
      await Promise.resolve();
    }
    await follower.waitFor(30, 1000);
    expect(most).toBe(1);
  });

  it('does not read the database for what it was told, also while it is at work', async () => {
    const seen: number[] = [];
    const follower = await start(async (entries) => {
      await turn();
      seen.push(...entries.map(({ seq }) => seq));
    });
    for (let n = 0; n < 40; n++) {
      ledger.add(2);
      if (n % 3 === 0) await turn();
    }
    await follower.waitFor(80, 1000);
    expect(seen).toEqual(range(1, 80));
    expect(ledger.reads).toBe(0);
  });

  it('loses nothing of a burst larger than what is kept in memory', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { seen, apply } = noting();
    const follower = await start(async (entries) => {
      await held;
      await apply(entries);
    });
    for (let n = 0; n < 500; n++) ledger.add(10);
    expect(follower.lag()).toBe(5000);
    release();
    expect(await follower.waitFor(5000, 2000)).toBe(true);
    expect(seen).toEqual(range(1, 5000));
    expect(ledger.reads).toBeGreaterThan(0);
    // And is in memory again afterwards.
    const reads = ledger.reads;
    ledger.add(3);
    await follower.waitFor(5003, 1000);
    expect(seen.at(-1)).toBe(5003);
    expect(ledger.reads).toBe(reads);
  });

  it('hears what is committed while it starts', async () => {
    const { seen, apply } = noting();
    const starting = start(apply);
    ledger.add(2);
    await Promise.resolve();
    ledger.add(2);
    const follower = await starting;
    expect(await follower.waitFor(4, 1000)).toBe(true);
    expect(seen).toEqual([1, 2, 3, 4]);
  });
});

describe('a follower that fails', () => {
  it('is given the same entries again after a pause, and goes on from there', async () => {
    const calls: { seqs: number[]; at: number }[] = [];
    const warnings: Readonly<Record<string, unknown>>[] = [];
    const follower = await start(
      async (entries) => {
        calls.push({ seqs: entries.map(({ seq }) => seq), at: performance.now() });
        if (calls.length <= 3) throw new Error(`broker is away (${String(calls.length)})`);
      },
      { log: { warn: (context) => warnings.push(context) }, backoff: { first: 16, most: 40 } },
    );
    ledger.add(2);
    await until(() => calls.length === 1 && follower.lastError() !== undefined);
    expect(follower.lastError()).toBe('broker is away (1)');
    expect(follower.position()).toBe(0);
    expect(follower.lag()).toBe(2);
    ledger.add(1);
    expect(await follower.waitFor(3, 2000)).toBe(true);
    expect(calls.map(({ seqs }) => seqs[0])).toEqual([1, 1, 1, 1]);
    expect(calls.at(-1)?.seqs).toEqual([1, 2, 3]);
    expect(follower.lastError()).toBeUndefined();
    // At least half of 16, 32 and 40 ms; a timer may be a millisecond early.
    const pauses = calls.slice(1).map(({ at }, n) => at - calls[n]!.at);
    for (const [n, least] of [8, 16, 20].entries()) expect(pauses[n]).toBeGreaterThan(least - 1.5);
    // Not a line for every try.
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ follower: 'f', lag: 2 });
  });

  it('may throw at once instead of rejecting', async () => {
    let calls = 0;
    const follower = await start(() => {
      if (++calls === 1) throw new Error('not even a promise');
      return Promise.resolve();
    });
    ledger.add(1);
    expect(await follower.waitFor(1, 1000)).toBe(true);
    expect(calls).toBe(2);
  });

  it('tries again at once when it is woken', async () => {
    let away = true;
    const follower = await start(
      async () => {
        if (away) throw new Error('away');
      },
      { backoff: { first: 60_000, most: 60_000 } },
    );
    ledger.add(1);
    await until(() => follower.lastError() !== undefined);
    away = false;
    follower.wake();
    expect(await follower.waitFor(1, 1000)).toBe(true);
    follower.wake();
  });

  it('takes a ledger that can’t be read for a failure, and does not spin', async () => {
    const { seen, apply } = noting();
    const read = ledger.readEntries.bind(ledger);
    let empty = 0;
    ledger.readEntries = async (after, limit) => (empty++ < 2 ? [] : read(after, limit));
    ledger.add(3);
    const follower = await start(apply);
    expect(await follower.waitFor(3, 1000)).toBe(true);
    expect(seen).toEqual([1, 2, 3]);
    expect(empty).toBe(3);
  });
});

describe('the cursor', () => {
  it('is saved a little later and at the stop, and is where the next one begins', async () => {
    const { seen, apply } = noting();
    ledger.add(3);
    const first = await start(apply);
    await first.waitFor(3, 1000);
    await until(() => ledger.cursors.get('f') === 3);
    ledger.add(2);
    await first.waitFor(5, 1000);
    await first.stop();
    expect(ledger.cursors.get('f')).toBe(5);
    ledger.add(1);
    const second = await start(apply);
    await second.waitFor(6, 1000);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is not moved past an entry that was not applied', async () => {
    const follower = await start(
      async (entries) => {
        if (entries.some(({ seq }) => seq > 2)) throw new Error('no');
      },
      { batchSize: 2 },
    );
    ledger.add(4);
    await until(() => follower.lastError() !== undefined);
    await follower.stop();
    expect(ledger.cursors.get('f')).toBe(2);
  });

  it('is saved the next time when it could not be', async () => {
    const { apply } = noting();
    const warnings: string[] = [];
    const follower = await start(apply, {
      log: { warn: (_context, message) => warnings.push(message) },
    });
    ledger.failingCommits = 1;
    ledger.add(1);
    await until(() => warnings.length === 1);
    expect(warnings[0]).toContain('disk full');
    await follower.stop();
    expect(ledger.cursors.get('f')).toBe(1);
  });
});

describe('waiting', () => {
  it('is over at once for what is applied, and false when the time is over', async () => {
    const { apply } = noting();
    ledger.add(1);
    const follower = await start(apply);
    expect(await follower.waitFor(1, 1000)).toBe(true);
    expect(await follower.waitFor(1, 0)).toBe(true);
    expect(await follower.waitFor(2, 5)).toBe(false);
  });

  it('ends for each who waits when his entry is applied, not before', async () => {
    const { seen, apply } = noting();
    const follower = await start(apply, { batchSize: 1 });
    const order: string[] = [];
    const waits = [3, 1, 2].map(async (seq) => {
      expect(await follower.waitFor(seq, 1000)).toBe(true);
      expect(seen).toContain(seq);
      order.push(String(seq));
    });
    ledger.add(3);
    await Promise.all(waits);
    expect(order).toEqual(['1', '2', '3']);
  });

  it('ends with false when the follower stops, and is not begun after that', async () => {
    const follower = await start(() => Promise.reject(new Error('away')));
    ledger.add(1);
    const waiting = follower.waitFor(1, 60_000);
    await follower.stop();
    expect(await waiting).toBe(false);
    expect(await follower.waitFor(1, 60_000)).toBe(false);
  });
});

describe('stopping', () => {
  it('lets what is at work finish, saves it, and begins nothing more', async () => {
    let release = (): void => undefined;
    const calls: number[][] = [];
    const follower = await start(
      async (entries) => {
        calls.push(entries.map(({ seq }) => seq));
        await new Promise<void>((resolve) => (release = resolve));
      },
      { batchSize: 2 },
    );
    ledger.add(4);
    await until(() => calls.length === 1);
    let stopped = false;
    const stopping = follower.stop().then(() => (stopped = true));
    await sleep(5);
    expect(stopped).toBe(false);
    release();
    await stopping;
    ledger.add(1);
    await sleep(5);
    expect(calls).toEqual([[1, 2]]);
    expect(ledger.cursors.get('f')).toBe(2);
    expect(ledger.listening).toBe(0);
  });

  it('does not wait for a pause to end, and twice is as good as once', async () => {
    const follower = await start(() => Promise.reject(new Error('away')), {
      backoff: { first: 60_000, most: 60_000 },
    });
    ledger.add(1);
    await until(() => follower.lastError() !== undefined);
    await follower.stop();
    await follower.stop();
    expect(follower.position()).toBe(0);
  });

  it('saves its cursor at the moment when others of the process do, so that they share a commit', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const moments = new Map<string, number>();
      for (const name of ['early', 'late']) {
        const one = await startFollower({
          store: ledger,
          follower: { name, apply: () => Promise.resolve() },
          saveInterval: 500,
        });
        running.push(one);
        ledger.add(1);
        await one.waitFor(ledger.entries.length, 1000);
        await vi.advanceTimersByTimeAsync(130);
      }
      for (let n = 0; n < 1000; n++) {
        for (const name of ledger.cursors.keys()) {
          if (!moments.has(name)) moments.set(name, performance.now());
        }
        await vi.advanceTimersByTimeAsync(1);
      }
      expect(moments.size).toBe(2);
      expect(new Set(moments.values()).size).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('says when the cursor could not be saved, and lets nobody wait for ever', async () => {
    const { apply } = noting();
    const follower = await start(apply, { saveInterval: 60_000 });
    ledger.add(1);
    await follower.waitFor(1, 1000);
    const waiting = follower.waitFor(9, 60_000);
    ledger.failingCommits = 1;
    await expect(follower.stop()).rejects.toThrow('disk full');
    expect(await waiting).toBe(false);
  });
});
