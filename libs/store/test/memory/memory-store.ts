// A store in memory, for tests: the same port under the same contract, and the same turns of the event loop as the database's.
import type { CommitResult, Store, UnitOfWork } from '@keyline/fleet';
import { KeylineError, messageOf } from '@keyline/kernel';
import { decodeEntryData, encodeEntryData, type LedgerEntry } from '@keyline/ledger';
import { createReads } from './reads.ts';
import { Tables } from './tables.ts';
import { prepareWrites } from './writes.ts';

interface Waiting {
  readonly unit: UnitOfWork;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/** @param tables outlive the store, as a file outlives a process */
export function openMemoryStore(tables = new Tables()): Store {
  const applyWrite = prepareWrites(tables);
  const listeners = new Set<(entries: readonly LedgerEntry[]) => void>();
  let waiting: Waiting[] = [];
  let scheduled = false;
  let closed = false;

  function apply({ writes, entries: given }: UnitOfWork): CommitResult {
    const { ledger } = tables;
    const firstEntry = given.length === 0 ? null : ledger.length + 1;
    for (const [writeIndex, write] of writes.entries()) {
      const refusal = applyWrite(write, firstEntry);
      if (refusal === undefined) continue;
      tables.undo();
      return { ok: false, code: refusal.code, writeIndex, context: refusal.context ?? {} };
    }
    const entries = given.map(({ at, actor, address, data }, n): LedgerEntry => {
      if (!Number.isInteger(at)) throw new Error('an entry has no time');
      return {
        ...{ seq: ledger.length + 1 + n, at, actor },
        ...(address === undefined ? {} : { address }),
        data: decodeEntryData(encodeEntryData(data)),
      };
    });
    ledger.push(...entries);
    tables.keep();
    return { ok: true, entries };
  }

  function applyOrFail(unit: UnitOfWork): CommitResult | KeylineError {
    try {
      return apply(unit);
    } catch (cause) {
      tables.undo();
      return new KeylineError('INTERNAL', `Not taken: ${messageOf(cause)}.`, { cause });
    }
  }

  function notify(entries: readonly LedgerEntry[]): void {
    for (const listener of listeners) {
      try {
        listener(entries);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  function flush(): void {
    scheduled = false;
    const group = waiting.splice(0);
    const outcomes = group.map(({ unit }) => applyOrFail(unit));
    const entries = outcomes.flatMap((one) => ('ok' in one && one.ok ? one.entries : []));
    if (entries.length > 0) notify(entries);
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome instanceof KeylineError) group[n]?.reject(outcome);
      else group[n]?.resolve(outcome);
    }
  }

  return {
    ...createReads(tables),
    commit(unit) {
      if (closed) return Promise.reject(new KeylineError('INTERNAL', 'The store is closed.'));
      return new Promise((resolve, reject) => {
        waiting.push({ unit, resolve, reject });
        if (!scheduled) setImmediate(flush);
        scheduled = true;
      });
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      flush();
      waiting = [];
      return Promise.resolve();
    },
  };
}
