// A follower that acts on the world: of all processes on one ledger the one that holds its lease follows, the others watch how far it is
// and take over when the lease ends.
import { messageOf } from '@keyline/kernel';
import {
  startFollower,
  type Follower,
  type FollowerOptions,
  type RunningFollower,
} from './follower.ts';
import type { Hold, Leases } from './leases.ts';

export interface LeasedFollower extends Follower {
  /** Its turn has come: whatever this process remembers of the world may be old. Before the first `apply`. */
  begin?(hold: Hold): Promise<void>;
  /** Its turn is over. What is still under way must not be finished: another goes on with it. */
  end?(): Promise<void>;
}

export interface RunningLeasedFollower extends RunningFollower {
  /** The lease, while this process has it. */
  hold(): Hold | undefined;
}

export interface LeasedFollowerOptions extends Omit<FollowerOptions, 'follower' | 'hold'> {
  readonly follower: LeasedFollower;
  readonly leases: Leases;
}

/** Milliseconds between looks at how far the holder is, while nobody waits for it and while somebody does. */
const lookEvery = 500;
const lookEveryForWaiters = 20;
/** A holder that has not got on for so long is said not to. */
const patience = 5000;

/** The lease is called as the follower is. */
export async function startLeasedFollower(
  options: LeasedFollowerOptions,
): Promise<RunningLeasedFollower> {
  const { store, follower, leases, log } = options;
  const { name } = follower;
  let mine: RunningFollower | undefined;
  let held: Hold | undefined;
  /** As this process sees the holder: its saved cursor, the end of the ledger, and when it last moved. */
  let seen = { cursor: await store.findCursor(name), head: await store.lastSeq(), movedAt: now() };
  let lookTimer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function look(): Promise<void> {
    const [cursor, head] = await Promise.all([store.findCursor(name), store.lastSeq()]);
    const moved = cursor !== seen.cursor || seen.cursor >= seen.head;
    seen = { cursor, head, movedAt: moved ? now() : seen.movedAt };
  }

  function lookLater(): void {
    clearTimeout(lookTimer);
    if (stopped || mine !== undefined) return;
    lookTimer = setTimeout(() => {
      look()
        .catch((error: unknown) => {
          log?.warn(
            { follower: name },
            `How far ${name} is could not be read: ${messageOf(error)}`,
          );
        })
        .finally(lookLater);
    }, lookEvery);
    lookTimer.unref();
  }

  const contender = await leases.contend(name, {
    async begin(hold) {
      held = hold;
      try {
        await follower.begin?.(hold);
        mine = await startFollower({ ...options, hold });
      } catch (error) {
        held = undefined;
        await follower.end?.();
        throw error;
      }
    },
    async end() {
      const ending = mine;
      mine = undefined;
      if (ending !== undefined) {
        seen = {
          cursor: ending.position(),
          head: ending.position() + ending.lag(),
          movedAt: now(),
        };
      }
      // Given up in order, what is under way is finished; lost, it is cut off.
      if (held?.isHeld() === true) await ending?.stop();
      await follower.end?.();
      await ending?.stop();
      held = undefined;
      lookLater();
    },
  });
  lookLater();

  async function watchUntil(seq: number, deadline: number): Promise<boolean> {
    for (;;) {
      if (mine !== undefined) return mine.waitFor(seq, Math.max(0, deadline - now()));
      if (seen.cursor >= seq) return true;
      if (stopped || now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, lookEveryForWaiters));
      await look();
    }
  }

  return {
    name,
    hold: () => contender.hold(),
    position: () => mine?.position() ?? seen.cursor,
    lag: () => mine?.lag() ?? Math.max(0, seen.head - seen.cursor),
    lastError() {
      if (mine !== undefined) return mine.lastError();
      if (seen.cursor >= seen.head || now() - seen.movedAt < patience) return undefined;
      return `The service that holds the lease "${name}" has not got on for ${String(Math.round((now() - seen.movedAt) / 1000))} s.`;
    },
    waitFor: (seq, timeoutMilliseconds) =>
      mine?.waitFor(seq, timeoutMilliseconds) ?? watchUntil(seq, now() + timeoutMilliseconds),
    wake: () => mine?.wake(),
    async stop() {
      stopped = true;
      clearTimeout(lookTimer);
      await contender.stop();
    },
  };
}

const now = (): number => performance.now();
