// One read transaction for all reads of a turn of the event loop: one of its own for each statement costs as much as the lookup.
import type { StoreReader } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';

export interface SharedReads {
  /** The same reads; a transaction is opened before the first of a turn. */
  readonly reads: StoreReader;
  /** Ends the transaction now: before a commit, which later reads must see. */
  end(): void;
}

/**
 * Milliseconds after which a turn reads anew. A process that was stopped in the middle of a turn would go on with a picture of then, and
 * what another process has written since would not be in it.
 */
const longest = 50;

export function shareReads(db: Database, given: StoreReader): SharedReads {
  const begin = db.prepare('BEGIN DEFERRED');
  const commit = db.prepare('COMMIT');
  let isOpen = false;
  let begunAt = 0;
  const end = (): void => {
    if (!isOpen) return;
    isOpen = false;
    commit.run();
  };
  const open = (): void => {
    const now = performance.now();
    if (isOpen && now - begunAt > longest) end();
    if (isOpen) return;
    begin.run();
    isOpen = true;
    begunAt = now;
    setImmediate(end);
  };
  const reads = Object.fromEntries(
    Object.entries(given as unknown as Record<string, (...values: unknown[]) => unknown>).map(
      ([name, read]) => [
        name,
        (...values: unknown[]): unknown => {
          open();
          return read(...values);
        },
      ],
    ),
  );
  return { reads: reads as unknown as StoreReader, end };
}
