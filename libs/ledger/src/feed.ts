// The ledger as a feed: every picture of it that this process keeps in memory hears each entry once, in order, whichever process wrote it,
// and knows whether it is behind. Commits of this process are a way to be quick; what counts is what is read.
import { KeylineError, messageOf } from '@keyline/kernel';
import type { LedgerEntry } from './entry.ts';
import type { LedgerStore } from './ledger-store.ts';

/** A picture of the ledger kept in memory, or a memory that must forget. */
export interface Projection<State> {
  readonly name: string;
  readonly state: State;
  /** Takes entries in, in their order; when it throws, the same come again. With a promise it is behind until that is settled. */
  apply(state: State, entries: readonly LedgerEntry[]): void | Promise<void>;
}

export interface View<State> {
  readonly name: string;
  /** However old: `askFresh` is how one asks. */
  readonly state: State;
  /** Whether it has taken in all that there was `bound` milliseconds ago. */
  isFresh(bound: number): boolean;
  /** Takes in all there is now. @throws {KeylineError} FEED_STALE when that can't be read or taken in */
  refresh(): Promise<void>;
}

export interface Feed {
  /** Hears what comes from now on: what it needs of the time before, it reads of the rows afterwards. */
  join<State>(projection: Projection<State>): View<State>;
  /** Entries after `seq` in their one order; whoever has seen n has seen all up to n. */
  read(after: number, limit: number): Promise<readonly LedgerEntry[]>;
  /** Resolves when there may be something after `seq`, or after so many milliseconds: a hint, never a promise. */
  wait(after: number, patience: number): Promise<void>;
  /** Called with the last entry whenever a look found some that this process did not commit. Returns the way to stop. */
  onOthers(listener: (seq: number) => void): () => void;
  /** Milliseconds since the end of the ledger was last known. */
  age(): number;
  close(): void;
}

export interface FeedOptions {
  readonly store: Pick<LedgerStore, 'onCommit' | 'readEntries' | 'lastSeq'>;
  /** Milliseconds between looks at what others wrote; default 150. */
  readonly lookEvery?: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic?: () => number;
  readonly log?: { warn(context: Readonly<Record<string, unknown>>, message: string): void };
}

interface Listener {
  readonly name: string;
  position: number;
  /** What it is taking in; never rejects. */
  busy: Promise<void> | undefined;
  /** Why it did not take in what it was given last. */
  error: unknown;
  readonly take: (entries: readonly LedgerEntry[]) => void | Promise<void>;
}

/** Entries read at once. */
const mostAtOnce = 1000;

