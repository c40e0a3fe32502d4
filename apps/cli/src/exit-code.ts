// Error codes as exit codes: the one table of the command line's edge.
import { isKeylineError, type ErrorCode } from '@keyline/kernel';

/** Scripts rely on these numbers. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  notReachable: 5,
  badFile: 6,
  pending: 7,
} as const;

const { internal, usage, refused, notFound, notReachable, badFile } = exitCodes;

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
  DER_MALFORMED: badFile,
  KEY_DECRYPT_FAILED: badFile,
  KEY_UNSUPPORTED: badFile,
  AUTHORITY_NOT_FOUND: notFound,
  AUTHORITY_EXISTS: refused,
  AUTHORITY_STATE_FORBIDS: refused,
  PROFILE_UNKNOWN: refused,
  PROFILE_VIOLATION: refused,
  LINT_FAILED: refused,
  PATH_INVALID: refused,
  OCSP_MALFORMED: refused,
  CONFIG_INVALID: badFile,
  USAGE: usage,
  FILE_EXISTS: badFile,
  FILE_NOT_FOUND: badFile,
  FILE_UNREADABLE: badFile,
  STORE_MISSING: internal,
  STORE_STALE: internal,
  STORE_CONFLICT: refused,
  LEASE_LOST: refused,
  FEED_STALE: notReachable,
  TARGET_UNREACHABLE: notReachable,
  TARGET_REFUSED: refused,
  SERVICE_UNREACHABLE: notReachable,
  CLOCK_WRONG: refused,
  INTERNAL: internal,
} as const satisfies Record<ErrorCode, number>;

/** Exit code of anything thrown; what is not a KeylineError is a defect (1). */
export function exitCodeOf(error: unknown): number {
  return isKeylineError(error) ? exitCodeOfError[error.code] : exitCodes.internal;
}

/** The table as `keyline --help` prints it. */
export const exitCodeHelp = `Exit codes:
  0  done
  1  internal error, or doctor found a failure
  2  the command line is not valid
  3  the service refused (the message carries its code)
  4  there is no such device, batch, token or certificate
  5  the service can not be reached
  6  a file that was given is missing, unreadable, not valid or in the way
  7  it is done, but --wait did not see every effect within a minute`;
