// A copy of a database while services write to it, and what a copy says of itself. Readers are not kept out by the lock of a service.
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { formatInstant, KeylineError, messageOf } from '@keyline/kernel';
import Database from 'better-sqlite3';
import { migrations } from './migrations.ts';
import { createPrivateFile } from './private-files.ts';

/** That this program works with (see migrations). */
export const schemaVersion: number = migrations.length;

export interface DatabaseFacts {
  readonly schemaVersion: number;
  /** Names this database and its copies; null: it is of a version that gave none. */
  readonly identity: string | null;
  /** The last entry; `sha256` is over the JSON text of the array [at, actor, subject, data]. */
  readonly ledger: {
    readonly seq: number;
    /** RFC 3339. */
    readonly at: string | null;
    readonly sha256: string | null;
  };
  /** The highest number of each list, complete or delta. */
  readonly crlNumbers: Readonly<Record<string, number>>;
  readonly devices: number;
  readonly certificates: number;
  /** Issuing authorities that have a certificate, and their roots: DER. */
  readonly authorities: readonly {
    readonly id: string;
    readonly certificate: Uint8Array;
    readonly root: Uint8Array;
  }[];
}

/** A MiB at a time: between two, the process does other things, or is told to stop. */
const pagesAtOnce = 256;

/**
 * The database as of one moment, in one file (mode 0600) with no log beside it. What is committed meanwhile is not in it.
 * @param given.to must not exist; it is gone again when this fails
 * @throws {KeylineError} STORE_MISSING, FILE_EXISTS, FILE_UNREADABLE
 */
export async function copySqliteDatabase(given: {
  readonly from: string;
  readonly to: string;
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { from, to, onProgress, signal } = given;
  if (!existsSync(from)) {
    throw new KeylineError('STORE_MISSING', `There is no database at ${from}. Check --data.`);
  }
  if (existsSync(to)) {
    throw new KeylineError('FILE_EXISTS', `${to} exists already and is not overwritten.`);
  }
  let source: Database.Database | undefined;
  try {
    createPrivateFile(to);
    source = new Database(from, { fileMustExist: true, timeout: 5000 });
    // A reader's view of this moment: without it, SQLite begins anew with each commit of a service, and may never come to an end.
    source.exec('BEGIN');
    source.prepare('SELECT count(*) FROM sqlite_schema').get();
    await source.backup(to, {
      progress({ totalPages, remainingPages }) {
        signal?.throwIfAborted();
        onProgress?.(totalPages === 0 ? 0 : 1 - remainingPages / totalPages);
        return pagesAtOnce;
      },
    });
    source.exec('COMMIT');
    settle(to);
  } catch (error) {
    rmSync(to, { force: true });
    if (error instanceof KeylineError || signal?.aborted === true) throw error;
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The database ${from} could not be copied to ${to}: ${messageOf(error)}. ${
        isFull(error) ? 'Make room on that disk, and try again.' : 'See whether its disk is well.'
      }`,
      { cause: error },
    );
  } finally {
    source?.close();
  }
}

/** Its header says that there is a log, as the original's does; a copy is one file. */
function settle(path: string): void {
  const copy = new Database(path, { fileMustExist: true });
  try {
    copy.pragma('journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_FULL');
}

/**
 * What a database that no service has open says of itself.
 * @throws {KeylineError} FILE_UNREADABLE when it is none, or none of Keyline's
 */
export function readDatabaseFacts(path: string): DatabaseFacts {
  return read(path, (db) => {
    const head = db
      .prepare('SELECT seq, at, actor, subject, data FROM ledger ORDER BY seq DESC LIMIT 1')
      .get() as LedgerRow | undefined;
    const lists = db
      .prepare('SELECT list, max(number) AS number FROM crls GROUP BY list')
      .all() as { list: string; number: number }[];
    const count = (table: 'devices' | 'certificates'): number =>
      db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    const authorities = db
      .prepare(
        'SELECT id, certificate, root FROM authorities WHERE certificate IS NOT NULL AND root IS NOT NULL ORDER BY created_at, id',
      )
      .all() as { id: string; certificate: Buffer; root: Buffer }[];
    return {
      schemaVersion: db.pragma('user_version', { simple: true }) as number,
      identity: null,
      ledger: {
        seq: head?.seq ?? 0,
        at: head === undefined ? null : formatInstant(head.at),
        sha256: head === undefined ? null : hashOf(head),
      },
      crlNumbers: Object.fromEntries(lists.map(({ list, number }) => [list, number])),
      devices: count('devices'),
      certificates: count('certificates'),
      authorities,
    };
  });
}

interface LedgerRow {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly subject: string;
  readonly data: string;
}

function hashOf({ at, actor, subject, data }: LedgerRow): string {
  return createHash('sha256')
    .update(JSON.stringify([at, actor, subject, data]))
    .digest('hex');
}

/**
 * Reads the whole file, indexes against rows.
 * @returns what is wrong with it in SQLite's words; undefined: nothing is
 * @throws {KeylineError} FILE_UNREADABLE when it can't be opened at all
 */
export function findDatabaseDamage(path: string): string | undefined {
  return read(path, (db) => {
    const found = db.pragma('integrity_check(3)') as { integrity_check: string }[];
    const words = found.map((row) => row.integrity_check);
    return words.length === 1 && words[0] === 'ok' ? undefined : words.join('; ');
  });
}

function read<Result>(path: string, work: (db: Database.Database) => Result): Result {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true, readonly: true });
    return work(db);
  } catch (error) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${path} is no database that this Keyline can read: ${messageOf(error)}.`,
      { cause: error },
    );
  } finally {
    db?.close();
  }
}
