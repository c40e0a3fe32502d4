// Writing files so that neither a crash nor another process sees half of one, and keys are never readable by others.
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';
import { isNodeError } from './read-file.ts';

/** A folder and what leads to it; `0700` for folders with secrets. */
export async function createFolder(path: string, mode = 0o755): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
  } catch (error) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `Can't create the folder ${path}: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * A new file, created exclusively and durable when this returns.
 * @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE
 */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  let file;
  try {
    file = await open(path, 'wx', mode);
  } catch (error) {
    if (isNodeError(error, 'EEXIST')) {
      throw new KeylineError(
        'FILE_EXISTS',
        `${path} exists already and is not overwritten. Move it away, or choose another folder.`,
        { cause: error },
      );
    }
    throw new KeylineError('FILE_UNREADABLE', `Can't create ${path}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    throw new KeylineError('FILE_UNREADABLE', `Can't write ${path}: ${messageOf(error)}.`, {
      cause: error,
    });
  } finally {
    await file.close();
  }
}

/** Replaces a file in one step: written beside it, made durable, renamed over it. */
export async function replaceFile(path: string, content: string, mode = 0o644): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeNewFile(beside, content, mode);
    await rename(beside, path);
  } catch (error) {
    await removeFile(beside);
    if (error instanceof KeylineError) throw error;
    throw new KeylineError('FILE_UNREADABLE', `Can't write ${path}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** Makes renames in a folder durable. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Gone afterwards, whether or not it was there. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isNodeError(error, 'ENOENT')) throw error;
  }
}
