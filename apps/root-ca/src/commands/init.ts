// keyline-root init: a new root key and its certificate. Key, certificate, state: in this order, so that an interrupted run is seen by
// the missing state and finished with --resume.
import type { KeyObject } from 'node:crypto';
import { formatInstant, KeylineError, type Secret, quoteForShell } from '@keyline/kernel';
import {
  createSigner,
  encryptPrivateKey,
  generateKey,
  loadEncryptedKey,
  writeKeyFile,
} from '@keyline/keys';
import { createRootCertificate } from '@keyline/pki';
import {
  encodeName,
  encodePem,
  equalBytes,
  parseCertificate,
  type KeyAlgorithm,
  type ParsedCertificate,
} from '@keyline/x509';
import { folderFiles, sha256Of } from '../offline-folder.ts';
import { loadRootCertificate } from '../open-root.ts';
import { readNewPassphrase, readPassphrase } from '../passphrase.ts';
import { facts, fingerprint } from '../print.ts';
import { saveRootState } from '../root-state.ts';
import { confirm, type Report, type Task } from '../task.ts';
import { parseLifetime } from '../validity.ts';

export interface InitOptions {
  readonly commonName: string;
  readonly organization?: string;
  readonly algorithm: KeyAlgorithm;
  readonly validity: string;
  readonly passphraseFile?: string;
  readonly resume?: boolean;
  readonly yes?: boolean;
}

const bounds = { least: '30d', most: '50y' };

/** @throws {KeylineError} FILE_EXISTS, USAGE, KEY_DECRYPT_FAILED, PROFILE_VIOLATION, VALIDITY_NOT_ALLOWED */
export async function init(task: Task, options: InitOptions): Promise<Report> {
  const { folder, journal, now } = task;
  const validity = parseLifetime(options.validity, bounds, now);
  assertNew(task, options);
  const resumes = folder.has(folderFiles.key);
  const { commonName, organization } = options;
  // Before there is a key: a name that can't be written would leave half a root.
  encodeName([
    ...(organization === undefined ? [] : [{ attribute: 'O' as const, value: organization }]),
    { attribute: 'CN', value: commonName },
  ]);
  const hasCertificate = folder.has(folderFiles.certificate);
  if (!hasCertificate) {
    await confirm(task, {
      yes: options.yes,
      ask: 'Make this root?',
      shown: `New root in ${folder.path}${resumes ? ' (going on with its key)' : ''}:\n${facts([
        ['common name', commonName],
        ['organization', organization],
        ['key', resumes ? 'as it is' : options.algorithm],
        ['ends', `${formatInstant(now + validity)} (the clock says ${formatInstant(now)})`],
      ])}`,
    });
  }
  const signer = createSigner(await getKey(task, options, resumes));
  let certificate: ParsedCertificate;
  if (hasCertificate) {
    certificate = loadRootCertificate(folder);
    if (!equalBytes(certificate.spkiDer, signer.spkiDer)) {
      throw new KeylineError(
        'FILE_EXISTS',
        `${folderFiles.certificate} is another key's certificate. Move it away, then run init --resume again.`,
      );
    }
  } else {
    const certificateDer = await createRootCertificate({
      signer,
      commonName,
      organization,
      now,
      validity,
    });
    certificate = parseCertificate(certificateDer);
    const path = folder.own(folderFiles.certificate);
    journal.outputs.push(await folder.replace(path, encodePem('CERTIFICATE', certificateDer)));
  }
  const state = {
    version: 1,
    commonName: certificate.commonName ?? commonName,
    ...(organization === undefined ? {} : { organization }),
    createdAt: formatInstant(now),
    updatedAt: formatInstant(now),
    crlNumber: 0,
    intermediates: [],
  } as const;
  journal.outputs.push(await saveRootState(folder, state, now));
  journal.facts['serial'] = certificate.serial;
  return describe(task, certificate, signer.algorithm);
}

function assertNew({ folder }: Task, { resume = false }: InitOptions): void {
  if (folder.has(folderFiles.state)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `There is a root in ${folder.path} already, and nothing of it was touched. Give another folder with --dir for a new one.`,
    );
  }
  if (folder.has(folderFiles.key)) {
    if (resume) return;
    throw new KeylineError(
      'FILE_EXISTS',
      `There is a root key in ${folder.path} already: an "init" was interrupted. Run it again with --resume, the same options and the same passphrase; or move ${folderFiles.key} away.`,
    );
  }
  if (folder.has(folderFiles.certificate)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `There is a ${folderFiles.certificate} without its key in ${folder.path}. Restore the folder from a backup, or give another one with --dir.`,
    );
  }
}

async function getKey(task: Task, options: InitOptions, resumes: boolean): Promise<KeyObject> {
  const { folder, journal, terminal } = task;
  const { passphraseFile } = options;
  const path = folder.own(folderFiles.key);
  if (resumes) {
    return loadEncryptedKey(path, await readPassphrase({ folder, terminal, passphraseFile }));
  }
  const passphrase = await readNewPassphrase({ folder, terminal, passphraseFile });
  const key = generateKey(options.algorithm);
  await writeNewKey(task, key, passphrase);
  journal.outputs.push(folder.record(path, folder.read(path).bytes));
  return key;
}

/** Whole or not there, and never overwritten. */
async function writeNewKey({ folder }: Task, key: KeyObject, passphrase: Secret): Promise<void> {
  const path = folder.own(folderFiles.key);
  // Of a run that was interrupted before the key had its name nothing stays: nothing was ever signed with it.
  const beside = folder.own(`.${folderFiles.key}.part`);
  await writeKeyFile(path, encryptPrivateKey(key, passphrase), beside);
}

function describe(
  { folder }: Task,
  certificate: ParsedCertificate,
  algorithm: KeyAlgorithm,
): Report {
  const { commonName, serial } = certificate;
  const notBefore = formatInstant(certificate.notBefore);
  const notAfter = formatInstant(certificate.notAfter);
  const sha256 = sha256Of(certificate.der);
  return {
    json: {
      folder: folder.path,
      key: folderFiles.key,
      certificate: folderFiles.certificate,
      commonName,
      algorithm,
      serial,
      notBefore,
      notAfter,
      sha256,
      spkiSha256: certificate.spkiSha256,
    },
    text: `The root is made, in ${folder.path}:\n${facts([
      ['certificate', `${folderFiles.certificate} (to hand out: relying parties trust it)`],
      ['key', `${folderFiles.key} (encrypted; back it up apart from its passphrase)`],
      ['common name', commonName],
      ['algorithm', algorithm],
      ['serial', serial],
      ['valid', `${notBefore} to ${notAfter}`],
      ['SHA-256', fingerprint(sha256)],
    ])}Next: keyline-root sign-intermediate --dir ${quoteForShell(folder.path)} --csr issuing.csr --out issuing.crt\n`,
  };
}