export async function openFeed(options: FeedOptions): Promise<Feed> {
  const { store, log, lookEvery = 150 } = options;
  const monotonic = options.monotonic ?? (() => performance.now());
  const listeners: Listener[] = [];
  const waiting = new Set<() => void>();
  const followers = new Set<(seq: number) => void>();
  let looking: Promise<void> | undefined;
  let isFailing = false;
  /** The last entry that is known of, and until when none was known to come after it. */
  let heardAt = monotonic();
  let head = await store.lastSeq();

  const stopListening = store.onCommit((entries) => {
    const first = entries[0]?.seq;
    const last = entries.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    // Within its transaction it followed on what was known: nothing else had been written.
    if (first === head + 1) heardAt = monotonic();
    head = Math.max(head, last);
    for (const one of listeners) {
      if (one.busy === undefined && one.position + 1 === first) give(one, entries);
    }
    announce();
    if (listeners.some(isBehind)) lookSoon();
  });
  const timer = setInterval(lookSoon, lookEvery);
  timer.unref();

  /** What is being taken in leads to a look by itself. */
  function isBehind({ busy, position }: Listener): boolean {
    return busy === undefined && position < head;
  }

  function announce(): void {
    for (const resolve of waiting) resolve();
    waiting.clear();
  }

  /** @param entries those after its position */
  function give(one: Listener, entries: readonly LedgerEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const taken = (): void => {
      one.position = last.seq;
      one.error = undefined;
    };
    const failed = (error: unknown): void => {
      if (one.error === undefined) {
        log?.warn(
          { view: one.name },
          `"${one.name}" did not take in what changed: ${messageOf(error)}`,
        );
      }
      one.error = error;
    };
    try {
      const pending = one.take(entries);
      if (pending === undefined) {
        taken();
        return;
      }
      one.busy = pending.then(taken, failed).then(() => {
        one.busy = undefined;
        // What came meanwhile was not given to it. What failed is tried again with the next regular look.
        if (one.error === undefined && isBehind(one)) lookSoon();
      });
    } catch (error) {
      failed(error);
    }
  }

  /** Reads what others wrote, up to the end. */
  async function readOn(): Promise<void> {
    const asked = monotonic();
    const known = head;
    const last = await store.lastSeq();
    if (last < known)
      throw new Error(`the ledger ends at ${String(last)}, and had ${String(known)}`);
    head = Math.max(head, last);
    const refused = new Set<Listener>();
    for (;;) {
      const behind = listeners.filter((one) => isBehind(one) && !refused.has(one));
      if (behind.length === 0) break;
      const after = Math.min(...behind.map(({ position }) => position));
      const entries = await store.readEntries(after, mostAtOnce);
      const gap = entries.findIndex(({ seq }, index) => seq !== after + 1 + index);
      if (gap !== -1 || entries.length === 0) {
        throw new Error(`the ledger has no entry ${String(after + 1 + Math.max(0, gap))}`);
      }
      for (const one of behind) {
        // It may have been given some by a commit since.
        const { position } = one;
        if (!isBehind(one) || position >= after + entries.length) continue;
        give(
          one,
          entries.filter(({ seq }) => seq > position),
        );
        // What did not take them is not asked twice in one look.
        if (isBehind(one) && one.position === position) refused.add(one);
      }
    }
    heardAt = Math.max(heardAt, asked);
    if (head === known) return;
    for (const listener of followers) listener(head);
    announce();
  }

  function look(): Promise<void> {
    looking ??= readOn()
      .then(
        () => {
          isFailing = false;
        },
        (error: unknown) => {
          if (!isFailing) {
            log?.warn({}, `What changed in the ledger could not be read: ${messageOf(error)}`);
          }
          isFailing = true;
          throw error;
        },
      )
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  function lookSoon(): void {
    // It was told of, and whoever asks meanwhile is told that the answer is not known.
    look().catch(() => undefined);
  }

  return {
    join<State>(projection: Projection<State>): View<State> {
      const { name, state } = projection;
      const one: Listener = {
        name,
        position: head,
        busy: undefined,
        error: undefined,
        take: (entries) => projection.apply(state, entries),
      };
      listeners.push(one);
      return {
        name,
        state,
        isFresh: (bound) => one.position >= head && monotonic() - heardAt <= bound,
        async refresh() {
          // What it takes in may need time, in which more comes.
          for (let turn = 0; turn < 5; turn++) {
            try {
              await look();
            } catch (error) {
              throw stale(name, error);
            }
            await one.busy;
            if (one.position >= head) return;
            if (one.error !== undefined) break;
          }
          throw stale(name, one.error);
        },
      };
    },
    read: (after, limit) => store.readEntries(after, limit),
    wait(after, patience) {
      if (head > after) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timeout);
          waiting.delete(done);
          resolve();
        };
        const timeout = setTimeout(done, patience);
        timeout.unref();
        waiting.add(done);
      });
    },
    onOthers(listener) {
      followers.add(listener);
      return () => followers.delete(listener);
    },
    age: () => monotonic() - heardAt,
    close() {
      clearInterval(timer);
      stopListening();
      announce();
    },
  };
}

/**
 * An answer from memory, given only while that is known to be no older than `bound` milliseconds: uncertain is closed.
 * @throws {KeylineError} FEED_STALE; `view.refresh()` may help
 */
export function askFresh<State, Answer>(
  view: View<State>,
  bound: number,
  question: (state: State) => Answer,
): Answer {
  if (!view.isFresh(bound)) throw stale(view.name);
  return question(view.state);
}

/** The same after a look at the ledger where that is needed. @throws {KeylineError} FEED_STALE */
export async function freshen(
  view: Pick<View<unknown>, 'isFresh' | 'refresh'>,
  bound: number,
): Promise<void> {
  if (!view.isFresh(bound)) await view.refresh();
}

function stale(name: string, cause?: unknown): KeylineError {
  return new KeylineError(
    'FEED_STALE',
    `This service does not know whether "${name}" is as it was: the ledger could not be read${cause === undefined ? '' : ` (${messageOf(cause)})`}. Try again.`,
    { cause, context: { retryAfterSeconds: 1 } },
  );
}
