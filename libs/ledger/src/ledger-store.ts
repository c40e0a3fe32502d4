// What the ledger needs of a store: the port of followers, feed and leases. The fleet's own store is one.
import type { ErrorCode } from '@keyline/kernel';
import type { LedgerEntry, NewEntry } from './entry.ts';

/** The writes of a unit of work that are the ledger's own. */
export type LedgerWrite =
  /** Never moves back. */
  { readonly op: 'move-cursor'; readonly follower: string; readonly seq: number };

export type CommitResult =
  | { readonly ok: true; readonly entries: readonly LedgerEntry[] }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      /** The write that failed, by position, and what the store knows of why. */
      readonly writeIndex: number;
      readonly context: Readonly<Record<string, string | number>>;
    };

export interface LedgerReader {
  readEntries(afterSeq: number, limit: number): Promise<readonly LedgerEntry[]>;
  lastSeq(): Promise<number>;
  findCursor(follower: string): Promise<number>;
}

export interface LedgerStore extends LedgerReader {
  /** Resolves when the unit is durable, or says which condition failed; rejects only when the store itself fails. */
  commit(unit: {
    readonly writes: readonly LedgerWrite[];
    readonly entries: readonly NewEntry[];
  }): Promise<CommitResult>;
  /** Called after each commit, in order, before its `commit` promise resolves. Returns the way to stop. */
  onCommit(listener: (entries: readonly LedgerEntry[]) => void): () => void;
}
