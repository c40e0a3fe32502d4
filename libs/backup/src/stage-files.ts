// The files of a data folder copied as they are at one moment, while its services run: what is written into a backup, and what is not.
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFolder, isNodeError, writeNewFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import { copyJournalFolder, piecesOf } from './copy-journal-folder.ts';
import type { BackupSource } from './backup-source.ts';

export interface Staging {
  readonly source: BackupSource;
  /** Where the copies go; there, and empty. */
  readonly to: string;
  /** Absolute, with what is below them: backups themselves, secrets that stay apart. */
  readonly leaveOut: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** Made anew at each start, or worth nothing elsewhere: by name, wherever they are. */
const transient =
  /^(?:up\.lock.*|lock|lock\.pid|lock-journal|.*\.lock|.*\.lock\.pid|.*-(?:wal|shm|journal)|keyline\.db|reserve\.bin|endpoints\.json|\..*\.tmp|.*\.part|.*\.new|backup-status\.json|.*\.age|\.sync)$/;
const transientFolders = new Set(['run', 'logs']);

/** Everything that a start elsewhere needs, but the database. @throws {KeylineError} FILE_UNREADABLE */
export async function stageFiles(given: Staging): Promise<void> {
  await stageFolder(given, given.source.folder, 0);
}

const deepest = 16;

async function stageFolder(given: Staging, from: string, depth: number): Promise<void> {
  const { source, to, leaveOut, signal } = given;
  const target = join(to, relative(source.folder, from));
  const kind = journalKindOf(source, from);
  if (kind !== undefined) {
    await copyJournalFolder(from, target, kind);
    return;
  }
  for (const name of (await readdir(from)).toSorted()) {
    signal?.throwIfAborted();
    const path = join(from, name);
    if (leaveOut.includes(path) || transient.test(name)) continue;
    if (depth === 0 && transientFolders.has(name)) continue;
    // Folders at the top may lie elsewhere, as their owner put them; below, a link may be anybody's who writes there.
    const isFolder = await isFolderHere(path, { mayBeLink: depth === 0 });
    if (isFolder) {
      if (depth < deepest) await stageFolder(given, path, depth + 1);
    } else await stageFile(path, join(target, name));
  }
}

function journalKindOf(source: BackupSource, folder: string): 'sessions' | 'dynsec' | undefined {
  const place = relative(source.folder, folder);
  return place === join('broker', 'sessions')
    ? 'sessions'
    : place === join('broker', 'dynsec')
      ? 'dynsec'
      : undefined;
}

async function isFolderHere(path: string, { mayBeLink }: { mayBeLink: boolean }): Promise<boolean> {
  try {
    if (mayBeLink) return (await stat(path)).isDirectory();
    const folder = await open(
      path,
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    );
    await folder.close();
    return true;
  } catch (error) {
    if (isNodeError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw unreadable(path, error);
  }
}

/** Mosquitto writes its state over the old one: half of it may be there for a moment. */
const rewritten = /^dynamic-security\.json$/;
const attempts = 50;
const pause = 100;

/** What is no regular file (a socket, a link) is nothing to bring back. */
async function stageFile(from: string, to: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
      const file = await open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const status = await file.stat();
        if (!status.isFile()) return;
        if (rewritten.test(from.split('/').at(-1) ?? '') && !isJson(await file.readFile('utf8'))) {
          if (attempt === attempts) throw new Error('it is only half written');
          await sleep(pause);
          continue;
        }
        await createFolder(dirname(to), 0o700);
        await writeNewFile(to, piecesOf(file, status.size), { mode: status.mode & 0o777 });
        return;
      } finally {
        await file.close();
      }
    } catch (error) {
      // Replaced, taken away, or a link: nothing that was to be kept.
      if (isNodeError(error, 'ENOENT', 'ELOOP', 'ENXIO')) return;
      throw error instanceof KeylineError ? error : unreadable(from, error);
    }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A configuration that lies elsewhere, below a name of its own. Links in it are followed, as the service follows them. */
export async function stageConfiguration(from: string, to: string): Promise<void> {
  await stageLinked(from, to, 0);
}

async function stageLinked(from: string, to: string, depth: number): Promise<void> {
  for (const name of (await readdir(from)).toSorted()) {
    // As the service reads it; also how some systems keep what is behind their links.
    if (name.startsWith('.')) continue;
    const path = join(from, name);
    const status = await stat(path);
    if (status.isDirectory() && depth < deepest) {
      await stageLinked(path, join(to, name), depth + 1);
    } else if (status.isFile()) {
      const file = await open(path);
      try {
        await createFolder(to, 0o700);
        await writeNewFile(join(to, name), piecesOf(file, (await file.stat()).size), {
          mode: status.mode & 0o777,
        });
      } finally {
        await file.close();
      }
    }
  }
}

function unreadable(path: string, cause: unknown): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${path} could not be read for the backup: ${messageOf(cause)}. Run it as the user whose files they are.`,
    { cause },
  );
}
