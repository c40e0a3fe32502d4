// The one commit path: waiting units share a transaction and its fsync, and one unit's refusal harms no neighbour.
import type { CommitResult, UnitOfWork } from '@keyline/fleet';
import { encodeEntryData, subjectOf, type LedgerEntry } from '@keyline/ledger';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { Database } from 'better-sqlite3';
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

export interface Commits {
  commit(unit: UnitOfWork): Promise<CommitResult>;
  onCommit(listener: (entries: readonly LedgerEntry[]) => void): () => void;
  lastSeq(): number;
  /** Commits what waits and takes nothing more. */
  close(): void;
}

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
  let seq = (db.prepare('SELECT max(seq) FROM ledger').pluck().get() as number | null) ?? 0;
  let waiting: Waiting[] = [];
  let scheduled = false;
  let closed = false;
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

  /** Refusals are rare and savepoints cost a tenth of a commit, so a group is tried without them first. */
  function applyGroup(group: readonly Waiting[]): Outcome[] {
    const seqBefore = seq;
    begin.run();
    let results = applyPlainly(group);
    if (results === undefined) {
      seq = seqBefore;
      if (db.inTransaction) rollback.run();
      begin.run();
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
    const seqBefore = seq;
    let results: Outcome[];
    try {
      beforeGroup();
      results = applyGroup(group);
    } catch (cause) {
      seq = seqBefore;
      if (db.inTransaction) rollback.run();
      const error = notTaken(cause);
      for (const { reject } of group) reject(error);
      return;
    }
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
    const group = waiting.splice(0, largestGroup);
    if (waiting.length > 0) schedule();
    if (group.length > 0) commitGroup(group);
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    // After this turn's I/O callbacks: requests that arrived together commit together, a lone one does not wait.
    setImmediate(flush);
  }

  return {
    lastSeq: () => seq,
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
      closed = true;
      const rest = waiting;
      waiting = [];
      for (let start = 0; start < rest.length; start += largestGroup) {
        commitGroup(rest.slice(start, start + largestGroup));
      }
    },
  };
}
