export type { AlertSeverity, DeviceState, EntryData, LedgerEntry, NewEntry } from './entry.ts';
export {
  startFollower,
  type Follower,
  type FollowerLog,
  type FollowerOptions,
  type RunningFollower,
} from './follower.ts';
export type { CommitResult, LedgerReader, LedgerStore, LedgerWrite } from './ledger-store.ts';
