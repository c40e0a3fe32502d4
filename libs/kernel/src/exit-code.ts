// What the numbers mean with which Keyline's programs end: one meaning for each, in all of them. Scripts rely on them.
import { isKeylineError, type ErrorCode } from './errors.ts';

export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  notReachable: 5,
  badFile: 6,
  pending: 7,
  passphrase: 8,
} as const;

/** In words, for `--help` and the documentation. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  internal: 'internal error, or doctor found a failure',
  usage: 'the command line is not valid',
  refused: 'refused: a rule forbids it, or another process is at work (the message says which)',
  notFound: 'there is no such device, batch, token, certificate or authority',
  notReachable: 'the service or broker can not be reached',
  badFile: 'a file or folder is missing, unreadable, not what it should be, or in the way',
  pending: 'it is done, but --wait did not see every effect within a minute',
  passphrase: 'the passphrase does not open the key',
};

const { internal, usage, refused, notFound, notReachable, badFile, passphrase } = exitCodes;

const exitCodeOfError = {
  REQUEST_INVALID: refused,
  REQUEST_TOO_LARGE: refused,
  NOT_FOUND: notFound,
  METHOD_NOT_ALLOWED: refused,
  UNSUPPORTED_MEDIA_TYPE: refused,
  RATE_LIMITED: refused,
  IDEMPOTENCY_KEY_REUSED: refused,
  IDEMPOTENCY_IN_PROGRESS: refused,
  PRECONDITION_FAILED: refused,
  HEAD_TOO_LARGE: refused,
  REQUEST_TIMEOUT: notReachable,
  SERVICE_BUSY: notReachable,
  STORAGE_RESERVED: refused,
  UNAUTHENTICATED: refused,
  FORBIDDEN: refused,
  APPROVAL_NEEDED: refused,
  APPROVAL_CLOSED: refused,
  CERTIFICATE_NOT_ACCEPTED: refused,
  CSR_MALFORMED: refused,
  CSR_TOO_LARGE: refused,
  CSR_SIGNATURE_INVALID: refused,
  CSR_ALGORITHM_NOT_ALLOWED: refused,
  CSR_KEY_WEAK: refused,
  CSR_KEY_IN_USE: refused,
  CSR_SUBJECT_MISMATCH: refused,
  TOKEN_INVALID: refused,
  TOKEN_EXPIRED: refused,
  TOKEN_EXHAUSTED: refused,
  TOKEN_PATTERN_MISMATCH: refused,
  DEVICE_ID_INVALID: refused,
  DEVICE_EXISTS: refused,
  DEVICE_NOT_FOUND: notFound,
  DEVICE_CHANGED: refused,
  DEVICE_STATE_FORBIDS: refused,
  DEVICE_TYPE_UNKNOWN: refused,
  CERTIFICATE_NOT_FOUND: notFound,
  CERTIFICATE_ALREADY_REVOKED: refused,
  VALIDITY_NOT_ALLOWED: refused,
  RENEWAL_TOO_EARLY: refused,
  RENEWAL_LIMIT: refused,
  BATCH_NOT_FOUND: notFound,
  BATCH_EXISTS: refused,
  BATCH_CLOSED: refused,
  BATCH_QUOTA_EXHAUSTED: refused,
  BATCH_PATTERN_MISMATCH: refused,
  BATCH_STATION_NOT_ALLOWED: refused,
  BATCH_KEY_DIFFERS: refused,
  JOB_NOT_FOUND: notFound,
  JOB_STATE_FORBIDS: refused,
  JOB_COUNT_DIFFERS: refused,
  DER_MALFORMED: badFile,
  KEY_DECRYPT_FAILED: passphrase,
  KEY_UNSUPPORTED: badFile,
  AUTHORITY_NOT_FOUND: notFound,
  AUTHORITY_EXISTS: refused,
  AUTHORITY_STATE_FORBIDS: refused,
  PROFILE_UNKNOWN: refused,
  ROLE_UNKNOWN: refused,
  PROFILE_VIOLATION: refused,
  LINT_FAILED: refused,
  PATH_INVALID: refused,
  OCSP_MALFORMED: refused,
  CONFIG_INVALID: badFile,
  USAGE: usage,
  FILE_EXISTS: badFile,
  FILE_NOT_FOUND: badFile,
  FILE_UNREADABLE: badFile,
  STORE_MISSING: badFile,
  STORE_COPIED: badFile,
  STORE_STALE: badFile,
  STORE_CONFLICT: refused,
  LEASE_LOST: refused,
  FEED_STALE: notReachable,
  TARGET_UNREACHABLE: notReachable,
  TARGET_REFUSED: refused,
  SERVICE_UNREACHABLE: notReachable,
  CLOCK_WRONG: refused,
  INTERNAL: internal,
} as const satisfies Record<ErrorCode, number>;

/** Where the program judges itself what the service would judge: then it is the command line, or the file that was given. */
const judgedHere: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: usage,
  REQUEST_TOO_LARGE: badFile,
  CSR_MALFORMED: badFile,
  CSR_TOO_LARGE: badFile,
  CSR_SIGNATURE_INVALID: badFile,
  CSR_ALGORITHM_NOT_ALLOWED: badFile,
  CSR_KEY_WEAK: badFile,
};

/**
 * Exit code of anything thrown; what is not a KeylineError is a defect (1).
 * @param judge who said no: the service that a client called, or the program itself (keyline-root, keyline-ca, keyline-broker)
 */
export function exitCodeOf(error: unknown, judge: 'service' | 'here'): number {
  if (!isKeylineError(error)) return internal;
  const here = judge === 'here' ? judgedHere[error.code] : undefined;
  return here ?? exitCodeOfError[error.code];
}

/**
 * The table as `--help` prints it.
 * @param names those with which the program can end
 */
export function describeExitCodes(names: readonly (keyof typeof exitCodes)[]): string {
  const lines = names.map((name) => `  ${exitCodes[name]}  ${exitCodeMeanings[name]}`);
  return `Exit codes:\n${lines.join('\n')}`;
}
