// A file that is there while a restore is not at its end: on what was brought back by half, nothing starts.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeFile, syncFolder, writeNewFile } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';

const name = 'restore-incomplete';

export function markIncomplete(data: string): {
  readonly path: string;
  begin(): Promise<void>;
  end(): Promise<void>;
} {
  const path = join(data, name);
  return {
    path,
    async begin() {
      await writeNewFile(
        path,
        'A "keyline restore" into this folder has not come to its end. Remove the folder, and run it again.\n',
      );
    },
    async end() {
      await removeFile(path);
      await syncFolder(data);
    },
  };
}

/**
 * @param folder of `keyline up`, or of one of its services
 * @throws {KeylineError} FILE_UNREADABLE
 */
export function assertNotHalfRestored(folder: string): void {
  for (const one of [folder, dirname(folder)]) {
    if (!existsSync(join(one, name))) continue;
    throw new KeylineError(
      'FILE_UNREADABLE',
      `A restore into ${one} was interrupted: what is there is not whole, and nothing starts on it. Remove that folder, and run "keyline restore" again.`,
    );
  }
}
