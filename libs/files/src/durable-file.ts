// The one way a file is written: beside its place, on the disk, and only then under its name, with the folder's entry on the disk as
// well. Neither a crash nor another process sees half of one; nobody but its owner reads it unless it is said.
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { link, mkdir, open, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';
import { isNodeError } from './node-error.ts';
import { unfinished } from './unfinished.ts';

/** Text is UTF-8. In slices: what would be much at once, written a slice at a time. */
export type FileContent = string | Uint8Array | Slices;

type Slices = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/** Of a file that another user's program reads. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface WriteOptions {
  /** Permission bits, less the umask; 0o600 when absent. */
  readonly mode?: number;
  /** Whom it is given to before it has its name. */
  readonly owner?: FileOwner | undefined;
  /**
   * Where it is written first, in the same folder, for who holds a lock and so is the only writer: what a stop left there makes room.
   * Absent: under a name of chance, so that two writers at once harm no one.
   */
  readonly beside?: string;
  /** For one of many files: the caller puts the folder on the disk when all are there (`syncFolder`). */
  readonly isOneOfMany?: boolean;
  /** Awaited when all is written, before it may take the place of what was there. */
  readonly before?: () => Promise<void>;
}

const { O_CREAT, O_EXCL, O_SYNC, O_WRONLY } = constants;
/** What lies there would be somebody's trap. On the disk when a write returns, also where fsync is refused. */
const exclusiveAndDurable = O_WRONLY | O_CREAT | O_EXCL | O_SYNC;

/**
 * Replaces a file in one step, or makes it: readers see the old or the new content, and after a crash, too.
 * @returns its size in bytes
 * @throws {KeylineError} FILE_UNREADABLE, with the operating system's error as its cause
 */
export async function replaceFile(
  path: string,
  content: FileContent,
  options: WriteOptions = {},
): Promise<number> {
  return placed(path, content, options, (beside) => rename(beside, path));
}

/**
 * The same before the next statement, for a few lines that somebody else may go by in this very turn. The event loop stands still
 * until the disk has them.
 */
export function replaceFileAtOnce(path: string, text: string): void {
  const folder = dirname(path);
  const beside = besideOf(path, {});
  try {
    const file = openSync(beside, exclusiveAndDurable, 0o600);
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
    const entries = openSync(folder, 'r');
    try {
      fsyncSync(entries);
    } catch (error) {
      if (!isWithoutFolderSync(error)) throw error;
    } finally {
      closeSync(entries);
    }
  } catch (error) {
    rmSync(beside, { force: true });
    throw notWritten(path, error);
  }
}

/**
 * Makes a file that was not there, whole or not at all. A link in its place counts as one that was.
 * @returns its size in bytes
 * @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE
 */
export async function writeNewFile(
  path: string,
  content: FileContent,
  options: WriteOptions = {},
): Promise<number> {
  return placed(path, content, options, async (beside) => {
    // A second name, because a rename would not ask who has the first.
    await link(beside, path).catch(async (error: unknown) => {
      if (!isNodeError(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
      // A file system without hard links, as on a stick: the name is taken first, and given to the file then.
      await (await open(path, 'wx', 0o600)).close();
      await rename(beside, path);
    });
    await rm(beside, { force: true });
  });
}

/** A rename that has happened when this returns, whatever happens then. @throws {KeylineError} FILE_UNREADABLE */
export async function renameDurably(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
    await syncFolder(dirname(to));
  } catch (error) {
    throw notWritten(to, error);
  }
}

/**
 * Puts a folder's entries on the disk: new names, renames, links. Node's permission model refuses fsync; there a new file that is written
 * synchronously makes a journaling file system commit what was done before it.
 */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    if (isWithoutFolderSync(error)) return;
    if (!isNodeError(error, 'ERR_ACCESS_DENIED')) throw error;
    const marker = join(path, '.sync');
    await rm(marker, { force: true });
    await writePiece(marker, Buffer.from('\n'), { mode: 0o600 });
    await rm(marker, { force: true });
  } finally {
    await folder.close();
  }
}

