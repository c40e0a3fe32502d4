// The leases of one process: it contends for them, renews them, and knows when one is its own no more. Nothing here is decided by a wall
// clock: who waits watches whether the holder's beat moves, by its own monotonic clock, so a clock that is set takes a lease from nobody.
import { KeylineError, messageOf, type Clock } from '@keyline/kernel';
import type { LedgerStore, LedgerWrite } from './ledger-store.ts';

/** A lease that this process has. */
export interface Hold {
  readonly name: string;
  readonly epoch: number;
  /** False also while it could not be renewed in time: another may have it by now. */
  isHeld(): boolean;
  /** What a unit of work demands that is to be this holder's alone. @throws {KeylineError} LEASE_LOST when its time is over */
  condition(): LedgerWrite;
}

/** What somebody does while they have a lease. */
export interface Turn {
  /** Whoever had it before may have got further than this process knows. */
  begin(hold: Hold): Promise<void>;
  /** It was lost, or is given up after this. */
  end(): Promise<void>;
}

export interface Contender {
  /** The lease while this process has it. */
  hold(): Hold | undefined;
  /** Ends the turn and gives the lease up. */
  stop(): Promise<void>;
}

export interface Leases {
  /** By which the store knows this process. */
  readonly holder: string;
  /** Resolves after the first attempt, and after `begin` when that won; then goes on for it until stopped. One contender for each name. */
  contend(name: string, turn: Turn): Promise<Contender>;
  /** Stops all contenders. */
  close(): Promise<void>;
}

export interface LeasesOptions {
  readonly store: Pick<LedgerStore, 'commit' | 'findLease'>;
  /** Unique among all processes that ever were. */
  readonly holder: string;
  /** For the `until` that people read. */
  readonly clock: Clock;
  /** Nobody else can have the store open: whatever lease is on record is of one that is gone, and none need be renewed. */
  readonly alone: boolean;
  /** Milliseconds after which a holder that was not heard of has lost it; default 3000. */
  readonly duration?: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic?: () => number;
  readonly log?: { warn(context: Readonly<Record<string, unknown>>, message: string): void };
}

interface Held extends Hold {
  /** By the monotonic clock. */
  validUntil: number;
  readonly lost: AbortController;
}

/** A holder's own reckoning ends a little sooner than everybody else's: clocks do not run at one speed. */
const shareOfHolder = 0.9;

