// The offline folder: the only place keyline-root can read or write. Paths are resolved and bounded here; the sandbox around the
// process says the same once more.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { replaceFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';

/** A file that was read or written, for the transcript. */
export interface FileRecord {
  /** Relative to the folder. */
  readonly file: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Names Keyline owns in the folder. */
export const folderFiles = {
  key: 'root.key',
  certificate: 'root.crt',
  state: 'root-state.json',
  lock: 'root.lock',
  transcript: 'transcript.jsonl',
  crlPem: 'root.crl',
  crlDer: 'root.crl.der',
  crlOcsp: 'root.crl.ocsp',
  issued: 'issued',
} as const;

const maxInputBytes = 4 * 1024 * 1024;

export class OfflineFolder {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly #cwd: string;

  /** @throws {KeylineError} FILE_NOT_FOUND */
  constructor(path: string, cwd: string) {
    try {
      this.path = realpathSync.native(resolve(cwd, path));
    } catch (error) {
      throw new KeylineError('FILE_NOT_FOUND', `There is no offline folder "${path}".`, {
        cause: error,
      });
    }
    this.#cwd = cwd;
  }

  /** Absolute path of one of Keyline's own files. */
  own(...names: string[]): string {
    return join(this.path, ...names);
  }

  has(...names: string[]): boolean {
    return existsSync(this.own(...names));
  }

  /**
   * Keyline's own files must lie here: a link among them would let a write land elsewhere, and a folder that others may write
   * to is no place for a root.
   * @throws {KeylineError} FILE_UNREADABLE
   */
  assertSound(): void {
    const mode = statSync(this.path).mode & 0o777;
    if ((mode & 0o022) !== 0) {
      throw new KeylineError(
        'FILE_UNREADABLE',
        `Others may write in the offline folder ${this.path} (mode ${mode.toString(8)}). Run: chmod 700 ${this.path}`,
      );
    }
    for (const name of Object.values(folderFiles)) {
      if (lstatSync(this.own(name), { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
      throw new KeylineError(
        'FILE_UNREADABLE',
        `"${name}" in the offline folder is a symbolic link. Put the file itself there; links are not followed.`,
      );
    }
  }

  /** Relative to the folder, as messages and the transcript name files. */
  nameOf(path: string): string {
    return relative(this.path, path);
  }

  /**
   * A file that a person named: relative to where they are, or else to the folder.
   * @throws {KeylineError} FILE_UNREADABLE when it is not in the folder
   */
  resolve(name: string): string {
    const fromHere = resolve(this.#cwd, name);
    const path = this.#contains(fromHere) || isAbsolute(name) ? fromHere : resolve(this.path, name);
    if (!this.#contains(path)) throw this.#outside(name);
    return path;
  }

  /**
   * Real path of an existing file that a person named. A link in the folder is no way out of it.
   * @throws {KeylineError} FILE_UNREADABLE when it is not in the folder, FILE_NOT_FOUND
   */
  assertInside(name: string): string {
    const path = this.resolve(name);
    let real: string;
    try {
      real = realpathSync.native(path);
    } catch (error) {
      throw new KeylineError(
        'FILE_NOT_FOUND',
        `There is no file "${this.nameOf(path)}" in the offline folder ${this.path}. keyline-root reads only what lies there: copy it into the folder.`,
        { cause: error },
      );
    }
    if (!this.#contains(real)) throw this.#outside(name);
    return real;
  }

  /** @throws {KeylineError} FILE_UNREADABLE, FILE_NOT_FOUND, REQUEST_TOO_LARGE */
  read(name: string): { readonly bytes: Buffer; readonly record: FileRecord } {
    const path = this.assertInside(name);
    const bytes = readBounded(path, this.nameOf(path));
    return { bytes, record: this.record(path, bytes) };
  }

  record(path: string, bytes: Uint8Array): FileRecord {
    return { file: this.nameOf(path), sha256: sha256Of(bytes) };
  }

  /** Replaces the file in one step: readers see the old or the new content, also after a crash. Not for keys. */
  async replace(path: string, content: string | Uint8Array, mode = 0o644): Promise<FileRecord> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const folder = dirname(path);
    try {
      await mkdir(folder, { recursive: true });
      // The lock keeps a second run away.
      await replaceFile(path, bytes, { mode, beside: join(folder, `.${basename(path)}.tmp`) });
    } catch (error) {
      const { cause = error } = error as Error;
      throw new KeylineError(
        'FILE_UNREADABLE',
        `"${this.nameOf(path)}" can't be written: ${messageOf(cause)}.`,
        { cause: error },
      );
    }
    return this.record(path, bytes);
  }

  /** @throws {KeylineError} FILE_EXISTS; FILE_UNREADABLE when its folder leads outside */
  assertFree(path: string): void {
    const folder = dirname(path);
    if (existsSync(folder) && !this.#isOrContains(realpathSync.native(folder))) {
      throw this.#outside(this.nameOf(path));
    }
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    throw new KeylineError(
      'FILE_EXISTS',
      `"${this.nameOf(path)}" exists already and is not overwritten. Move it away first, or choose another name.`,
    );
  }

  #contains(path: string): boolean {
    return path.startsWith(this.path + sep);
  }

  #isOrContains(path: string): boolean {
    return path === this.path || this.#contains(path);
  }

  #outside(name: string): KeylineError {
    return new KeylineError(
      'FILE_UNREADABLE',
      `"${name}" is not in the offline folder ${this.path}, and keyline-root can reach nothing else. Copy it into the folder (or name a file there), then try again.`,
    );
  }
}

/** Lower-case hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readBounded(path: string, name: string): Buffer {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const status = fstatSync(file);
    if (!status.isFile()) throw new Error('it is not a file');
    if (status.size > maxInputBytes) {
      throw new KeylineError(
        'REQUEST_TOO_LARGE',
        `"${name}" has ${status.size} bytes; at most ${maxInputBytes} are read.`,
      );
    }
    const bytes = Buffer.alloc(status.size);
    return bytes.subarray(0, readSync(file, bytes));
  } catch (error) {
    if (error instanceof KeylineError) throw error;
    throw new KeylineError('FILE_UNREADABLE', `"${name}" can't be read: ${messageOf(error)}.`, {
      cause: error,
    });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
