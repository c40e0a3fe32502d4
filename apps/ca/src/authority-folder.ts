// The data folder of the issuing CA: which files there are, and the settings that were chosen when it was made.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';
import { loadEncryptedKey, loadPassphraseFile } from '@keyline/keys';
import type { AuthorityUrls } from '@keyline/pki';
import type { KeyObject } from 'node:crypto';

/** `authority.json`: what stands in certificates already issued, and so can't change. */
export interface AuthoritySettings {
  readonly version: 1;
  /** Short name in URLs and rows. */
  readonly id: string;
  /** Base of the plain-HTTP URLs written into certificates. */
  readonly httpUrl: string;
  /** Relative to the folder, so that the whole data folder can be moved. */
  readonly passphraseFile: string;
}

export interface AuthorityFolder {
  readonly path: string;
  readonly settings: string;
  readonly key: string;
  readonly csr: string;
  readonly certificate: string;
  readonly root: string;
  readonly database: string;
}

export function authorityFolderOf(data: string): AuthorityFolder {
  const path = resolve(data);
  return {
    path,
    settings: join(path, 'authority.json'),
    key: join(path, 'issuing.key'),
    csr: join(path, 'issuing.csr'),
    certificate: join(path, 'issuing.crt'),
    root: join(path, 'root.crt'),
    database: join(path, 'keyline.db'),
  };
}

export function urlsOf({ id, httpUrl }: Pick<AuthoritySettings, 'id' | 'httpUrl'>): AuthorityUrls {
  return {
    crl: `${httpUrl}/crl/${id}.crl`,
    ocsp: `${httpUrl}/ocsp`,
    caIssuers: `${httpUrl}/aia/${id}.cer`,
  };
}

/** @throws {KeylineError} USAGE unless it is a plain http:// origin (RFC 5280 §4.2.1.13: a CRL must not need TLS to be fetched) */
export function parseHttpUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new KeylineError(
      'USAGE',
      `"${text}" can't stand in certificates: give the plain origin of the HTTP listener, for instance http://ca.example.org:8080.`,
    );
  }
  if (!url.hostname.includes('.') && !url.hostname.includes(':')) {
    throw new KeylineError(
      'USAGE',
      `"${url.hostname}" is a single word, which linters refuse in certificates (RFC 5280 §4.2.1.6). Give an address or a name with a dot.`,
    );
  }
  return url.origin;
}

/** A path as `authority.json` keeps it. */
export function relativeTo(folder: AuthorityFolder, file: string): string {
  return relative(folder.path, resolve(file));
}

/** @throws {KeylineError} STORE_MISSING, FILE_UNREADABLE */
export async function loadSettings(folder: AuthorityFolder): Promise<AuthoritySettings> {
  const text = await readTextFile(folder.settings, () => notMade(folder));
  try {
    const { version, id, httpUrl, passphraseFile } = JSON.parse(text) as Partial<AuthoritySettings>;
    if (
      version === 1 &&
      typeof id === 'string' &&
      typeof httpUrl === 'string' &&
      typeof passphraseFile === 'string'
    ) {
      return { version, id, httpUrl, passphraseFile };
    }
  } catch (cause) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${folder.settings} is not JSON (${messageOf(cause)}). Restore it from a backup.`,
      { cause },
    );
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `${folder.settings} is not what this version of Keyline wrote. Restore it from a backup.`,
  );
}

function notMade(folder: AuthorityFolder): KeylineError {
  return new KeylineError(
    'STORE_MISSING',
    `There is no issuing CA in ${folder.path}. Make one with "keyline-ca init", or check --data.`,
  );
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, KEY_DECRYPT_FAILED */
export async function loadAuthorityKey(
  folder: AuthorityFolder,
  settings: AuthoritySettings,
): Promise<KeyObject> {
  const { passphraseFile } = settings;
  const path = isAbsolute(passphraseFile) ? passphraseFile : join(folder.path, passphraseFile);
  return loadEncryptedKey(folder.key, loadPassphraseFile(path));
}

/** @param missing what to throw when it is not there; otherwise FILE_NOT_FOUND */
export async function readTextFile(path: string, missing?: () => KeylineError): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    if (isMissing && missing !== undefined) throw missing();
    throw new KeylineError(
      isMissing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      isMissing ? `There is no file "${path}".` : `"${path}" can't be read: ${messageOf(cause)}.`,
      { cause },
    );
  }
}

/** Replaces a file in one step. Not for keys. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const beside = join(dirname(path), `.${relative(dirname(path), path)}.part`);
  try {
    await writeFile(beside, text, { mode: 0o644, flush: true });
    await rename(beside, path);
  } catch (cause) {
    throw new KeylineError('FILE_UNREADABLE', `"${path}" can't be written: ${messageOf(cause)}.`, {
      cause,
    });
  }
}
