// The store on SQLite: opening, versions, and the lock that keeps a database to one service, or to those that mean to share it.
import { existsSync, statSync } from 'node:fs';
import type { Store } from '@keyline/fleet';
import { KeylineError, messageOf } from '@keyline/kernel';
import Database from 'better-sqlite3';
import { createCommits } from './commits.ts';
import { createCrlParts } from './crl-parts.ts';
import { settleInPlace } from './database-place.ts';
import { migrations } from './migrations.ts';
import { createReads } from './reads.ts';
import { shareReads } from './shared-reads.ts';
import { closeToOthers, createPrivateFile, ensurePrivateFile } from './private-files.ts';
import { prepareWrites } from './writes.ts';

function configure(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  // A certificate is answered only after its row is on the disk, not in the operating system's cache.
  db.pragma('synchronous = FULL');
  db.pragma('busy_timeout = 5000');
  // Savepoints keep what they would undo in memory instead of in a temporary file.
  db.pragma('temp_store = MEMORY');
  // In pages: 64 MiB of log before it is copied into the database. Pages that change with every commit are then copied once.
  db.pragma('wal_autocheckpoint = 16384');
  db.pragma('cache_size = -65536');
}

/** Half as much again as is copied by itself. */
const longestLogBytes = 96 * 1024 * 1024;
/** Milliseconds. */
const lookAtLogEvery = 2000;

const versionOf = (db: Database.Database): number =>
  db.pragma('user_version', { simple: true }) as number;

function applyMigrations(db: Database.Database): void {
  db.transaction(() => {
    for (let version = versionOf(db); version < migrations.length; version++) {
      db.exec(migrations[version] ?? '');
    }
    db.pragma(`user_version = ${String(migrations.length)}`);
  }).immediate();
}

/** Creates an empty database. @throws {KeylineError} FILE_EXISTS */
export function createSqliteStore(path: string): void {
  if (existsSync(path)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `There is a database already: ${path}. It was left alone.`,
    );
  }
  createPrivateFile(path);
  const db = new Database(path);
  try {
    configure(db);
    applyMigrations(db);
  } finally {
    db.close();
  }
}

/** Brings a database to this program's version; does nothing when it is there. @throws {KeylineError} STORE_MISSING, STORE_STALE, STORE_CONFLICT, FILE_UNREADABLE */
export function migrateSqliteStore(path: string): { from: number; to: number } {
  const { db, close } = openLocked(path);
  try {
    configure(db);
    const from = versionOf(db);
    if (from > migrations.length) throw newer(path, from);
    applyMigrations(db);
    return { from, to: migrations.length };
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    close();
  }
}

function assertExists(path: string): void {
  if (existsSync(path)) return;
  throw new KeylineError(
    'STORE_MISSING',
    `There is no database at ${path}. A service never makes one by accident: check --data, bring it back from a backup, or, for a new issuing CA, run "keyline-ca install".`,
  );
}

function newer(path: string, version: number): KeylineError {
  return new KeylineError(
    'STORE_STALE',
    `The database ${path} has version ${String(version)}, this program knows ${String(migrations.length)}. Run the newer Keyline that made it.`,
  );
}

/**
 * Held for as long as the service runs, on a file beside the database. The operating system lets go of it when the process ends,
 * however it ends, so a kill -9 leaves nothing to clean up; readers of the database itself are not kept out.
 * @param shared together with others that share, of whom each keeps out whoever does not
 */
