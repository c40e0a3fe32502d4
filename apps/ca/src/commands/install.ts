// `keyline-ca install`: takes the certificate that the root signed, makes the database and the first admin.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { issueCertificate } from '@keyline/fleet';
import { KeylineError, systemClock } from '@keyline/kernel';
import { createSigner, generateKey, loadPlainKey, writeKeyFile } from '@keyline/keys';
import { verifyChain } from '@keyline/pki';
import { createSqliteStore } from '@keyline/store';
import { createCsr, decodePem, encodePem } from '@keyline/x509';
import {
  authorityFolderOf,
  readTextFile,
  replaceFile,
  type AuthorityFolder,
} from '../authority-folder.ts';
import { openIssuing } from '../open-issuing.ts';

export interface InstallOptions {
  readonly data: string;
  readonly certificate: string;
  readonly root: string;
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
  const folder = authorityFolderOf(options.data);
  const admin = join(resolve(options.adminDir), 'admin.crt');
  if (existsSync(admin) && existsSync(folder.database)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${folder.path} is installed already, and the first admin is ${admin}; nothing was changed.`,
    );
  }
  await takeCertificates(folder, options);
  await createDatabase(folder);
  const issuing = await openIssuing({ data: options.data, config: options.config });
  try {
    await mkdir(options.adminDir, { recursive: true, mode: 0o700 });
    const keyFile = join(resolve(options.adminDir), 'admin.key');
    if (!existsSync(keyFile)) {
      const pem = generateKey('ec-p256').export({ type: 'pkcs8', format: 'pem' });
      await writeKeyFile(keyFile, pem);
    }
    const signer = createSigner(await loadPlainKey(keyFile));
    const { der } = await issueCertificate(issuing.fleet, {
      caller: 'keyline',
      profile: 'admin',
      name: adminName,
      csr: await createCsr({ signer, commonName: adminName }),
    });
    await replaceFile(
      admin,
      [der, issuing.certificateDer].map((part) => encodePem('CERTIFICATE', part)).join(''),
    );
  } finally {
    await issuing.close();
  }
  return admin;
}

/** Only a certificate that the given root signed, for the key in the folder. */
async function takeCertificates(folder: AuthorityFolder, options: InstallOptions): Promise<void> {
  const certificatePem = await readTextFile(options.certificate);
  const rootPem = await readTextFile(options.root);
  const verdict = verifyChain({
    leafDer: decodePem(certificatePem, 'CERTIFICATE'),
    intermediates: [],
    roots: [decodePem(rootPem, 'CERTIFICATE')],
    now: systemClock.now(),
  });
  if (verdict.status === 'invalid') {
    throw new KeylineError(
      'PATH_INVALID',
      `The certificate ${options.certificate} is not good under the root ${options.root}: ${verdict.reason}`,
    );
  }
  await replaceFile(folder.root, rootPem);
  await replaceFile(folder.certificate, certificatePem);
}

async function createDatabase(folder: AuthorityFolder): Promise<void> {
  if (existsSync(folder.database)) return;
  const part = `${folder.database}.part`;
  for (const suffix of ['', '-wal', '-shm']) await rm(part + suffix, { force: true });
  createSqliteStore(part);
  await rename(part, folder.database);
}
