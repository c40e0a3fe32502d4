// A ledger in memory for the follower loop: it can be slow, fail, and count what is asked of it.
import type { CommitResult, UnitOfWork } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';
import type { FollowerOptions } from '../src/index.ts';

export class FakeLedger implements NonNullable<FollowerOptions['store']> {
  readonly entries: LedgerEntry[] = [];
  readonly cursors = new Map<string, number>();
  reads = 0;
  /** How many of the next commits the store rejects. */
  failingCommits = 0;
  #listeners = new Set<(entries: readonly LedgerEntry[]) => void>();

  /** Appends entries and tells who listens, as one commit. */
  add(count: number): LedgerEntry[] {
    const added = Array.from({ length: count }, (_, n): LedgerEntry => {
      const seq = this.entries.length + n + 1;
      return {
        seq,
        at: seq,
        actor: 'keyline',
        data: { kind: 'token-created', token: `t${String(seq)}`, use: 'api' },
      };
    });
    this.entries.push(...added);
    for (const listener of this.#listeners) listener(added);
    return added;
  }

  get listening(): number {
    return this.#listeners.size;
  }

  commit(unit: UnitOfWork): Promise<CommitResult> {
    if (this.failingCommits > 0) {
      this.failingCommits--;
      return Promise.reject(new Error('disk full'));
    }
    for (const write of unit.writes) {
      if (write.op === 'move-cursor') this.cursors.set(write.follower, write.seq);
    }
    return Promise.resolve({ ok: true, entries: [] });
  }

  onCommit(listener: (entries: readonly LedgerEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async readEntries(afterSeq: number, limit: number): Promise<readonly LedgerEntry[]> {
    this.reads++;
    return this.entries.slice(afterSeq, afterSeq + limit);
  }

  findCursor(follower: string): Promise<number> {
    return Promise.resolve(this.cursors.get(follower) ?? 0);
  }

  lastSeq(): Promise<number> {
    return Promise.resolve(this.entries.length);
  }
}
