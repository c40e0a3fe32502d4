// The database is its owner's alone, whatever the umask. SQLite gives its log and its index the mode of the database itself.
import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { platform } from 'node:os';

/** An empty file, mode 0600, for SQLite to begin in. @throws {Error} EEXIST */
export function createPrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
}

/** The same, where there may be one already. */
export function ensurePrivateFile(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  closeToOthers(path);
}

/** Takes from group and others what an older Keyline, a backup that was brought back or a copy gave them. */
export function closeToOthers(path: string): void {
  if (platform() === 'win32') return;
  for (const each of [path, `${path}-wal`, `${path}-shm`]) {
    const mode = statSync(each, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o077) !== 0) chmodSync(each, 0o600);
  }
}