export function createLeases(options: LeasesOptions): Leases {
  const { store, holder, clock, alone, log, duration = 3000 } = options;
  const monotonic = options.monotonic ?? (() => performance.now());
  const held = new Map<string, Held>();
  const contenders = new Map<string, Contender>();
  let renewing: Promise<void> | undefined;
  const timer = alone ? undefined : setInterval(renew, duration / 4);
  timer?.unref();

  const validFrom = (begun: number): number =>
    alone ? Number.POSITIVE_INFINITY : begun + duration * shareOfHolder;
  const until = (): number => clock.now() + duration;

  function renew(): void {
    if (held.size === 0) return;
    renewing ??= renewAll()
      .catch((error: unknown) => {
        log?.warn(
          { holder },
          `The leases of this service could not be renewed: ${messageOf(error)}`,
        );
      })
      .finally(() => {
        renewing = undefined;
      });
  }

  /** All in one unit of work; one that was lost is let go, and the others renewed without it. */
  async function renewAll(): Promise<void> {
    while (held.size > 0) {
      const begun = monotonic();
      const all = [...held.values()];
      const result = await store.commit({
        writes: all.map(({ name, epoch }) => ({ op: 'renew-lease', name, epoch, until: until() })),
        entries: [],
      });
      if (result.ok) {
        for (const one of all) one.validUntil = validFrom(begun);
        return;
      }
      const gone = all[result.writeIndex];
      if (gone === undefined) return;
      if (held.get(gone.name) === gone) held.delete(gone.name);
      gone.lost.abort();
    }
  }

  function holdOf(name: string, epoch: number, begun: number): Held {
    const one: Held = {
      name,
      epoch,
      validUntil: validFrom(begun),
      lost: new AbortController(),
      isHeld: () => !one.lost.signal.aborted && monotonic() < one.validUntil,
      condition() {
        if (one.isHeld()) return { op: 'hold-lease', name, epoch };
        throw leaseLost(name);
      },
    };
    return one;
  }

  /** Watches a lease that others have; tries to take it when it is free. */
  function createWatch(name: string): () => Promise<Held | undefined> {
    let seen: { readonly epoch: number; readonly beat: number; readonly since: number } | undefined;
    return async () => {
      const lease = await store.findLease(name);
      if (lease !== undefined && (seen?.epoch !== lease.epoch || seen.beat !== lease.beat)) {
        seen = { epoch: lease.epoch, beat: lease.beat, since: monotonic() };
      }
      const isFree =
        alone ||
        lease === undefined ||
        lease.holder === null ||
        (seen !== undefined && monotonic() - seen.since >= duration);
      if (!isFree) return undefined;
      const begun = monotonic();
      const result = await store.commit({
        writes: [{ op: 'take-lease', name, holder, seen: lease ?? null, until: until() }],
        entries: [],
      });
      if (!result.ok) return undefined;
      if (lease !== undefined && lease.holder !== null && !alone) {
        log?.warn(
          { lease: name, from: lease.holder, holder },
          `${lease.holder} was not heard of for ${String(duration)} ms and lost the lease "${name}" to this service.`,
        );
      }
      const one = holdOf(name, (lease?.epoch ?? 0) + 1, begun);
      held.set(name, one);
      return one;
    };
  }

  async function release({ name, epoch, lost }: Held): Promise<void> {
    if (held.get(name)?.epoch === epoch) held.delete(name);
    lost.abort();
    await store.commit({ writes: [{ op: 'release-lease', name, epoch }], entries: [] });
  }

  async function contend(name: string, turn: Turn): Promise<Contender> {
    if (contenders.has(name)) throw new Error(`this process contends for "${name}" already`);
    const watch = createWatch(name);
    const stopped = new AbortController();
    let current: Held | undefined;

    async function tryOnce(): Promise<void> {
      const won = await watch();
      if (won === undefined) return;
      try {
        await turn.begin(won);
      } catch (error) {
        await release(won);
        throw error;
      }
      current = won;
    }

    async function endTurn(): Promise<void> {
      const ending = current;
      current = undefined;
      if (ending === undefined) return;
      await turn.end();
      if (!ending.lost.signal.aborted) await release(ending);
    }

    async function goOn(): Promise<void> {
      while (!stopped.signal.aborted) {
        try {
          if (current !== undefined) {
            await aborted(current.lost.signal, stopped.signal);
            await endTurn();
          } else if (await pause(duration / 8, stopped.signal)) {
            await tryOnce();
          }
        } catch (error) {
          log?.warn({ lease: name, holder }, `The lease "${name}": ${messageOf(error)}`);
          await pause(duration / 8, stopped.signal);
        }
      }
    }

    // What can't begin is told to whoever starts it, not tried for ever unseen.
    await tryOnce();
    const going = goOn();
    const contender: Contender = {
      hold: () => current,
      async stop() {
        contenders.delete(name);
        stopped.abort();
        await going;
        await endTurn();
      },
    };
    contenders.set(name, contender);
    return contender;
  }

  return {
    holder,
    contend,
    async close() {
      await Promise.all([...contenders.values()].map((one) => one.stop()));
      clearInterval(timer);
      await renewing;
    },
  };
}

export function leaseLost(name: string): KeylineError {
  return new KeylineError(
    'LEASE_LOST',
    `Another service may have the lease "${name}" by now: this one must not act in its place.`,
    { context: { lease: name } },
  );
}

function aborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const any = AbortSignal.any([...signals]);
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** False when it was stopped. */
function pause(milliseconds: number, stop: AbortSignal): Promise<boolean> {
  if (stop.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve(!stop.aborted);
    };
    const timer = setTimeout(done, milliseconds);
    timer.unref();
    stop.addEventListener('abort', done);
  });
}
