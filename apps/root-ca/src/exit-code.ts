// Error codes as exit codes of keyline-root: the one table of this edge.
import { isKeylineError, type ErrorCode } from '@keyline/kernel';

/** Scripts rely on these numbers. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  badInput: 4,
  passphrase: 5,
} as const;

const { internal, usage, refused, badInput, passphrase } = exitCodes;

// Only what can come up here has an entry; everything else belongs to the online service and would be a defect.
const exitCodeOfError: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: usage,
  USAGE: usage,
  FORBIDDEN: refused,
  FILE_EXISTS: refused,
  CSR_KEY_IN_USE: refused,
  CERTIFICATE_ALREADY_REVOKED: refused,
  VALIDITY_NOT_ALLOWED: refused,
  PROFILE_VIOLATION: refused,
  LINT_FAILED: refused,
  PATH_INVALID: refused,
  STORE_CONFLICT: refused,
  REQUEST_TOO_LARGE: badInput,
  CERTIFICATE_NOT_FOUND: badInput,
  CSR_MALFORMED: badInput,
  CSR_TOO_LARGE: badInput,
  CSR_SIGNATURE_INVALID: badInput,
  CSR_ALGORITHM_NOT_ALLOWED: badInput,
  CSR_KEY_WEAK: badInput,
  DER_MALFORMED: badInput,
  KEY_UNSUPPORTED: badInput,
  FILE_NOT_FOUND: badInput,
  FILE_UNREADABLE: badInput,
  STORE_MISSING: badInput,
  STORE_STALE: badInput,
  KEY_DECRYPT_FAILED: passphrase,
};

/** Exit code of anything thrown; what is not a KeylineError is a defect (1). */
export function exitCodeOf(error: unknown): number {
  return isKeylineError(error) ? (exitCodeOfError[error.code] ?? internal) : internal;
}

/** The table as `--help` prints it. */
export const exitCodeHelp = `Exit codes:
  0  done
  1  internal error
  2  the command line is not valid
  3  refused: it exists already, is locked, or a rule forbids it (the message says which)
  4  bad input: a file is missing, unreadable, outside the offline folder or not what it should be
  5  the passphrase does not open the root key`;
