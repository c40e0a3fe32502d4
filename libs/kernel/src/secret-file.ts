// A file with a secret is its owner's alone: what group or others could read may have been read.
import { KeylineError } from './errors.ts';

/**
 * @param file.what for the message: "token file", "private key"
 * @param file.mode of the opened file, so that it is the one that is read
 * @param file.platform `process.platform`; Windows has no such bits, everything there reads as 0666
 * @throws {KeylineError} FILE_UNREADABLE with the chmod to run
 */
export function assertPrivate(file: {
  readonly path: string;
  readonly what: string;
  readonly mode: number;
  readonly platform: string;
}): void {
  const { path, what, mode, platform } = file;
  if (platform === 'win32' || (mode & 0o077) === 0) return;
  throw new KeylineError(
    'FILE_UNREADABLE',
    `The ${what} "${path}" can be read by others (mode ${(mode & 0o777).toString(8)}), so it is not used. Run: chmod 600 ${quoteForShell(path)}`,
  );
}

/** As one word of a POSIX shell. */
export function quoteForShell(word: string): string {
  return /^[\w./@:+][\w./@:+-]*$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
