// The one error type of the project and the list of its codes. Edges translate codes; nothing else does.

/** Stable codes: scripts match on them. Add at the end of a group; never rename one that was released. */
export type ErrorCode =
  // input
  | 'REQUEST_INVALID'
  | 'REQUEST_TOO_LARGE'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'RATE_LIMITED'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'IDEMPOTENCY_IN_PROGRESS'
  | 'PRECONDITION_FAILED'
  | 'HEAD_TOO_LARGE'
  | 'REQUEST_TIMEOUT'
  | 'SERVICE_BUSY'
  | 'STORAGE_RESERVED'
  // callers
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'CERTIFICATE_NOT_ACCEPTED'
  | 'APPROVAL_NEEDED'
  | 'APPROVAL_CLOSED'
  // CSR intake
  | 'CSR_MALFORMED'
  | 'CSR_TOO_LARGE'
  | 'CSR_SIGNATURE_INVALID'
  | 'CSR_ALGORITHM_NOT_ALLOWED'
  | 'CSR_KEY_WEAK'
  | 'CSR_KEY_IN_USE'
  | 'CSR_SUBJECT_MISMATCH'
  // enrollment
  | 'TOKEN_INVALID'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_EXHAUSTED'
  | 'TOKEN_PATTERN_MISMATCH'
  | 'DEVICE_ID_INVALID'
  | 'DEVICE_EXISTS'
  | 'DEVICE_NOT_FOUND'
  | 'DEVICE_CHANGED'
  | 'DEVICE_STATE_FORBIDS'
  | 'DEVICE_TYPE_UNKNOWN'
  | 'CERTIFICATE_NOT_FOUND'
  | 'CERTIFICATE_ALREADY_REVOKED'
  | 'VALIDITY_NOT_ALLOWED'
  | 'RENEWAL_TOO_EARLY'
  | 'RENEWAL_LIMIT'
  // batches
  | 'BATCH_NOT_FOUND'
  | 'BATCH_EXISTS'
  | 'BATCH_CLOSED'
  | 'BATCH_QUOTA_EXHAUSTED'
  | 'BATCH_PATTERN_MISMATCH'
  | 'BATCH_STATION_NOT_ALLOWED'
  | 'BATCH_KEY_DIFFERS'
  // jobs
  | 'JOB_NOT_FOUND'
  | 'JOB_STATE_FORBIDS'
  | 'JOB_COUNT_DIFFERS'
  // pki
  | 'DER_MALFORMED'
  | 'KEY_DECRYPT_FAILED'
  | 'KEY_UNSUPPORTED'
  | 'PROFILE_UNKNOWN'
  | 'ROLE_UNKNOWN'
  | 'PROFILE_VIOLATION'
  | 'LINT_FAILED'
  | 'PATH_INVALID'
  | 'AUTHORITY_NOT_FOUND'
  | 'AUTHORITY_EXISTS'
  | 'AUTHORITY_STATE_FORBIDS'
  | 'OCSP_MALFORMED'
  // configuration, files, environment
  | 'CONFIG_INVALID'
  | 'USAGE'
  | 'FILE_EXISTS'
  | 'FILE_NOT_FOUND'
  | 'FILE_UNREADABLE'
  | 'STORE_MISSING'
  | 'STORE_COPIED'
  | 'STORE_STALE'
  | 'STORE_CONFLICT'
  | 'LEASE_LOST'
  | 'FEED_STALE'
  | 'TARGET_UNREACHABLE'
  | 'TARGET_REFUSED'
  | 'SERVICE_UNREACHABLE'
  | 'CLOCK_WRONG'
  | 'INTERNAL';

/** Extra members a problem document may carry; never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

/**
 * @param detail what happened, with which input, and what to do next: a sentence a person can act on.
 */
export class KeylineError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly context: ErrorContext;

  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; context?: ErrorContext } = {},
  ) {
    super(`${code}: ${detail}`, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'KeylineError';
    this.code = code;
    this.detail = detail;
    this.context = options.context ?? {};
  }
}

export function isKeylineError(error: unknown): error is KeylineError {
  return error instanceof KeylineError;
}

/** The message of anything thrown, for a log line or a `cause` sentence. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
