// One `keyline up` a folder.
import { KeylineError } from '@keyline/kernel';
import { lockFolder, type FolderLock } from '@keyline/process';

/**
 * @param folder must exist
 * @throws {KeylineError} USAGE when another one runs on this folder, FILE_UNREADABLE
 */
export function acquireLock(folder: string, pid: number): FolderLock {
  return lockFolder({
    ...{ folder, pid, name: 'up.lock' },
    explain: (failure) =>
      failure.why === 'taken'
        ? new KeylineError(
            'USAGE',
            `"keyline up" runs on ${folder} already (process ${String(failure.holder ?? 'unknown')}). Use it as it is (endpoints.json in the folder), stop it first, or give another folder.`,
          )
        : new KeylineError(
            'FILE_UNREADABLE',
            `The folder ${folder} could not be locked (${failure.detail}). It must belong to the user who runs this.`,
          ),
  });
}
