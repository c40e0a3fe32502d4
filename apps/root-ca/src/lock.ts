// One keyline-root at a time in an offline folder. A lock left behind by a process that is gone is taken over.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { KeylineError, messageOf } from '@keyline/kernel';
import { folderFiles, type OfflineFolder } from './offline-folder.ts';
import type { Surroundings } from './terminal.ts';

/**
 * Runs `work` while holding the folder's lock.
 * @throws {KeylineError} STORE_CONFLICT when another process holds it
 */
export async function withLock<T>(
  folder: OfflineFolder,
  surroundings: Pick<Surroundings, 'pid' | 'isAlive'>,
  work: () => Promise<T>,
): Promise<T> {
  const path = folder.own(folderFiles.lock);
  acquire(path, surroundings);
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function acquire(path: string, { pid, isAlive }: Pick<Surroundings, 'pid' | 'isAlive'>): void {
  // Made beside and linked, so that a lock is never seen without the process id in it.
  const beside = `${path}.${pid}`;
  rmSync(beside, { force: true });
  writeFileSync(beside, `${pid}\n`, { flag: 'wx', mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (tryLink(beside, path)) return;
      const holder = readHolder(path);
      // Its own number on the lock: a process of the same number, as in a container, left it behind.
      if (holder !== undefined && holder !== pid && isAlive(holder)) throw held(path, holder);
      takeAway(path, { pid, isAlive });
    }
    throw held(path, readHolder(path));
  } finally {
    rmSync(beside, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The offline folder's file system can't hold hard links or is read-only (${messageOf(error)}). Use one with Unix permissions, such as ext4; carry requests and certificates on the stick, not the root.`,
      { cause: error },
    );
  }
}

// Two processes may find the same dead lock. Moving it away succeeds for one of them; should it have caught the other's new, living
// lock instead, it puts that back.
function takeAway(path: string, { pid, isAlive }: Pick<Surroundings, 'pid' | 'isAlive'>): void {
  const moved = `${path}.${pid}.dead`;
  try {
    renameSync(path, moved);
  } catch {
    return; // somebody else was quicker
  }
  const holder = readHolder(moved);
  if (holder !== undefined && holder !== pid && isAlive(holder)) tryLink(moved, path);
  rmSync(moved, { force: true });
}

function readHolder(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined; // released in between
  }
}

function held(path: string, holder: number | undefined): KeylineError {
  return new KeylineError(
    'STORE_CONFLICT',
    `Another keyline-root${holder === undefined ? '' : ` (process ${holder})`} is working in this folder. Wait until it is done; if none is running, remove ${path}.`,
  );
}
