// What can end besides the certificates in the store; the caller knows of it.

export interface WatchedAuthority {
  readonly id: string;
  readonly kind: 'root' | 'issuing';
  /** Epoch milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface WatchedCrl {
  readonly authority: string;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Milliseconds after which the next one is due; absent for a CRL that is made by hand, such as the root's. */
  readonly interval?: number | undefined;
}
