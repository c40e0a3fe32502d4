// One broker for one data folder.
import { KeylineError } from '@keyline/kernel';
import { lockFolder, type FolderLock } from '@keyline/process';

/** @throws {KeylineError} FILE_UNREADABLE when another broker has it, or nothing can be written there */
export function lockBrokerFolder(folder: string): FolderLock {
  return lockFolder({
    folder,
    name: 'lock',
    explain: (failure) =>
      new KeylineError(
        'FILE_UNREADABLE',
        failure.why === 'taken'
          ? `Another broker uses the folder ${folder}: two would destroy each other's sessions and rights. Stop that one (look for a keyline-broker with --data ${folder}), or give this one a folder of its own.`
          : `The folder ${folder} could not be locked (${failure.detail}): give the broker the right to write there.`,
      ),
  });
}
