// The one commit path: waiting units share a transaction and its fsync, and one unit's refusal harms no neighbour.
import type { CommitResult, UnitOfWork } from '@keyline/fleet';
import { encodeEntryData, subjectOf, type LedgerEntry } from '@keyline/ledger';
import { KeylineError, messageOf } from '@keyline/kernel';
import { SqliteError, type Database } from 'better-sqlite3';
import type { ApplyWrite } from './writes.ts';

interface Waiting {
  readonly unit: UnitOfWork;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What became of a unit; a failed one rejects its promise. */
type Outcome = CommitResult | { readonly ok: 'failed'; readonly error: KeylineError };

function notTaken(cause: unknown): KeylineError {
  return new KeylineError(
    'INTERNAL',
    `The database did not take a change: ${messageOf(cause)}. Check free space and permissions of its folder.`,
    { cause },
  );
}

export function isBusy(cause: unknown): boolean {
  return cause instanceof SqliteError && cause.code.startsWith('SQLITE_BUSY');
}

function locked(cause: unknown): KeylineError {
  return new KeylineError(
    'SERVICE_BUSY',
    `Another program has kept the database locked for ${String(busyPatience / 1000)} s, and nothing was done. End what writes to it (a backup, a shell, another service), then try again.`,
    { cause, context: { retryAfterSeconds: 5 } },
  );
}

export interface Commits {
  commit(unit: UnitOfWork): Promise<CommitResult>;
  onCommit(listener: (entries: readonly LedgerEntry[]) => void): () => void;
  /** Commits what waits and takes nothing more. */
  close(): void;
}

/** Milliseconds for which a writer that is not this service is waited for, and between two tries. */
export const busyPatience = 10_000;
export const retryAfter = 5;

/** A group is cut here so that a flood can't hold the event loop for long. */
const largestGroup = 256;

/** @param beforeGroup called before a group's transaction begins */
export function createCommits(
  db: Database,
  applyWrite: ApplyWrite,
  beforeGroup: () => void,
): Commits {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const end = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT unit');
  const release = db.prepare('RELEASE unit');
  const rollbackUnit = db.prepare('ROLLBACK TO unit');
  const append = db.prepare(
    'INSERT INTO ledger (seq, at, actor, subject, data, address) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const lastSeq = db.prepare('SELECT max(seq) FROM ledger').pluck();
  /** The last one that was given, within a transaction. */
  let seq = 0;
  let waiting: Waiting[] = [];
  let scheduled = false;
  let closed = false;
  /** `performance.now()` since which another program keeps the database locked. */
  let busySince: number | undefined;
  let retry: NodeJS.Timeout | undefined;
  const listeners = new Set<(entries: readonly LedgerEntry[]) => void>();

  /** Applies one unit inside the open transaction. Its seqs are given only when every write was taken. */
  function applyUnit({ writes, entries: given }: UnitOfWork): CommitResult {
    let writeIndex = 0;
    const firstEntry = given.length === 0 ? null : seq + 1;
    for (const write of writes) {
      const refusal = applyWrite(write, firstEntry);
      if (refusal !== undefined) {
        return { ok: false, code: refusal.code, writeIndex, context: refusal.context ?? {} };
      }
      writeIndex++;
    }
    const entries = given.map((entry): LedgerEntry => ({ seq: ++seq, ...entry }));
    for (const entry of entries) {
      append.run(
        entry.seq,
        entry.at,
        entry.actor,
        subjectOf(entry),
        encodeEntryData(entry.data),
        entry.address ?? null,
      );
    }
    return { ok: true, entries };
  }

  /**
   * The same behind a savepoint, so that a refused unit is undone alone. A unit that SQLite itself refuses (a constraint no write names, a
   * value it can't hold) fails alone too; an error that ends the transaction is thrown.
   */
  function applyGuarded(unit: UnitOfWork): Outcome {
    const seqBefore = seq;
    savepoint.run();
    let outcome: Outcome;
    try {
      outcome = applyUnit(unit);
    } catch (cause) {
      if (!db.inTransaction) throw cause;
      seq = seqBefore;
      outcome = { ok: 'failed', error: notTaken(cause) };
    }
    if (outcome.ok !== true) rollbackUnit.run();
    release.run();
    return outcome;
  }

  /** Every unit without a savepoint; undefined when one left something behind that must be undone. */
  function applyPlainly(group: readonly Waiting[]): Outcome[] | undefined {
    const results: Outcome[] = [];
    try {
      for (const { unit } of group) {
        const result = applyUnit(unit);
        if (!result.ok && result.writeIndex > 0) return undefined;
        results.push(result);
      }
      return results;
    } catch {
      // The guarded way meets the same error and says whose it is.
      return undefined;
    }
  }

  function beginGroup(): void {
    begin.run();
    // Read within: another service may have written since.
    seq = (lastSeq.get() as number | null) ?? 0;
  }

  /** Refusals are rare and savepoints cost a tenth of a commit, so a group is tried without them first. */
  function applyGroup(group: readonly Waiting[]): Outcome[] {
    beginGroup();
    let results = applyPlainly(group);
    if (results === undefined) {
      if (db.inTransaction) rollback.run();
      beginGroup();
      results = group.map(({ unit }) => applyGuarded(unit));
    }
    end.run();
    return results;
  }

  function notify(entries: readonly LedgerEntry[]): void {
    for (const listener of listeners) {
      try {
        listener(entries);
      } catch (error) {
        // The commit stands whatever a listener thinks of it; the fault must still be seen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  function commitGroup(group: readonly Waiting[]): void {
    let results: Outcome[];
    try {
      beforeGroup();
      results = applyGroup(group);
    } catch (cause) {
      if (db.inTransaction) rollback.run();
      if (isBusy(cause) && mayWait()) {
        waiting = [...group, ...waiting];
        return;
      }
      const error = isBusy(cause) ? locked(cause) : notTaken(cause);
      for (const { reject } of group) reject(error);
      return;
    }
    busySince = undefined;
    const entries = results.flatMap((result) => (result.ok === true ? result.entries : []));
    if (entries.length > 0) notify(entries);
    for (const [index, { resolve, reject }] of group.entries()) {
      const result = results[index];
      if (result === undefined) continue;
      if (result.ok === 'failed') reject(result.error);
      else resolve(result);
    }
  }

  function flush(): void {
    scheduled = false;
    clearTimeout(retry);
    const group = waiting.splice(0, largestGroup);
    if (group.length > 0) commitGroup(group);
    if (waiting.length > 0) schedule();
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    // After this turn's I/O callbacks: requests that arrived together commit together, a lone one does not wait.
    setImmediate(flush);
  }

  /** Whether a group may be tried again: somebody else writes, which ends. Between two tries everything else has its turn. */
  function mayWait(): boolean {
    if (closed) return false;
    const now = performance.now();
    busySince ??= now;
    if (now - busySince >= busyPatience) {
      busySince = undefined;
      return false;
    }
    scheduled = true;
    retry = setTimeout(flush, retryAfter);
    return true;
  }

  return {
    commit(unit) {
      if (closed) {
        return Promise.reject(new KeylineError('INTERNAL', 'The database is closed.'));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ unit, resolve, reject });
        schedule();
      });
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      if (closed) return;
      closed = true;
      clearTimeout(retry);
      // Now there is nothing else that waiting would keep waiting.
      db.pragma('busy_timeout = 2000');
      const rest = waiting;
      waiting = [];
      for (let start = 0; start < rest.length; start += largestGroup) {
        commitGroup(rest.slice(start, start + largestGroup));
      }
    },
  };
}
