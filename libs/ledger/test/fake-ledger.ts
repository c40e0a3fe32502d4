// A ledger in memory for the follower loop: it can be slow, fail, and count what is asked of it.
import type { CommitResult, Lease, LedgerEntry, LedgerStore, LedgerWrite } from '../src/index.ts';
import { MemoryLeases } from './memory-leases.ts';

export class FakeLedger implements LedgerStore {
  readonly entries: LedgerEntry[] = [];
  readonly cursors = new Map<string, number>();
  reads = 0;
  /** How many of the next commits the store rejects. */
  failingCommits = 0;
  /** Another process writes: nobody here is told. */
  addElsewhere(count: number): void {
    const listeners = this.#listeners;
    this.#listeners = new Set();
    this.add(count);
    this.#listeners = listeners;
  }

  /** Rejected by every read while it is set. */
  failure: Error | undefined;
  /** Whose renewals the store rejects, as if that process were stopped. */
  refusing: string | undefined;
  readonly #leases = new MemoryLeases();
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

  commit(unit: Parameters<LedgerStore['commit']>[0]): Promise<CommitResult> {
    if (this.failingCommits > 0) {
      this.failingCommits--;
      return Promise.reject(new Error('disk full'));
    }
    if (this.refusing !== undefined && unit.writes.some((write) => this.#isRenewalOf(write))) {
      return Promise.reject(new Error('database is locked'));
    }
    for (const [writeIndex, write] of unit.writes.entries()) {
      if (!this.#leases.apply(write)) {
        return Promise.resolve({ ok: false, code: 'LEASE_LOST', writeIndex, context: {} });
      }
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
    if (this.failure !== undefined) throw this.failure;
    return this.entries.slice(afterSeq, afterSeq + limit);
  }

  findCursor(follower: string): Promise<number> {
    return Promise.resolve(this.cursors.get(follower) ?? 0);
  }

  #isRenewalOf(write: LedgerWrite): boolean {
    if (write.op !== 'renew-lease') return false;
    const lease = this.leaseNow(write.name);
    return lease?.epoch === write.epoch && lease.holder === this.refusing;
  }

  leaseNow(name: string): Lease | undefined {
    return this.#leases.leases.get(name);
  }

  findLease(name: string): Promise<Lease | undefined> {
    return Promise.resolve(this.#leases.leases.get(name));
  }

  lastSeq(): Promise<number> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve(this.entries.length);
  }
}
