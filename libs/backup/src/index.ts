export { acceptCopy } from './accept-copy.ts';
export { assertRecipient, type BackupKey, type BackupLock } from './age-file.ts';
export { backupName, removeOldBackups } from './backup-folder.ts';
export { findBackupSource, type BackupSource } from './backup-source.ts';
export {
  overdueBy,
  readBackupStatus,
  writeBackupStatus,
  type BackupStatus,
} from './backup-status.ts';
export { assertNotHalfRestored } from './incomplete-restore.ts';
export { configurationName, makeBackup, type MadeBackup } from './make-backup.ts';
export type { Manifest } from './manifest.ts';
export { restoreBackup, type Restored, type RestoredList } from './restore-backup.ts';
export {
  endRestored,
  readRestoredLists,
  readRestoredMarker,
  restoredListsOf,
  restoredMarkerOf,
  writeRestoredMarker,
  type RestoredMarker,
} from './restored-marker.ts';
export { verifyBackup } from './verify-backup.ts';
