// From a signed authority certificate to a file: in the durable state first, then under issued/, then where it is wanted. What is
// interrupted on the way is finished by the next command (open-root.ts).
import { formatInstant, KeylineError } from '@keyline/kernel';
import { decodePem, encodePem, parseCertificate, type ParsedCertificate } from '@keyline/x509';
import { folderFiles, sha256Of } from './offline-folder.ts';
import type { OpenedRoot } from './open-root.ts';
import { facts, fingerprint } from './print.ts';
import { issuedPath, saveRootState, type PendingDelivery, type RootState } from './root-state.ts';
import type { Report, Task } from './task.ts';
import { describeShortening } from './validity.ts';

/**
 * Where the certificate is wanted, absolute. A file that is there already is an error, unless this very certificate was just put there.
 * @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE
 */
export function resolveOut(
  { folder }: Task,
  out: string | undefined,
  finished: PendingDelivery | undefined,
): string | undefined {
  if (out === undefined) return undefined;
  const path = folder.resolve(out);
  if (finished === undefined || folder.nameOf(path) !== finished.out) folder.assertFree(path);
  return path;
}

export interface Signed {
  readonly certificateDer: Uint8Array;
  /** @see PendingDelivery.inputSha256 */
  readonly inputSha256: string;
  /** Absolute. */
  readonly out: string | undefined;
  /** Until when it was to last, epoch milliseconds; it ends earlier where the root does. */
  readonly askedEnd: number;
}

export async function deliver(task: Task, before: RootState, signed: Signed): Promise<Report> {
  const { folder, journal, now } = task;
  const { certificateDer, inputSha256, out, askedEnd } = signed;
  const certificate = parseCertificate(certificateDer);
  const { serial } = certificate;
  const pem = encodePem('CERTIFICATE', certificateDer);
  const state = addSigned(before, certificate, now);
  const pending = {
    serial,
    inputSha256,
    ...(out === undefined ? {} : { out: folder.nameOf(out) }),
  };
  // Nothing leaves before it is known to have been signed.
  await saveRootState(folder, { ...state, pending }, now);
  journal.outputs.push(await folder.replace(issuedPath(folder, serial), pem));
  if (out !== undefined) journal.outputs.push(await folder.replace(out, pem));
  journal.outputs.push(await saveRootState(folder, state, now));
  return reportSigned(task, state, pending, describeShortening(askedEnd, certificate.notAfter));
}

/** The interrupted run's input, given once more: its certificate is the answer, also where it is wanted elsewhere this time. */
export async function deliverAgain(
  task: Task,
  { state, finished }: OpenedRoot & { readonly finished: PendingDelivery },
  out: string | undefined,
): Promise<Report> {
  const { folder, journal } = task;
  if (out === undefined || folder.nameOf(out) === finished.out) {
    return reportSigned(task, state, finished);
  }
  journal.outputs.push(await folder.replace(out, getSigned(state, finished).certificate));
  return reportSigned(task, state, { ...finished, out: folder.nameOf(out) });
}

function addSigned(state: RootState, certificate: ParsedCertificate, now: number): RootState {
  const { serial, commonName = 'without a common name', spkiSha256 } = certificate;
  const signed = {
    serial,
    commonName,
    spkiSha256,
    notBefore: formatInstant(certificate.notBefore),
    notAfter: formatInstant(certificate.notAfter),
    signedAt: formatInstant(now),
    certificate: encodePem('CERTIFICATE', certificate.der),
  };
  return { ...state, intermediates: [...state.intermediates, signed] };
}

function getSigned(
  state: RootState,
  delivered: Pick<PendingDelivery, 'serial'>,
): RootState['intermediates'][number] {
  const signed = state.intermediates.find(({ serial }) => serial === delivered.serial);
  if (signed !== undefined) return signed;
  throw new KeylineError(
    'STORE_STALE',
    `${folderFiles.state} does not know the certificate ${delivered.serial} that it says was interrupted. Restore it from a backup of the folder.`,
  );
}

function reportSigned(
  { folder, journal }: Task,
  state: RootState,
  delivered: Pick<PendingDelivery, 'serial' | 'out'>,
  shortened?: string,
): Report {
  const signed = getSigned(state, delivered);
  const { serial, commonName, notBefore, notAfter, spkiSha256 } = signed;
  const certificate = delivered.out ?? folder.nameOf(issuedPath(folder, serial));
  const sha256 = sha256Of(decodePem(signed.certificate, 'CERTIFICATE'));
  journal.facts['serial'] = serial;
  return {
    json: {
      ...{ certificate, serial, commonName, notBefore, notAfter, sha256, spkiSha256 },
      shortened: shortened ?? null,
    },
    text: `Signed:\n${facts([
      ['certificate', certificate],
      ['common name', commonName],
      ['serial', serial],
      ['valid', `${notBefore} to ${notAfter}`],
      ['shortened', shortened],
      ['SHA-256', fingerprint(sha256)],
    ])}`,
  };
}
