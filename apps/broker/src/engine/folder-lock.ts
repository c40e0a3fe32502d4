// One broker for one data folder. The lock is the operating system's, on a file: it goes with the process, however that ends.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { KeylineError, messageOf } from '@keyline/kernel';

const lockName = 'lock';
const sqliteBusy = 5;

/**
 * @returns what gives the folder free again
 * @throws {KeylineError} FILE_UNREADABLE when another broker has it, or nothing can be written there
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, lockName);
  let database: DatabaseSync | undefined;
  try {
    // SQLite gives its journal the mode of the file.
    closeSync(openSync(path, 'a', 0o600));
    database = new DatabaseSync(path);
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    const isTaken = (cause as { errcode?: number }).errcode === sqliteBusy;
    throw new KeylineError(
      'FILE_UNREADABLE',
      isTaken
        ? `Another broker uses the folder ${folder}: two would destroy each other's sessions and rights. Stop that one (look for a keyline-broker with --data ${folder}), or give this one a folder of its own.`
        : `The folder ${folder} could not be locked (${messageOf(cause)}): give the broker the right to write ${path}.`,
      { cause, context: { folder } },
    );
  }
  const locked = database;
  return () => {
    if (locked.isOpen) locked.close();
  };
}
