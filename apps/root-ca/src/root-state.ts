// What the root has signed and revoked, in one file that is replaced in one step. It is the truth of the folder: certificates
// under issued/ are written from it again when a run was interrupted.
import { readFileSync } from 'node:fs';
import { formatInstant, KeylineError, messageOf, type SerialHex } from '@keyline/kernel';
import {
  revocationReasons,
  type CertificateStatus,
  type CrlEntry,
  type RevocationReason,
} from '@keyline/pki';
import { folderFiles, type FileRecord, type OfflineFolder } from './offline-folder.ts';

/** An authority the root has signed: issuing, or another root's cross-certificate. Times are RFC 3339 UTC. */
export interface Intermediate {
  readonly serial: SerialHex;
  readonly commonName: string;
  /** Lower-case hex SHA-256 of the SubjectPublicKeyInfo. */
  readonly spkiSha256: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly signedAt: string;
  /** PEM. */
  readonly certificate: string;
  readonly revoked?: { readonly at: string; readonly reason: RevocationReason } | undefined;
}

export interface RootState {
  readonly version: 1;
  readonly commonName: string;
  readonly organization?: string | undefined;
  readonly createdAt: string;
  /** Of the last change. A clock that stands before it is wrong. */
  readonly updatedAt: string;
  /** Number of the last CRL that may have been published. */
  readonly crlNumber: number;
  readonly intermediates: readonly Intermediate[];
  /** Signed, and not yet known to lie where it was wanted. */
  readonly pending?: PendingDelivery | undefined;
}

export interface PendingDelivery {
  readonly serial: SerialHex;
  /** Of the file that was signed for (a CSR, another root's certificate), lower-case hex. */
  readonly inputSha256: string;
  /** Relative to the folder; absent: under issued/ only. */
  readonly out?: string | undefined;
}

/** @throws {KeylineError} STORE_MISSING when there is no root in the folder, STORE_STALE when its state can't be read */
export function loadRootState(folder: OfflineFolder): RootState {
  if (!folder.has(folderFiles.state)) {
    throw new KeylineError(
      'STORE_MISSING',
      folder.has(folderFiles.key)
        ? `"keyline-root init" was interrupted in ${folder.path}. Run it again with --resume and the same passphrase.`
        : `There is no root in ${folder.path}. Give its folder with --dir, or make one with "keyline-root init".`,
    );
  }
  try {
    return parseRootState(JSON.parse(readFileSync(folder.own(folderFiles.state), 'utf8')));
  } catch (error) {
    throw new KeylineError(
      'STORE_STALE',
      `${folder.own(folderFiles.state)} can't be used: ${messageOf(error)}. Restore it from a backup of the folder; nothing was changed.`,
      { cause: error },
    );
  }
}

/** @param now epoch milliseconds */
export async function saveRootState(
  folder: OfflineFolder,
  given: RootState,
  now: number,
): Promise<FileRecord> {
  const state: RootState = { ...given, updatedAt: formatInstant(now) };
  const text = `${JSON.stringify(state, null, 2)}\n`;
  return folder.replace(folder.own(folderFiles.state), text, 0o600);
}

export function issuedPath(folder: OfflineFolder, serial: SerialHex): string {
  return folder.own(folderFiles.issued, `${serial}.crt`);
}

/** The entries of the root's CRL. Entries stay also after the certificate's end: there are few, and a verifier's clock may be slow. */
export function crlEntriesOf(state: RootState): CrlEntry[] {
  return state.intermediates.flatMap(({ serial, revoked }) =>
    revoked === undefined
      ? []
      : [{ serial, revokedAt: Date.parse(revoked.at), reason: revoked.reason }],
  );
}

/** What the root says, when it is asked about one of them by OCSP, of the certificates that have not ended. @param now epoch milliseconds */
export function ocspStatusesOf(
  state: RootState,
  now: number,
): { readonly serial: SerialHex; readonly status: CertificateStatus }[] {
  return state.intermediates
    .filter(({ notAfter }) => Date.parse(notAfter) > now)
    .map(({ serial, revoked }) => ({
      serial,
      status:
        revoked === undefined
          ? { status: 'good' }
          : { status: 'revoked', revokedAt: Date.parse(revoked.at), reason: revoked.reason },
    }));
}

// The file is Keyline's own, but it travels on USB sticks: what does not look right is refused before anything is signed on it.
function parseRootState(value: unknown): RootState {
  const state = asRecord(value, 'the file');
  if (state['version'] !== 1) throw new Error(`version ${String(state['version'])} is not known`);
  const { crlNumber, intermediates, organization } = state;
  if (!Number.isSafeInteger(crlNumber) || (crlNumber as number) < 0) throw wrong('crlNumber');
  if (!Array.isArray(intermediates)) throw wrong('intermediates');
  return {
    version: 1,
    commonName: asText(state, 'commonName'),
    ...(organization === undefined ? {} : { organization: asText(state, 'organization') }),
    createdAt: asTime(state, 'createdAt'),
    updatedAt: asTime(state, 'updatedAt'),
    crlNumber: crlNumber as number,
    intermediates: intermediates.map(parseIntermediate),
    ...(state['pending'] === undefined ? {} : { pending: parsePending(state['pending']) }),
  };
}

function parsePending(value: unknown): PendingDelivery {
  const pending = asRecord(value, 'pending');
  return {
    serial: asSerial(pending),
    inputSha256: asText(pending, 'inputSha256'),
    ...(pending['out'] === undefined ? {} : { out: asText(pending, 'out') }),
  };
}

function asSerial(record: Record<string, unknown>): SerialHex {
  const serial = asText(record, 'serial');
  if (!/^(?:[0-9a-f]{2}){1,20}$/.test(serial)) throw wrong('serial');
  return serial as SerialHex;
}

function parseIntermediate(value: unknown): Intermediate {
  const entry = asRecord(value, 'an intermediate');
  const parsed = {
    serial: asSerial(entry),
    commonName: asText(entry, 'commonName'),
    spkiSha256: asText(entry, 'spkiSha256'),
    notBefore: asTime(entry, 'notBefore'),
    notAfter: asTime(entry, 'notAfter'),
    signedAt: asTime(entry, 'signedAt'),
    certificate: asText(entry, 'certificate'),
  };
  if (entry['revoked'] === undefined) return parsed;
  const revoked = asRecord(entry['revoked'], 'revoked');
  const reason = revocationReasons.find((name) => name === revoked['reason']);
  if (reason === undefined) throw wrong('reason');
  return { ...parsed, revoked: { at: asTime(revoked, 'at'), reason } };
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what);
  return value as Record<string, unknown>;
}

function asText(record: Record<string, unknown>, key: string): string {
  const value = record[key];
  if (typeof value !== 'string' || value === '') throw wrong(key);
  return value;
}

function asTime(record: Record<string, unknown>, key: string): string {
  const text = asText(record, key);
  if (Number.isNaN(Date.parse(text))) throw wrong(key);
  return text;
}

function wrong(what: string): Error {
  return new Error(`"${what}" is missing or not what it should be`);
}
