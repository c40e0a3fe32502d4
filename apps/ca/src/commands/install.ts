// `keyline-ca install`: takes the certificate that the root signed, makes the database and the first admin.
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { withIssuer } from '@keyline/authorities';
import { readText, readTextIfThere, renameDurably, replaceFile } from '@keyline/files';
import {
  addAuthority,
  entryOf,
  importRootCrl,
  installAuthority,
  issueCertificate,
} from '@keyline/fleet';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import {
  createSigner,
  generateKey,
  loadPlainKey,
  takeUpKeyFile,
  writeKeyFile,
} from '@keyline/keys';
import { createSqliteStore } from '@keyline/store';
import { createCsr, decodePem, decodePemChain, parseCrl } from '@keyline/x509';
import { caFolderOf, firstAuthority, type CaFolder } from '../ca-folder.ts';
import { openIssuing, type Issuing } from '../open-issuing.ts';
import { assertOwnKey } from '../own-key.ts';
import { certificatePem } from '../views.ts';

export interface InstallOptions {
  readonly data: string;
  readonly certificate: string;
  readonly root: string;
  readonly rootCrl?: string;
  readonly config: string;
  /** Folder for the first admin's certificate and key. */
  readonly adminDir: string;
}

const adminName = 'admin@keyline';

/**
 * Each step leaves what is there alone, so an interrupted install is finished by the same call.
 * @returns path of the admin certificate
 * @throws {KeylineError} PATH_INVALID, FILE_EXISTS, CONFIG_INVALID, FILE_*
 */
export async function runInstall(options: InstallOptions): Promise<string> {
  const folder = caFolderOf(options.data);
  const admin = join(resolve(options.adminDir), 'admin.crt');
  if (existsSync(admin) && existsSync(folder.database)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${folder.path} is installed already, and the first admin is ${admin}; nothing was changed.`,
    );
  }
  const certificate = await loadPem(options.certificate, 'CERTIFICATE');
  const root = await loadPem(options.root, 'CERTIFICATE');
  const rootCrl =
    options.rootCrl === undefined ? undefined : await loadPem(options.rootCrl, 'X509 CRL');
  const answers = options.rootCrl === undefined ? [] : await readAnswers(options.rootCrl);
  await createDatabase(folder);
  const issuing = await openIssuing({ data: options.data, config: options.config });
  try {
    if (rootCrl !== undefined) assertNotListed(certificate, rootCrl);
    await installFirst(issuing, { certificate, root });
    if (rootCrl !== undefined) await bringRootCrl(issuing, rootCrl, answers);
    await issueAdmin(issuing, { file: admin, folder: resolve(options.adminDir) });
  } finally {
    await issuing.close();
  }
  return admin;
}

/** Of several files that were given the message names the one. */
async function loadPem(file: string, label: 'CERTIFICATE' | 'X509 CRL'): Promise<Uint8Array> {
  const text = await readText(file, `the ${label === 'CERTIFICATE' ? 'certificate' : 'CRL'}`);
  try {
    return decodePem(text, label);
  } catch (cause) {
    throw new KeylineError(
      'DER_MALFORMED',
      `${file}: ${isKeylineError(cause) ? cause.detail : messageOf(cause)}`,
      { cause },
    );
  }
}

/**
 * A new certificate for the first admin, without the service: the way in when all admins' have ended. Whoever has the data folder and the
 * passphrase is the CA anyway.
 * @returns path of the admin certificate
 * @throws {KeylineError} STORE_MISSING, STORE_CONFLICT while the service runs, CONFIG_INVALID, FILE_*
 */
export async function runAdmin(
  options: Pick<InstallOptions, 'data' | 'config' | 'adminDir'>,
): Promise<string> {
  const folder = resolve(options.adminDir);
  const file = join(folder, 'admin.crt');
  const issuing = await openIssuing(options);
  try {
    await issueAdmin(issuing, { file, folder });
  } finally {
    await issuing.close();
  }
  return file;
}

async function installFirst(
  { fleet, authorities, keys }: Issuing,
  given: { certificate: Uint8Array; root: Uint8Array },
): Promise<void> {
  const [first] = await fleet.store.listAuthorities();
  if (first === undefined) await addAuthority(fleet, { caller: 'keyline', id: firstAuthority });
  if (first === undefined || first.state === 'pending') {
    await assertOwnKey(keys, firstAuthority, given.certificate);
    await authorities.assertUsable(firstAuthority, given.certificate);
    await installAuthority(fleet, {
      caller: 'keyline',
      id: firstAuthority,
      ...given,
      roots: authorities.roots(),
    });
    await authorities.reload();
  }
}

/** Nothing is made of a certificate that the root takes back with the CRL beside it. @throws {KeylineError} PATH_INVALID, DER_MALFORMED */
function assertNotListed(certificate: Uint8Array, rootCrl: Uint8Array): void {
  const listed = entryOf(parseCrl(rootCrl), certificate);
  if (listed === undefined) return;
  throw new KeylineError(
    'PATH_INVALID',
    `The issuing CA's certificate is revoked: CRL ${String(listed.crl)} of its root lists it (${listed.reason}). Have the root sign another key.`,
  );
}

/** An install that was interrupted after this has it already. */
async function bringRootCrl(
  { fleet, authorities }: Issuing,
  crl: Uint8Array,
  answers: readonly Uint8Array[],
): Promise<void> {
  const [root] = authorities.roots();
  if (root === undefined) return;
  if ((await fleet.store.findLatestCrl(root.id, 'complete')) !== undefined) return;
  await importRootCrl(fleet, { caller: 'keyline', crl, answers, roots: authorities.roots() });
}

/** What keyline-root crl wrote beside the CRL; nothing of an older one, or where it was not carried along. */
async function readAnswers(rootCrl: string): Promise<Uint8Array[]> {
  const file = `${rootCrl}.ocsp`;
  const text = (await readTextIfThere(file, "the root's OCSP answers")) ?? '';
  return text.trim() === '' ? [] : decodePemChain(text, 'OCSP RESPONSE');
}

async function issueAdmin(
  { fleet, authorities }: Issuing,
  { file, folder }: { file: string; folder: string },
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyFile = join(folder, 'admin.key');
  if (!(await takeUpKeyFile(keyFile))) {
    const pem = generateKey('ec-p256').export({ type: 'pkcs8', format: 'pem' });
    await writeKeyFile(keyFile, pem);
  }
  const signer = createSigner(await loadPlainKey(keyFile));
  // Also of an authority that the root revoked meanwhile: somebody must get in to install another.
  const issuer = authorities.lastResortFor('admin');
  const { der, authority } = await issueCertificate(withIssuer(fleet, issuer), {
    caller: 'keyline',
    evenIfRevoked: true,
    profile: 'admin',
    name: adminName,
    csr: await createCsr({ signer, commonName: adminName }),
  });
  await replaceFile(file, certificatePem(der) + authorities.get(authority).pem, { mode: 0o644 });
}

async function createDatabase(folder: CaFolder): Promise<void> {
  if (existsSync(folder.database)) return;
  const part = `${folder.database}.part`;
  for (const suffix of ['', '-wal', '-shm']) await rm(part + suffix, { force: true });
  createSqliteStore(part);
  await renameDurably(part, folder.database);
}
