// What a row of the route table says.
import type { TSchema } from 'typebox';

/** Who may call. `anyone`: no proof of identity is asked for (the route checks its own, such as an enrollment token). */
export type Admits = 'admin' | 'operator' | 'station' | 'auditor' | 'device' | 'service' | 'anyone';

/** Bodies beside JSON: a CSR in DER, and a stream of JSON lines. */
export type BodyType = 'application/pkcs10' | 'application/x-ndjson';

export interface RouteContract {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly admits: readonly Admits[];
  readonly tag: 'devices' | 'services' | 'line' | 'tokens' | 'certificates' | 'operations';
  readonly summary: string;
  readonly description?: string;
  readonly status: 200 | 201;
  readonly params?: TSchema;
  readonly query?: TSchema;
  /** What the body is as JSON; a row without it takes no body. */
  readonly body?: TSchema;
  /** Media types of the body, in lower case; anything else is answered 415, before the body is read. Given exactly when `body` is. */
  readonly takes?: readonly ['application/json', ...BodyType[]];
  /** Whether an empty body stands for `{}`; otherwise it is refused (400). */
  readonly bodyOptional?: true;
  readonly response: TSchema;
  /** Media type of the answer, when it is not JSON. */
  readonly responseType?: string;
  /** Whether Accept may ask for the certificate alone (application/pkix-cert) or with its chain (application/pem-certificate-chain). */
  readonly givesCertificate?: true;
  /** Whether an Idempotency-Key is heeded: only where the same call again would make something new. */
  readonly keepsAnswer?: true;
  /** Whether it is taken also when the disk is nearly full: what takes rights away, or writes nothing. */
  readonly underReserve?: true;
}

export const json = ['application/json'] as const;
export const jsonOrCsr = ['application/json', 'application/pkcs10'] as const;
export const jsonOrLines = ['application/json', 'application/x-ndjson'] as const;

export const administrators = ['admin', 'operator'] as const;
export const readers = ['admin', 'operator', 'auditor'] as const;
