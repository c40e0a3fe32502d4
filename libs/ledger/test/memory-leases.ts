// Leases in memory, as a store has them.
import type { Lease, LedgerWrite } from '../src/index.ts';

export class MemoryLeases {
  readonly leases = new Map<string, Lease>();

  /** False: refused with LEASE_LOST. */
  apply(write: LedgerWrite): boolean {
    if (write.op === 'move-cursor') return true;
    const lease = this.leases.get(write.name);
    if (write.op === 'take-lease') {
      const { name, holder, seen, until } = write;
      if (lease?.epoch !== seen?.epoch || lease?.beat !== seen?.beat) return false;
      this.leases.set(name, { name, holder, epoch: (lease?.epoch ?? 0) + 1, beat: 0, until });
      return true;
    }
    const holds = lease?.epoch === write.epoch && lease.holder !== null;
    if (!holds) return write.op === 'release-lease';
    if (write.op === 'hold-lease') return true;
    const holder = write.op === 'release-lease' ? null : lease.holder;
    const until = write.op === 'renew-lease' ? write.until : lease.until;
    this.leases.set(write.name, { ...lease, holder, until, beat: lease.beat + 1 });
    return true;
  }
}