/** A folder and what leads to it; `0700` for folders with secrets. @throws {KeylineError} FILE_UNREADABLE */
export async function createFolder(path: string, mode = 0o755): Promise<void> {
  try {
    await makeFolder(path, mode);
  } catch (error) {
    const why = isNodeError(error, 'EEXIST', 'ENOTDIR')
      ? 'there is a file in its place. Move it away, or give another folder'
      : whyNot(error);
    throw new KeylineError('FILE_UNREADABLE', `Can't create the folder ${path}: ${why}.`, {
      cause: error,
    });
  }
}

/** Node's own recursion does not end where nothing can be made in a folder that is there, as in /proc. */
async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (isNodeError(error, 'EEXIST') && (await stat(path)).isDirectory()) return;
    if (!isNodeError(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeFolder(dirname(path), mode);
    await mkdir(path, { mode }).catch(async (again: unknown) => {
      if (!isNodeError(again, 'EEXIST') || !(await stat(path)).isDirectory()) throw again;
    });
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

async function placed(
  path: string,
  content: FileContent,
  options: WriteOptions,
  place: (beside: string) => Promise<void>,
): Promise<number> {
  const folder = dirname(path);
  const beside = besideOf(path, options);
  unfinished.add(beside);
  try {
    if (options.beside !== undefined) await rm(beside, { force: true });
    const bytes =
      typeof content === 'string'
        ? await writePiece(beside, Buffer.from(content), options)
        : content instanceof Uint8Array
          ? await writePiece(beside, content, options)
          : await writeSlices(beside, content, options);
    await place(beside);
    if (options.isOneOfMany !== true) await syncFolder(folder);
    return bytes;
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined); // what stands in the way is what is told
    // What the content itself could not be made for is no fault of this file's.
    throw error instanceof KeylineError ? error : notWritten(path, error);
  } finally {
    unfinished.delete(beside);
  }
}

async function writePiece(path: string, bytes: Uint8Array, options: WriteOptions): Promise<number> {
  const file = await open(path, exclusiveAndDurable, options.mode ?? 0o600);
  try {
    await giveTo(file, options.owner);
    await writeAll(file, bytes);
    await options.before?.();
    return bytes.length;
  } finally {
    await file.close();
  }
}

/** One wait for the disk at the end, not one for each slice. */
async function writeSlices(path: string, slices: Slices, options: WriteOptions): Promise<number> {
  const file = await open(path, 'wx', options.mode ?? 0o600);
  let bytes = 0;
  try {
    await giveTo(file, options.owner);
    for await (const slice of slices) {
      const part = typeof slice === 'string' ? Buffer.from(slice) : slice;
      await writeAll(file, part);
      bytes += part.length;
    }
    await options.before?.();
    await file.datasync();
    return bytes;
  } finally {
    await file.close();
  }
}

async function giveTo(file: FileHandle, owner: FileOwner | undefined): Promise<void> {
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
}

/** `writeFile` of a handle goes in pieces, each of which would wait for the disk. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done)).bytesWritten;
  }
}

function besideOf(path: string, { beside }: WriteOptions): string {
  const chance = randomBytes(6).toString('hex');
  return beside ?? join(dirname(path), `.${basename(path)}.${chance}.tmp`);
}

/** Some network file systems have no such thing, and nothing could be done about it. */
function isWithoutFolderSync(error: unknown): boolean {
  return isNodeError(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP');
}

function notWritten(path: string, error: unknown): KeylineError {
  if (isNodeError(error, 'EEXIST')) {
    return new KeylineError(
      'FILE_EXISTS',
      `${path} exists already and is not overwritten. Move it away, or choose another place.`,
      { cause: error },
    );
  }
  return new KeylineError('FILE_UNREADABLE', `Can't write ${path}: ${whyNot(error)}.`, {
    cause: error,
  });
}

/** The operating system's word, and what to do about it. */
function whyNot(error: unknown): string {
  const said = messageOf(error);
  if (isNodeError(error, 'ENOSPC', 'EDQUOT'))
    return `${said}. Make room on that disk, and try again`;
  if (isNodeError(error, 'EACCES', 'EPERM')) {
    return `${said}. It must belong to the user who runs this`;
  }
  if (isNodeError(error, 'ENOENT'))
    return 'its folder is not there. Create it, or give another place';
  if (isNodeError(error, 'EROFS')) return `${said}. Give a place that can be written`;
  return said;
}
