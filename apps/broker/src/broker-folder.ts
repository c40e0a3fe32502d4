// One broker for one data folder.
import { mkdir } from 'node:fs/promises';
import { KeylineError } from '@keyline/kernel';
import { lockFolder, type FolderLock } from '@keyline/process';

/**
 * Opens what has the folder to itself until it is closed. The folder is made where it is missing.
 * @throws {KeylineError} FILE_UNREADABLE when another broker has it, or nothing can be written there; what `open` throws
 */
export async function openAlone<Opened extends { close(): Promise<void> }>(
  folder: string,
  open: () => Promise<Opened>,
): Promise<Opened> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = lockBrokerFolder(folder);
  try {
    const opened = await open();
    return {
      ...opened,
      async close() {
        await opened.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function lockBrokerFolder(folder: string): FolderLock {
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
