// The follower loop: reads the ledger after its cursor, applies, moves the cursor. A crash in between applies again.
import { messageOf } from '@keyline/kernel';
import type { LedgerEntry } from './entry.ts';
import type { Feed } from './feed.ts';
import type { LedgerStore } from './ledger-store.ts';
import type { Hold } from './leases.ts';

/** A consumer of the ledger. */
export interface Follower {
  readonly name: string;
  /** Entries handed over at once; default 500. */
  readonly batchSize?: number;
  /** Where one that never followed begins; default `start`, with all that ever was. */
  readonly beginsAt?: 'start' | 'end';
  /** Must be idempotent: after a crash or an error the same entries come again. */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
}

export interface FollowerLog {
  warn(context: Readonly<Record<string, unknown>>, message: string): void;
}

export interface RunningFollower {
  readonly name: string;
  /** The last entry that was applied. */
  position(): number;
  /** Entries still to apply. */
  lag(): number;
  /** Why it does not get on; undefined when it does. */
  lastError(): string | undefined;
  /** True when everything up to `seq` is applied, false when the time is over. */
  waitFor(seq: number, timeoutMilliseconds: number): Promise<boolean>;
  /** Tries again now instead of after the back-off: what it needs is back. */
  wake(): void;
  /** Finishes what it is at, saves its cursor. */
  stop(): Promise<void>;
}

export interface FollowerOptions {
  readonly store: LedgerStore;
  readonly follower: Follower;
  /** Tells of what other processes committed; absent: there are none. */
  readonly feed?: Pick<Feed, 'onOthers'>;
  /** What each application and each saved cursor demands; absent: nobody else follows under this name. */
  readonly hold?: Hold;
  readonly log?: FollowerLog;
  /** Milliseconds. */
  readonly backoff?: { readonly first: number; readonly most: number };
  /** Milliseconds between saves of the cursor under load: as much is applied again after a crash. Default 500. */
  readonly saveInterval?: number;
}

interface Waiter {
  readonly seq: number;
  readonly settle: (reached: boolean) => void;
}

/** Entries kept from commit notifications, so that a follower that keeps up never reads the database. */
const heldEntries = 2000;

async function findBeginning(
  store: FollowerOptions['store'],
  { name, beginsAt }: Follower,
): Promise<number> {
  const cursor = await store.findCursor(name);
  if (cursor > 0 || beginsAt !== 'end') return cursor;
  const seq = await store.lastSeq();
  // On record at once: what comes from now on is missed by no crash.
  await store.commit({ writes: [{ op: 'move-cursor', follower: name, seq }], entries: [] });
  return seq;
}

