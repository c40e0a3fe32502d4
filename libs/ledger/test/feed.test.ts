// The feed against a ledger that this process and others write to: order, freshness, failures, gaps, and a process that was stopped.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askFresh } from '../src/feed.ts';
import {
  freshen,
  openFeed,
  startFollower,
  type Feed,
  type Projection,
  type View,
} from '../src/index.ts';
import { FakeLedger } from './fake-ledger.ts';

const bound = 1000;
/** So seldom that every look is one that was asked for. */
const never = 3_600_000;

let ledger: FakeLedger;
let feeds: Feed[];
/** Milliseconds of the monotonic clock. */
let now: number;
beforeEach(() => {
  ledger = new FakeLedger();
  feeds = [];
  now = 0;
});
afterEach(() => {
  for (const feed of feeds) feed.close();
});

async function open(lookEvery = never): Promise<Feed> {
  const feed = await openFeed({ store: ledger, lookEvery, monotonic: () => now });
  feeds.push(feed);
  return feed;
}

const noting = (): Projection<number[]> => ({
  name: 'seqs',
  state: [],
  apply: (state, entries) => {
    state.push(...entries.map(({ seq }) => seq));
  },
});
const ask = (view: View<number[]>): readonly number[] => askFresh(view, bound, (seqs) => [...seqs]);

describe('a view of the feed', () => {
  it('hears what this process commits before the commit is answered, without a read', async () => {
    ledger.add(2);
    const view = (await open()).join(noting());
    ledger.add(3);
    expect(ask(view)).toEqual([3, 4, 5]);
    expect(ledger.reads).toBe(0);
  });

  it('hears what others write, by looking', async () => {
    const view = (await open(5)).join(noting());
    ledger.addElsewhere(3);
    await vi.waitFor(() => expect(view.state).toEqual([1, 2, 3]), 5000);
    expect(ask(view)).toEqual([1, 2, 3]);
  });

  it('does not answer once it knows that there is more than it has taken in', async () => {
    const view = (await open()).join(noting());
    ledger.addElsewhere(1);
    ledger.add(1);
    expect(() => ask(view)).toThrow('FEED_STALE');
    await freshen(view, bound);
    expect(ask(view)).toEqual([1, 2]);
  });

  it('keeps one order whoever writes, each entry once', async () => {
    const view = (await open(1)).join(noting());
    for (let n = 0; n < 300; n++) {
      if (n % 3 === 0) ledger.addElsewhere(1 + (n % 5));
      else ledger.add(1 + (n % 7));
      if (n % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await view.refresh();
    expect(ask(view)).toEqual(ledger.entries.map(({ seq }) => seq));
  });

  it('does not answer when nothing was heard for longer than its bound: a process that was stopped', async () => {
    const view = (await open()).join(noting());
    now += bound;
    expect(ask(view)).toEqual([]);
    ledger.addElsewhere(1);
    now += 1;
    expect(view.isFresh(bound)).toBe(false);
    expect(() => ask(view)).toThrow('FEED_STALE');
    await view.refresh();
    expect(ask(view)).toEqual([1]);
  });

  it('is behind while what it takes in needs time, and hears in order what came meanwhile', async () => {
    let letGo: (() => void) | undefined;
    const seen: number[] = [];
    const view = (await open()).join({
      name: 'slow',
      state: seen,
      async apply(_state, entries) {
        await new Promise<void>((resolve) => (letGo = resolve));
        seen.push(...entries.map(({ seq }) => seq));
      },
    });
    ledger.add(1);
    ledger.add(1);
    expect(view.isFresh(bound)).toBe(false);
    const refreshed = view.refresh();
    letGo?.();
    await vi.waitFor(() => expect(seen).toEqual([1]), 5000);
    letGo?.();
    await vi.waitFor(() => {
      letGo?.();
      expect(seen).toEqual([1, 2]);
    }, 5000);
    await refreshed;
    expect(ask(view)).toEqual([1, 2]);
  });

  it('that throws is given the same again, and keeps nothing from the others', async () => {
    const feed = await open();
    const broken = feed.join({
      name: 'broken',
      state: { failures: 0, seen: [] as number[] },
      apply(state, entries) {
        if (state.failures++ < 3) throw new Error('not now');
        state.seen.push(...entries.map(({ seq }) => seq));
      },
    });
    const view = feed.join(noting());
    ledger.add(1);
    expect(ask(view)).toEqual([1]);
    expect(broken.isFresh(bound)).toBe(false);
    await expect(broken.refresh()).rejects.toMatchObject({ code: 'FEED_STALE' });
    ledger.add(1);
    await vi.waitFor(async () => {
      await broken.refresh();
      expect(broken.state.seen).toEqual([1, 2]);
    }, 5000);
    expect(ask(view)).toEqual([1, 2]);
  });

  it('does not answer while the ledger can not be read, and says why', async () => {
    const view = (await open()).join(noting());
    ledger.failure = new Error('database is locked');
    now += 2 * bound;
    await expect(freshen(view, bound)).rejects.toMatchObject({
      code: 'FEED_STALE',
      detail: expect.stringContaining('database is locked') as string,
    });
    ledger.failure = undefined;
    await freshen(view, bound);
    expect(ask(view)).toEqual([]);
  });

  it('does not answer beyond a gap, nor of a ledger that became shorter', async () => {
    const view = (await open()).join(noting());
    ledger.add(1);
    ledger.addElsewhere(3);
    const [taken] = ledger.entries.splice(2, 1);
    ledger.entries.push({ ...taken!, seq: 5 });
    await expect(view.refresh()).rejects.toMatchObject({
      code: 'FEED_STALE',
      detail: expect.stringContaining('has no entry') as string,
    });
    expect(view.isFresh(bound)).toBe(false);
    ledger.entries.length = 0;
    await expect(view.refresh()).rejects.toMatchObject({ code: 'FEED_STALE' });
  });

  it('may join late: it hears what comes from then on', async () => {
    const feed = await open();
    ledger.add(2);
    const view = feed.join(noting());
    ledger.add(1);
    expect(ask(view)).toEqual([3]);
  });
});

describe('the feed', () => {
  it('is read on from a position, and waited for', async () => {
    const feed = await open(5);
    const heard = feed.wait(0, 5000);
    ledger.addElsewhere(3);
    await heard;
    expect((await feed.read(1, 10)).map(({ seq }) => seq)).toEqual([2, 3]);
    await feed.wait(2, 5000);
    // Nothing comes: it resolves all the same.
    await feed.wait(3, 5);
  });

  it('knows how long ago it last knew the end of the ledger', async () => {
    const feed = await open();
    now += 70;
    expect(feed.age()).toBe(70);
    ledger.add(1);
    expect(feed.age()).toBe(0);
  });

  it('tells followers of what others wrote, and of nothing that this process did', async () => {
    const feed = await open(5);
    const applied: number[] = [];
    const follower = await startFollower({
      store: ledger,
      feed,
      follower: {
        name: 'f',
        apply: (entries) => {
          applied.push(...entries.map(({ seq }) => seq));
          return Promise.resolve();
        },
      },
    });
    const heard: number[] = [];
    const stop = feed.onOthers((seq) => heard.push(seq));
    ledger.add(1);
    ledger.addElsewhere(2);
    expect(await follower.waitFor(3, 5000)).toBe(true);
    expect([applied, heard]).toEqual([[1, 2, 3], [3]]);
    stop();
    await follower.stop();
  });

  it('listens to nobody after it was closed', async () => {
    const feed = await open();
    feed.close();
    expect(ledger.listening).toBe(0);
  });
});
