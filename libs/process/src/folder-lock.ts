// One program of a kind for one folder. The lock is the operating system's, on a file: it goes with the process, however that ends, and
// holds between containers that share the folder.
import { existsSync, readFileSync, rmSync, writeFileSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { KeylineError, messageOf } from '@keyline/kernel';

const sqliteBusy = 5;

/** Those that are held: what nobody refers to any more is closed by the garbage collector, and the lock would go with it. */
const held = new Set<DatabaseSync>();

export interface FolderLock {
  /** May be called again. */
  release(): void;
}

/** Why a folder is not had: somebody has it, or nothing can be written there. */
export type LockFailure =
  | { readonly why: 'taken'; readonly holder: number | undefined }
  | { readonly why: 'unwritable'; readonly detail: string };

/**
 * @param given.name of the lock's file; what locks the same folder for another purpose has another
 * @param given.pid of this process, for messages to who is refused
 * @param given.explain the error, with what to do
 * @throws {KeylineError} what `explain` gave
 */
export function lockFolder(given: {
  readonly folder: string;
  readonly name: string;
  readonly pid?: number;
  readonly explain: (failure: LockFailure) => KeylineError;
}): FolderLock {
  const path = join(given.folder, given.name);
  const holderFile = `${path}.pid`;
  let database: DatabaseSync | undefined;
  try {
    // SQLite gives its journal the mode of the file. Not opened again where it is: closing it would end a lock of this very process.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
    database = new DatabaseSync(path);
    database.exec('BEGIN EXCLUSIVE');
    // For messages alone: who really has it, the lock says.
    if (given.pid !== undefined)
      writeFileSync(holderFile, `${String(given.pid)}\n`, { mode: 0o600 });
  } catch (cause) {
    database?.close();
    const isTaken = (cause as { errcode?: number }).errcode === sqliteBusy;
    const { code, detail } = given.explain(
      isTaken
        ? { why: 'taken', holder: readHolder(holderFile) }
        : { why: 'unwritable', detail: messageOf(cause) },
    );
    throw new KeylineError(code, detail, { cause, context: { folder: given.folder } });
  }
  const locked = database;
  held.add(locked);
  return {
    release() {
      if (!held.delete(locked)) return;
      rmSync(holderFile, { force: true });
      locked.close();
    },
  };
}

function readHolder(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined; // about to be written, or just removed
  }
}