function openLock(path: string, shared: boolean): Database.Database {
  try {
    ensurePrivateFile(`${path}.lock`);
    closeToOthers(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  const lock = openFile(`${path}.lock`, { timeout: 0 });
  try {
    if (shared) {
      // A read transaction that never ends.
      lock.exec('BEGIN');
      lock.prepare('SELECT count(*) FROM sqlite_schema').get();
    } else {
      lock.pragma('locking_mode = EXCLUSIVE');
      lock.exec('BEGIN EXCLUSIVE');
    }
  } catch (cause) {
    lock.close();
    const busy = cause instanceof Database.SqliteError && cause.code.startsWith('SQLITE_BUSY');
    if (!busy) throw unreadable(`${path}.lock`, cause);
    throw new KeylineError(
      'STORE_CONFLICT',
      shared
        ? `Another service has the database ${path} open for itself alone. Stop it, and start it with --share-database too.`
        : `Another service has the database ${path} open. Stop it first; two issue from one database only when each is started with --share-database.`,
      { cause },
    );
  }
  return lock;
}

function openFile(path: string, options: Database.Options): Database.Database {
  try {
    return new Database(path, options);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * Keeps services out, for work beside the database.
 * @returns lets them in again
 * @throws {KeylineError} STORE_MISSING, STORE_CONFLICT (a service has it), FILE_UNREADABLE
 */
export function holdSqliteStore(path: string): () => void {
  assertExists(path);
  const lock = openLock(path, false);
  return () => {
    lock.close();
  };
}

/** The database under its lock; `close` lets go of both. */
function openLocked(
  path: string,
  shared = false,
): { readonly db: Database.Database; readonly close: () => void } {
  assertExists(path);
  const lock = openLock(path, shared);
  try {
    const db = openFile(path, { fileMustExist: true });
    return {
      db,
      close() {
        db.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

function unreadable(path: string, error: unknown): KeylineError {
  if (error instanceof KeylineError) return error;
  return new KeylineError(
    'FILE_UNREADABLE',
    `The database ${path} can't be opened: ${messageOf(error)}.`,
    { cause: error },
  );
}

/**
 * @param options.shared other services of this machine that share have it open at the same time; default: nobody else has
 * @throws {KeylineError} STORE_MISSING, STORE_STALE, STORE_COPIED, STORE_CONFLICT (another service has it), FILE_UNREADABLE
 */
export async function openSqliteStore(options: {
  readonly path: string;
  readonly shared?: boolean | undefined;
  /** Whether it is known to be a copy, and what follows from that is seen to. */
  readonly isCopy?: boolean | undefined;
}): Promise<Store> {
  const { path, shared: isShared = false, isCopy = false } = options;
  const { db, close } = openLocked(path, isShared);
  try {
    configure(db);
    // Waiting here keeps everything else waiting: who writes meanwhile is waited for between turns (commits.ts).
    db.pragma('busy_timeout = 20');
    const version = versionOf(db);
    if (version > migrations.length) throw newer(path, version);
    if (version < migrations.length) {
      throw new KeylineError(
        'STORE_STALE',
        `The database ${path} has version ${String(version)}, this program needs ${String(migrations.length)}. Make a copy of it, then run "keyline-ca migrate".`,
      );
    }
    settleInPlace(db, path, { isCopy });
    const shared = shareReads(db, createReads(db));
    const beforeWrite = (): void => shared.end();
    const commits = createCommits(db, prepareWrites(db), beforeWrite);
    const crlParts = createCrlParts(db, {
      beforeWrite,
      commitUnit: (unit) => commits.commit(unit),
    });
    // Where another service always reads, the log is copied and never begun anew: then that is insisted on, for a moment.
    const cutting = isShared
      ? setInterval(() => {
          if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) < longestLogBytes)
            return;
          try {
            beforeWrite();
            db.pragma('wal_checkpoint(TRUNCATE)');
          } catch {
            // The next look tries again; what is wrong with the disk, every commit says.
          }
        }, lookAtLogEvery).unref()
      : undefined;
    return {
      ...shared.reads,
      commit: (unit) => (crlParts.isLarge(unit) ? crlParts.commit(unit) : commits.commit(unit)),
      onCommit: (listener) => commits.onCommit(listener),
      close: () => {
        clearInterval(cutting);
        commits.close();
        shared.end();
        close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    close();
    throw unreadable(path, error);
  }
}
