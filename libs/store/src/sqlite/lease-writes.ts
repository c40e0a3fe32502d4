// The writes of leases: who may act for a target, a list or alerts, and that it still may.
import type { Write } from '@keyline/fleet';
import type { prepareStatements } from './write-statements.ts';
import type { Refusal } from './writes.ts';

type Op = 'take-lease' | 'renew-lease' | 'release-lease' | 'hold-lease';

export function prepareLeaseWrites(statements: ReturnType<typeof prepareStatements>): {
  [Each in Op]: (write: Extract<Write, { op: Each }>) => Refusal;
} {
  return {
    'take-lease': ({ name, holder, seen, until }) => {
      const taken =
        seen === null
          ? statements.insertLease.run(name, holder, until)
          : statements.takeLease.run(holder, until, name, seen.epoch, seen.beat);
      return taken.changes > 0 ? undefined : { code: 'LEASE_LOST', context: { lease: name } };
    },
    'renew-lease': ({ name, epoch, until }) =>
      statements.renewLease.run(until, name, epoch).changes > 0
        ? undefined
        : { code: 'LEASE_LOST', context: { lease: name, epoch } },
    'release-lease': ({ name, epoch }) => {
      statements.releaseLease.run(name, epoch);
      return undefined;
    },
    'hold-lease': ({ name, epoch }) =>
      statements.heldLease.get(name, epoch) !== undefined
        ? undefined
        : { code: 'LEASE_LOST', context: { lease: name, epoch } },
  };
}
