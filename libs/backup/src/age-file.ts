// The encryption of backups: the age format (age-encryption.org/v1), so that the age program opens one too.
import { open, type FileHandle } from 'node:fs/promises';
import { isNodeError } from '@keyline/files';
import { KeylineError, messageOf, type Secret } from '@keyline/kernel';
import type { Decrypter, Encrypter } from 'age-encryption';
import { scryptIdentity, scryptRecipient } from './scrypt-lock.ts';

/** What a backup is closed with: a passphrase, or public keys (`age1…`) of those who may open it. */
export type BackupLock =
  { readonly passphrase: Secret } | { readonly recipients: readonly string[] };

/** What opens one: the passphrase, or private keys (`AGE-SECRET-KEY-1…`). */
export type BackupKey =
  { readonly passphrase: Secret } | { readonly identities: readonly Secret[] };

/** Loaded when it is needed: services that only look for a marker here have no use for it. */
const loadAge = async () => import('age-encryption');

const magic = 'age-encryption.org/';
const armor = '-----BEGIN AGE ENCRYPTED FILE-----';
const readBytes = 256 * 1024;

/** @throws {KeylineError} USAGE for a recipient that is none */
export async function encryptPieces(
  lock: BackupLock,
  pieces: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const { Encrypter, Stanza } = await loadAge();
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.addRecipient(scryptRecipient(lock.passphrase, Stanza));
  else for (const recipient of lock.recipients) addRecipient(encrypter, recipient);
  return encrypter.encrypt(ReadableStream.from(pieces));
}

/** @throws {KeylineError} USAGE when it is no public key of age */
export async function assertRecipient(recipient: string): Promise<void> {
  const { Encrypter } = await loadAge();
  addRecipient(new Encrypter(), recipient);
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new KeylineError(
      'USAGE',
      `"${recipient.slice(0, 80)}" is no recipient: give the public key that age-keygen printed (age1…).`,
      { cause },
    );
  }
}

export interface OpenBackup {
  /** Decrypted. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Of the file, encrypted. */
  readonly bytes: number;
  close(): Promise<void>;
}

/**
 * @param onProgress bytes of the file that were read so far
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE (no backup, or damaged), KEY_DECRYPT_FAILED (another passphrase or key)
 */
export async function openAgeFile(
  path: string,
  key: BackupKey,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<OpenBackup> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    await assertAge(file, path);
    const { Decrypter } = await loadAge();
    const decrypter = new Decrypter();
    if ('passphrase' in key) decrypter.addIdentity(scryptIdentity(key.passphrase));
    else for (const identity of key.identities) addIdentity(decrypter, identity);
    const plain = await decrypter
      .decrypt(ReadableStream.from(piecesOf(file, onProgress)))
      .catch((cause: unknown) => {
        throw notOpened(path, key, cause);
      });
    return { pieces: provedPieces(plain, path), bytes: size, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r');
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    if (isNodeError(cause, 'ENOENT')) {
      throw new KeylineError('FILE_NOT_FOUND', `There is no backup ${path}. Check the path.`, {
        cause,
      });
    }
    throw new KeylineError('FILE_UNREADABLE', `Can't open ${path}: ${messageOf(cause)}.`, {
      cause,
    });
  }
  throw new KeylineError('FILE_UNREADABLE', `${path} is no file. Name the file of a backup.`);
}

async function assertAge(file: FileHandle, path: string): Promise<void> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
  const head = buffer.toString('latin1', 0, bytesRead);
  if (head.startsWith(magic)) return;
  throw new KeylineError(
    'FILE_UNREADABLE',
    head.startsWith(armor)
      ? `${path} is armored (text). Take the armor off first: age --decrypt and encrypt it anew without --armor, or take the file as Keyline wrote it.`
      : `${path} is no backup of Keyline: it ${bytesRead === 0 ? 'is empty' : 'does not begin as an age file'}. Take another one.`,
  );
}

function addIdentity(decrypter: Decrypter, identity: Secret): void {
  try {
    decrypter.addIdentity(identity.reveal());
  } catch {
    // Without the cause: it might hold the key.
    throw new KeylineError(
      'USAGE',
      'A line of the identity file is no private key of age (AGE-SECRET-KEY-1…). Give the file that age-keygen wrote.',
    );
  }
}

function notOpened(path: string, key: BackupKey, cause: unknown): KeylineError {
  if (cause instanceof KeylineError) return cause;
  const words = messageOf(cause);
  if (/no identity matched/.test(words)) {
    return new KeylineError(
      'KEY_DECRYPT_FAILED',
      'passphrase' in key
        ? `${path} does not open: the passphrase is wrong, or it was encrypted to recipients (then give --identity-file).`
        : `${path} does not open: it is encrypted to other recipients, or with a passphrase (then give --passphrase-file).`,
      { cause },
    );
  }
  return damaged(path, words, cause);
}

function damaged(path: string, words: string, cause: unknown): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${path} is damaged: it was cut short or changed after it was written (${words}). Take another backup.`,
    { cause },
  );
}

async function* piecesOf(
  file: FileHandle,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(readBytes), 0, readBytes, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    onProgress(at);
    yield buffer.subarray(0, bytesRead);
  }
}

/** Each piece was proved before it comes; one that does not prove ends all. */
async function* provedPieces(
  plain: ReadableStream<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  const pieces = plain[Symbol.asyncIterator]();
  for (;;) {
    const next = await pieces.next().catch((cause: unknown) => {
      throw damaged(path, messageOf(cause), cause);
    });
    if (next.done === true) return;
    yield next.value;
  }
}
