// Which file the database is in. A copy is another file: it does not know what was revoked after it was made, and must not go on as if it did.
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { KeylineError, quoteForShell } from '@keyline/kernel';
import type { Database } from 'better-sqlite3';

interface Place {
  readonly file: string;
  readonly path: string;
}

/**
 * Inode and time of birth, not the name: a folder may be renamed. A file system that has no times of birth gives the inode alone.
 * @see statx(2)
 */
function fileOf(path: string): string {
  const { ino, birthtimeNs } = statSync(path, { bigint: true });
  return `${String(ino)}:${String(birthtimeNs)}`;
}

/**
 * Writes down the file at the first opening, and compares it at each after that.
 * @param given.isCopy somebody has said that it is a copy: it is at home here from now on
 * @throws {KeylineError} STORE_COPIED
 */
export function settleInPlace(
  db: Database,
  path: string,
  { isCopy }: { readonly isCopy: boolean },
): void {
  const file = fileOf(path);
  const known = db.prepare('SELECT file, path FROM place').get() as Place | undefined;
  if (known?.file === file) return;
  if (known !== undefined && !isCopy) {
    throw new KeylineError(
      'STORE_COPIED',
      `The database ${path} is a copy: the service ran on another file last (${known.path === path ? 'in this very place' : known.path}). What was revoked, issued and published after the copy was made is not known here, so nothing was started. Is the other one still there? Start that. If not, or if the folder was moved, say so (with --crl FILE for the newest CRL that was published, if there is one): keyline restore --copy --data ${quoteForShell(dirname(path))}`,
    );
  }
  db.prepare('INSERT OR REPLACE INTO place (one, file, path) VALUES (1, ?, ?)').run(file, path);
}
