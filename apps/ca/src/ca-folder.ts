// The data folder of the issuing CA: which files there are, the settings that were chosen when it was made, and its keys.
import { isAbsolute, join, relative, resolve } from 'node:path';
import { assertNotHalfRestored } from '@keyline/backup';
import { readTextIfThere } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import { loadPassphraseFile, openAuthorityKeys, type AuthorityKeys } from '@keyline/keys';
import type { AuthorityUrls } from '@keyline/pki';

/** What certificates name that were issued before the service moved. */
export interface EarlierUrl {
  readonly httpUrl: string;
  /** RFC 3339. */
  readonly leftAt: string;
  /** RFC 3339: when the last certificate ends that was issued until then. Absent: there was none. Authorities may end later. */
  readonly until?: string | undefined;
}

/** `ca.json`: what stands in certificates already issued, and so is never forgotten. */
export interface CaSettings {
  readonly version: 1;
  /** Base of the plain-HTTP URLs written into certificates. */
  readonly httpUrl: string;
  /** What it was before, latest last. */
  readonly earlier?: readonly EarlierUrl[] | undefined;
  /** Encrypts every authority's key. Relative to the folder, so that the whole data folder can be moved. */
  readonly passphraseFile: string;
}

export interface CaFolder {
  readonly path: string;
  readonly settings: string;
  readonly authorities: string;
  /** The first authority's CSR; those of later ones are in the API's answer. */
  readonly csr: string;
  readonly database: string;
  /** Certificates with which the service administers its brokers, for those of this machine. */
  readonly brokerAdmin: string;
  /** The issuing authorities whose clients those brokers let in. */
  readonly clientAuthorities: string;
}

/** CRLs as they were published last. */
export const publishedFolderOf = ({ path }: Pick<CaFolder, 'path'>): string =>
  join(path, 'published');

export const firstAuthority = 'issuing-1';

export function caFolderOf(data: string): CaFolder {
  const path = resolve(data);
  return {
    path,
    settings: join(path, 'ca.json'),
    authorities: join(path, 'authorities'),
    csr: join(path, 'issuing.csr'),
    database: join(path, 'keyline.db'),
    brokerAdmin: join(path, 'broker-admin.pem'),
    clientAuthorities: join(path, 'client-authorities.pem'),
  };
}

export function urlsOf(
  id: string,
  { httpUrl, earlier = [] }: Pick<CaSettings, 'httpUrl' | 'earlier'>,
): AuthorityUrls {
  return {
    crl: `${httpUrl}/crl/${id}.crl`,
    ocsp: `${httpUrl}/ocsp`,
    caIssuers: `${httpUrl}/aia/${id}.cer`,
    ...(earlier.length === 0
      ? {}
      : { earlierCrls: earlier.map((one) => `${one.httpUrl}/crl/${id}.crl`) }),
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

/** A path as `ca.json` keeps it. */
export function relativeTo(folder: CaFolder, file: string): string {
  return relative(folder.path, resolve(file));
}

/** @throws {KeylineError} STORE_MISSING, FILE_UNREADABLE */
export async function loadSettings(folder: CaFolder): Promise<CaSettings> {
  assertNotHalfRestored(folder.path);
  const text = await readTextIfThere(folder.settings, 'the settings of the issuing CA');
  if (text === undefined) throw notMade(folder);
  try {
    const { version, httpUrl, earlier, passphraseFile } = JSON.parse(text) as Partial<CaSettings>;
    if (
      version === 1 &&
      typeof httpUrl === 'string' &&
      typeof passphraseFile === 'string' &&
      (earlier === undefined || (Array.isArray(earlier) && earlier.every(isEarlierUrl)))
    ) {
      return { version, httpUrl, ...(earlier === undefined ? {} : { earlier }), passphraseFile };
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

function isEarlierUrl(value: unknown): value is EarlierUrl {
  const { httpUrl, leftAt, until } = (value ?? {}) as Partial<EarlierUrl>;
  return (
    typeof httpUrl === 'string' &&
    typeof leftAt === 'string' &&
    URL.canParse(httpUrl) &&
    !Number.isNaN(Date.parse(leftAt)) &&
    (until === undefined || !Number.isNaN(Date.parse(until)))
  );
}

function notMade(folder: CaFolder): KeylineError {
  return new KeylineError(
    'STORE_MISSING',
    `There is no issuing CA in ${folder.path}. Make one with "keyline-ca init", or check --data.`,
  );
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE when the passphrase can't be read */
export function openKeys(folder: CaFolder, { passphraseFile }: CaSettings): AuthorityKeys {
  const file = isAbsolute(passphraseFile) ? passphraseFile : join(folder.path, passphraseFile);
  return openAuthorityKeys({
    folder: folder.authorities,
    passphrase: loadPassphraseFile(file),
  });
}
