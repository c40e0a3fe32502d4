// Who is on a broker, taken from it again and again and put on record: what one tick finds is durable before the broker forgets it.
import { Duration } from '@keyline/kernel';
import type { LedgerWrite } from '@keyline/ledger';
import type { TargetFollower } from './target-follower.ts';
import type { PresenceCursor, PresencePage } from './target.ts';

export interface PresenceRecord {
  /** How far it is known what a broker tells. */
  cursorOf(target: string): Promise<PresenceCursor>;
  /**
   * Keeps a page; resolves when it is durable.
   * @param hold what the unit of work demands
   */
  keep(target: string, page: PresencePage, hold: LedgerWrite): Promise<void>;
}

interface FollowPresenceOptions {
  readonly name: string;
  readonly target: Pick<TargetFollower, 'takePresence' | 'refusesSerials'>;
  readonly record: PresenceRecord;
  /** What a unit of work of this service demands; undefined: it is not its turn. @throws {KeylineError} LEASE_LOST */
  readonly hold: () => LedgerWrite | undefined;
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds since some moment, never set back. */
  readonly elapsed: () => number;
}

const askEvery = Duration.seconds(2);
/** One that tells no such thing may be another by then. */
const askAgain = Duration.seconds(30);
/** Pages in one tick: a fleet that comes all at once takes several ticks, and nothing else has to wait for it. */
const pagesPerTick = 8;

export function followPresence(options: FollowPresenceOptions): { tick(): Promise<void> } {
  const { name, target, record, hold, onFailure, elapsed } = options;
  let isAsking = false;
  let nextAt = -Infinity;
  let refusalBatch = 0;

  async function takePages(): Promise<void> {
    for (let pages = 0; pages < pagesPerTick; pages++) {
      // Not its turn, or not spoken to yet.
      if (hold() === undefined || target.refusesSerials() === undefined) return;
      const page = await target.takePresence({ ...(await record.cursorOf(name)), refusalBatch });
      const condition = hold();
      if (condition === undefined) return;
      if (page === undefined) {
        nextAt = elapsed() + askAgain;
        return;
      }
      await record.keep(name, page, condition);
      ({ refusalBatch } = page);
      if (page.complete) return;
    }
    nextAt = elapsed();
  }

  return {
    async tick() {
      if (isAsking || elapsed() < nextAt) return;
      isAsking = true;
      nextAt = elapsed() + askEvery;
      try {
        await takePages();
      } catch (error) {
        onFailure(error);
      } finally {
        isAsking = false;
      }
    },
  };
}
