// The root in its folder: its state, brought to a whole when a run was interrupted, and its key when something is to be signed.
import { Duration, formatInstant, KeylineError } from '@keyline/kernel';
import { createSigner, loadEncryptedKey } from '@keyline/keys';
import type { Authority } from '@keyline/pki';
import { decodePem, parseCertificate, type ParsedCertificate } from '@keyline/x509';
import { folderFiles, type OfflineFolder } from './offline-folder.ts';
import { readPassphrase } from './passphrase.ts';
import {
  issuedPath,
  loadRootState,
  saveRootState,
  type PendingDelivery,
  type RootState,
} from './root-state.ts';
import type { Task } from './task.ts';

export interface OpenedRoot {
  readonly state: RootState;
  readonly certificate: ParsedCertificate;
  /** What an interrupted run had left to be delivered, and this one delivered. */
  readonly finished?: PendingDelivery | undefined;
}

const clockTolerance = Duration.minutes(1);

/**
 * Reads the state and finishes what was interrupted.
 * @throws {KeylineError} STORE_MISSING, STORE_STALE, VALIDITY_NOT_ALLOWED when the clock stands before the last change
 */
export async function openRoot(task: Task): Promise<OpenedRoot> {
  const { folder, now } = task;
  const state = loadRootState(folder);
  const certificate = loadRootCertificate(folder);
  const last = Math.max(Date.parse(state.updatedAt), certificate.notBefore);
  if (now + clockTolerance < last) {
    throw new KeylineError(
      'VALIDITY_NOT_ALLOWED',
      `The clock of this machine says ${formatInstant(now)}, which is before this root was last used (${formatInstant(last)}). Set the clock right (UTC); nothing was done.`,
    );
  }
  return { certificate, ...(await finishInterrupted(task, state)) };
}

/** @throws {KeylineError} STORE_STALE */
export function loadRootCertificate(folder: OfflineFolder): ParsedCertificate {
  if (!folder.has(folderFiles.certificate)) {
    throw new KeylineError(
      'STORE_STALE',
      `${folderFiles.certificate} is missing in ${folder.path}. Restore it from a backup of the folder, or from any machine that trusts this root.`,
    );
  }
  const { bytes } = folder.read(folder.own(folderFiles.certificate));
  const certificate = parseCertificate(decodePem(bytes.toString('latin1'), 'CERTIFICATE'));
  if (!certificate.selfSigned) {
    throw new KeylineError(
      'STORE_STALE',
      `${folderFiles.certificate} is not a self-signed certificate. Restore it from a backup of the folder.`,
    );
  }
  return certificate;
}

async function finishInterrupted(
  task: Task,
  state: RootState,
): Promise<Pick<OpenedRoot, 'state' | 'finished'>> {
  const { folder, journal, terminal } = task;
  for (const { serial, certificate } of state.intermediates) {
    const path = issuedPath(folder, serial);
    if (!folder.has(folder.nameOf(path)))
      journal.outputs.push(await folder.replace(path, certificate));
  }
  const { pending, ...rest } = state;
  if (pending === undefined) return { state };
  const signed = state.intermediates.find(({ serial }) => serial === pending.serial);
  if (pending.out !== undefined && signed !== undefined && !folder.has(pending.out)) {
    const path = folder.resolve(folder.own(pending.out));
    folder.assertFree(path);
    journal.outputs.push(await folder.replace(path, signed.certificate));
    terminal.err(`A run had been interrupted after signing; ${pending.out} is written now.\n`);
  }
  journal.facts['finished'] = pending.serial;
  await saveRootState(folder, rest, task.now);
  return { state: rest, finished: pending };
}

/**
 * The root key, for as long as the command runs.
 * @throws {KeylineError} KEY_DECRYPT_FAILED, USAGE, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function unlockRoot(
  task: Task,
  certificate: ParsedCertificate,
  passphraseFile: string | undefined,
): Promise<Pick<Authority, 'certificateDer' | 'signer'>> {
  const { folder, terminal } = task;
  if (!folder.has(folderFiles.key)) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `${folderFiles.key} is missing in ${folder.path}. Put the root key file there (mode 600) and run the command again.`,
    );
  }
  const passphrase = await readPassphrase({ folder, terminal, passphraseFile });
  const key = await loadEncryptedKey(folder.own(folderFiles.key), passphrase);
  return { certificateDer: certificate.der, signer: createSigner(key) };
}
