// What the ledger needs of a store: the port of followers, feed and leases. The fleet's own store is one.
import type { ErrorCode } from '@keyline/kernel';
import type { LedgerEntry, NewEntry } from './entry.ts';

/** The writes of a unit of work that are the ledger's own. */
export type LedgerWrite =
  /** Never moves back. */
  | { readonly op: 'move-cursor'; readonly follower: string; readonly seq: number }
  /**
   * A new holder, at the next epoch (the first is 1). Fails with LEASE_LOST unless the lease stands as it was seen; null: there is none yet.
   */
  | {
      readonly op: 'take-lease';
      readonly name: string;
      readonly holder: string;
      readonly seen: Pick<Lease, 'epoch' | 'beat'> | null;
      readonly until: number;
    }
  /** One more beat of the holder. Fails with LEASE_LOST unless it is held at this epoch. */
  | {
      readonly op: 'renew-lease';
      readonly name: string;
      readonly epoch: number;
      readonly until: number;
    }
  /** Given up by its holder; one that was lost is no error. */
  | { readonly op: 'release-lease'; readonly name: string; readonly epoch: number }
  /** Changes nothing. Fails with LEASE_LOST unless it is held at this epoch. */
  | { readonly op: 'hold-lease'; readonly name: string; readonly epoch: number };

/** Who may act on the world in the ledger's name: one holder at a time, each at an epoch of its own. */
export interface Lease {
  /** `crl`, `alerts`, `target:broker`. */
  readonly name: string;
  /** Null when it was given up. */
  readonly holder: string | null;
  /** Grows with each holder. */
  readonly epoch: number;
  /** Grows with each renewal and with the release: who waits watches it, with no regard to anybody's wall clock. */
  readonly beat: number;
  /** Epoch milliseconds of the holder's wall clock, for people to read; nothing is decided by it. */
  readonly until: number;
}

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
  findLease(name: string): Promise<Lease | undefined>;
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
