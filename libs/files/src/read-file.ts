// Reading files that people name: bounded, with messages that say what to do.
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { platform } from 'node:os';
import { resolve } from 'node:path';
import { assertPrivate, KeylineError, messageOf } from '@keyline/kernel';
import { isNodeError } from './node-error.ts';

/**
 * @param what for the message: "the CSR", "the client certificate".
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function readBounded(
  path: string,
  what: string,
  maxBytes = 1_000_000,
  look: (status: Stats) => void = () => undefined,
): Promise<Buffer> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    // A file where a folder was named, too.
    if (isNodeError(error, 'ENOENT', 'ENOTDIR')) {
      throw new KeylineError(
        'FILE_NOT_FOUND',
        `There is no file ${path} (${what}). Check the path.`,
        {
          cause: error,
        },
      );
    }
    throw new KeylineError(
      'FILE_UNREADABLE',
      `Can't open ${path} (${what}): ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
  try {
    look(await file.stat());
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (length > maxBytes) {
        throw new KeylineError(
          'FILE_UNREADABLE',
          `${path} (${what}) is larger than ${String(maxBytes)} bytes. Is it the right file?`,
        );
      }
      if (bytesRead === 0) return Buffer.from(bytes.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof KeylineError) throw error;
    throw new KeylineError(
      'FILE_UNREADABLE',
      `Can't read ${path} (${what}): ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  } finally {
    await file.close();
  }
}

/** The same as UTF-8 text. @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE */
export async function readText(path: string, what: string, maxBytes?: number): Promise<string> {
  return (await readBounded(path, what, maxBytes)).toString('utf8');
}

/** The text of a file that may not be there. @throws {KeylineError} FILE_UNREADABLE */
export async function readTextIfThere(path: string, what: string): Promise<string | undefined> {
  try {
    return await readText(path, what);
  } catch (error) {
    if (error instanceof KeylineError && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * A private key or another secret, from a file that is its owner's alone.
 * @param what for the message: "private key"
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE also when group or others may read it
 */
export async function readSecretText(
  path: string,
  what: string,
  maxBytes?: number,
): Promise<string> {
  const look = (status: Stats): void => {
    // A pipe (`<(command)`, /dev/stdin) has modes of its own and nothing on disk.
    if (status.isFile()) assertPrivate({ path, what, mode: status.mode, platform: platform() });
  };
  return (await readBounded(path, `the ${what}`, maxBytes, look)).toString('utf8');
}

/**
 * A secret on one line: a token or passphrase.
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE also when group or others may read it
 */
export async function readSecretFile(cwd: string, path: string, what: string): Promise<string> {
  const secret = (await readSecretText(resolve(cwd, path), what, 4096)).trim();
  if (secret === '') {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${path} (the ${what}) is empty. Write the secret into it.`,
    );
  }
  return secret;
}
