export { decodeEntryData, encodeEntryData, subjectOf } from './entry-encoding.ts';
export type { AlertSeverity, DeviceState, EntryData, LedgerEntry, NewEntry } from './entry.ts';
export { freshen, openFeed, type Feed, type Projection, type View } from './feed.ts';
export { startFollower, type RunningFollower } from './follower.ts';
export {
  startLeasedFollower,
  type LeasedFollower,
  type RunningLeasedFollower,
} from './leased-follower.ts';
export { createLeases, leaseLost, type Hold, type Leases } from './leases.ts';
export type {
  CommitResult,
  Lease,
  LedgerReader,
  LedgerStore,
  LedgerWrite,
} from './ledger-store.ts';