export async function startFollower(options: FollowerOptions): Promise<RunningFollower> {
  const { store, feed, follower, hold, log } = options;
  const { first, most } = options.backoff ?? { first: 100, most: 30_000 };
  const saveInterval = options.saveInterval ?? 500;
  const batchSize = follower.batchSize ?? 500;

  let position = await findBeginning(store, follower);
  let saved = position;
  let head = position;
  /** The last entry handed out by `nextEntries`, applied or not yet. */
  let taken = position;
  let held: LedgerEntry[] = [];
  let error: string | undefined;
  let failures = 0;
  let stopped = false;
  let running: Promise<void> | undefined;
  let wakeSleep: (() => void) | undefined;
  let saveTimer: NodeJS.Timeout | undefined;
  let waiters: Waiter[] = [];

  const stopListening = store.onCommit((entries) => {
    const last = entries.at(-1);
    if (last === undefined) return;
    head = Math.max(head, last.seq);
    const next = (held.at(-1)?.seq ?? taken) + 1;
    if (entries[0]?.seq === next && held.length < heldEntries) held.push(...entries);
    kick();
  });

  const stopHearing = feed?.onOthers((seq) => {
    head = Math.max(head, seq);
    kick();
  });

  function kick(): void {
    if (stopped || running !== undefined || position >= head) return;
    running = run().finally(() => {
      running = undefined;
      kick();
    });
  }

  async function nextEntries(): Promise<readonly LedgerEntry[]> {
    let entries: readonly LedgerEntry[];
    if (held[0]?.seq === position + 1) {
      entries = held.splice(0, batchSize);
    } else {
      held = [];
      entries = await store.readEntries(position, batchSize);
    }
    taken = entries.at(-1)?.seq ?? position;
    return entries;
  }

  async function run(): Promise<void> {
    while (!stopped && position < head) {
      try {
        const entries = await nextEntries();
        const last = entries.at(-1);
        // Not a reason to ask again at once: that would be a loop without end.
        if (last === undefined) {
          throw new Error(`the ledger ends at ${position}, but ${head} was announced`);
        }
        hold?.condition();
        await follower.apply(entries);
        position = last.seq;
        error = undefined;
        failures = 0;
        saveSoon();
        settleWaiters();
      } catch (cause) {
        held = [];
        error = messageOf(cause);
        failures++;
        if (failures === 1 || failures % 20 === 0) {
          log?.warn(
            { follower: follower.name, position, lag: head - position, failures },
            `${follower.name} can't get on and will try again: ${error}`,
          );
        }
        await sleep(
          Math.min(most, first * 2 ** Math.min(failures - 1, 20)) * (0.5 + Math.random() / 2),
        );
      }
    }
  }

  function sleep(milliseconds: number): Promise<void> {
    if (stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        wakeSleep = undefined;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      timer.unref();
      wakeSleep = done;
    });
  }

  function settleWaiters(): void {
    const reached = waiters.filter((waiter) => waiter.seq <= position);
    if (reached.length === 0) return;
    waiters = waiters.filter((waiter) => waiter.seq > position);
    for (const waiter of reached) waiter.settle(true);
  }

  async function save(): Promise<void> {
    saveTimer = undefined;
    if (saved >= position) return;
    const seq = position;
    // Whoever lost the lease leaves the cursor to its successor: what was applied late is applied again.
    if (hold?.isHeld() === false) return;
    const result = await store.commit({
      writes: [
        ...(hold === undefined ? [] : [hold.condition()]),
        { op: 'move-cursor', follower: follower.name, seq },
      ],
      entries: [],
    });
    if (result.ok) saved = Math.max(saved, seq);
  }

  function saveSoon(): void {
    saveTimer ??= setTimeout(() => {
      save().catch((cause: unknown) => {
        log?.warn(
          { follower: follower.name },
          `the cursor could not be saved: ${messageOf(cause)}`,
        );
      });
    }, untilSaving(saveInterval));
    saveTimer.unref();
  }

  // Asked for after listening began, so that nothing falls in between.
  head = Math.max(head, await store.lastSeq());
  kick();

  return {
    name: follower.name,
    position: () => position,
    lag: () => Math.max(0, head - position),
    lastError: () => error,
    wake: () => wakeSleep?.(),
    waitFor(seq, timeoutMilliseconds) {
      if (position >= seq) return Promise.resolve(true);
      if (stopped) return Promise.resolve(false);
      return new Promise((resolve) => {
        const waiter: Waiter = {
          seq,
          settle: (reached) => {
            clearTimeout(timer);
            resolve(reached);
          },
        };
        const timer = setTimeout(() => {
          waiters = waiters.filter((other) => other !== waiter);
          resolve(false);
        }, timeoutMilliseconds);
        waiters.push(waiter);
      });
    },
    async stop() {
      stopped = true;
      stopListening();
      stopHearing?.();
      wakeSleep?.();
      await running;
      clearTimeout(saveTimer);
      for (const waiter of waiters) waiter.settle(false);
      waiters = [];
      await save();
    },
  };
}

/** The same moments for all followers of a process, at least half an interval away: their cursors share a commit and its fsync. */
function untilSaving(interval: number): number {
  const left = interval - (performance.now() % interval);
  return left < interval / 2 ? left + interval : left;
}
