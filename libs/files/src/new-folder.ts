// A folder that is there with all its files, or not at all.
import { mkdir, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';
import { createFolder, syncFolder, writeNewFile } from './durable-file.ts';
import { isNodeError } from './node-error.ts';
import { unfinished } from './unfinished.ts';

export interface NewFile {
  /** Relative to the folder, with "/" between folders. */
  readonly path: string;
  readonly content: string | Uint8Array;
  /** Permission bits, less the umask. */
  readonly mode: number;
}

/**
 * Makes a folder that only its owner enters. One that is there and empty is taken.
 * @param path absolute
 * @throws {KeylineError} FILE_EXISTS when something is in its place, FILE_UNREADABLE
 */
export async function writeNewFolder(path: string, files: readonly NewFile[]): Promise<void> {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  unfinished.add(beside);
  try {
    await createFolder(dirname(path));
    await mkdir(beside, { mode: 0o700 });
    for (const { path: name, content, mode } of files) {
      const file = join(beside, name);
      await createFolder(dirname(file), 0o700);
      await writeNewFile(file, content, { mode, isOneOfMany: true });
    }
    await syncFolder(beside);
    // Takes the place of an empty folder, and of nothing else.
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { recursive: true, force: true }).catch(() => undefined); // what stands in the way is what is told
    if (error instanceof KeylineError) throw error;
    const isTaken = isNodeError(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR');
    throw new KeylineError(
      isTaken ? 'FILE_EXISTS' : 'FILE_UNREADABLE',
      isTaken
        ? `${path} exists already and is not overwritten. Move it away, or choose another place.`
        : `Can't make the folder ${path}: ${messageOf(error)}.`,
      { cause: error },
    );
  } finally {
    unfinished.delete(beside);
  }
}
