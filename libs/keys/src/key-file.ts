// Key files are written exclusively with mode 0600; a passphrase file is not read when others could have read it.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { platform } from 'node:os';
import { isNodeError, writeNewFile } from '@keyline/files';
import { assertPrivate, isKeylineError, KeylineError, messageOf, Secret } from '@keyline/kernel';
import { decryptPrivateKeyAside } from './encrypted-key.ts';

const maxPassphraseBytes = 4096;

function unreadable(path: string, error: unknown): KeylineError {
  return isNodeError(error, 'ENOENT')
    ? new KeylineError('FILE_NOT_FOUND', `There is no file "${path}".`, { cause: error })
    : new KeylineError('FILE_UNREADABLE', `"${path}" can't be read: ${messageOf(error)}.`, {
        cause: error,
      });
}

/**
 * Whether there is a key file to go on with, for who finishes an interrupted start. What a stop between creating and writing left is
 * empty, holds no key, and is removed.
 */
export async function takeUpKeyFile(path: string): Promise<boolean> {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === 0) await rm(path);
  return size !== undefined && size > 0;
}

/**
 * Creates the file, mode 0600, on the disk when this answers; never overwrites.
 * @param beside where it is written first: see `WriteOptions`
 * @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE
 */
export async function writeKeyFile(path: string, pem: string, beside?: string): Promise<void> {
  try {
    await writeNewFile(path, pem, beside === undefined ? {} : { beside });
  } catch (error) {
    if (!isKeylineError(error) || error.code !== 'FILE_EXISTS') throw error;
    throw new KeylineError(
      'FILE_EXISTS',
      `"${path}" exists already and is not overwritten: it may hold the only copy of a key. Move it away first, or choose another name.`,
      { cause: error },
    );
  }
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, DER_MALFORMED, KEY_DECRYPT_FAILED */
export async function loadEncryptedKey(path: string, passphrase: Secret): Promise<KeyObject> {
  return decryptPrivateKeyAside(await readKeyText(path), passphrase);
}

/** An unencrypted private key, PEM: a device's or a service's own. @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, KEY_UNSUPPORTED */
export async function loadPlainKey(path: string): Promise<KeyObject> {
  const pem = await readKeyText(path);
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new KeylineError('KEY_UNSUPPORTED', `"${path}" is no unencrypted private key in PEM.`, {
      cause: error,
    });
  }
}

/** A key is read only from a file that is its owner's alone. */
async function readKeyText(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const status = await file.stat();
      if (status.isFile()) {
        assertPrivate({ path, what: 'private key', mode: status.mode, platform: platform() });
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isKeylineError(error)) throw error;
    throw unreadable(path, error);
  }
}

/**
 * The first and only line of a file that nobody else may read.
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE (also when group or others may read it), USAGE when empty or of several lines
 */
export function loadPassphraseFile(path: string): Secret {
  let text: string;
  let status;
  try {
    status = statSync(path);
    if (status.isFile() && status.size > maxPassphraseBytes)
      throw new Error('too long for a passphrase');
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
  assertPrivate({ path, what: 'passphrase file', mode: status.mode, platform: platform() });
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase === '') throw new KeylineError('USAGE', `The passphrase file "${path}" is empty.`);
  // Other programs would take the first line only, and the key could be opened here and nowhere else.
  if (/[\r\n]/.test(passphrase)) {
    throw new KeylineError('USAGE', `The passphrase file "${path}" has more than one line.`);
  }
  return new Secret(passphrase);
}
