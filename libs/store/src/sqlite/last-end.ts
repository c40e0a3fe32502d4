// When the last of all certificates in a database ends. Every row is read: for what is done once, while no service runs.
import Database from 'better-sqlite3';
import { KeylineError, messageOf } from '@keyline/kernel';

/**
 * @param path of an SQLite database, of this version or an earlier one
 * @returns epoch milliseconds; undefined when there is no certificate
 * @throws {KeylineError} FILE_UNREADABLE
 */
export function readLastEnd(path: string): number | undefined {
  try {
    const database = new Database(path, { readonly: true, fileMustExist: true });
    try {
      const last = database.prepare('SELECT max(not_after) FROM certificates').pluck().get();
      return typeof last === 'number' ? last : undefined;
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The database ${path} can't be read: ${messageOf(cause)}.`,
      { cause },
    );
  }
}
