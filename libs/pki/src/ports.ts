// What issuance takes and gives. The issuer itself is pure but for the signer it is handed.
import type { SerialHex } from '@keyline/kernel';
import type { KeyAlgorithm, Signer } from '@keyline/x509';

export type { Signer } from '@keyline/x509';

/** Where relying parties find an authority's CRL, OCSP responder and certificate: plain-HTTP URLs. */
export interface AuthorityUrls {
  readonly crl: string;
  readonly ocsp: string;
  readonly caIssuers: string;
  /** What certificates that are out name as their CRL's: before its service moved. Its CRLs name these too. */
  readonly earlierCrls?: readonly string[] | undefined;
}

/** An issuing or root authority as the issuer, the CRL builder and the OCSP responder see it. */
export interface Authority {
  /** Short name used in URLs and rows: `issuing-1`. */
  readonly id: string;
  readonly certificateDer: Uint8Array;
  readonly signer: Signer;
  readonly urls: AuthorityUrls;
  /**
   * Among how many CRLs its leaves are shared: each new certificate carries its shard's URL (`crlShardUrl`) as distribution point. Absent:
   * one CRL, at `urls.crl`. A change is for certificates to come; those that are out keep their shard.
   */
  readonly crlShards?: number | undefined;
}

/** A CSR after intake: proof of possession verified, key allowed by strength. */
export interface Csr {
  readonly der: Uint8Array;
  /** Subject CN as text of any characters, when there is one; whoever takes it over judges them. */
  readonly commonName: string | undefined;
  /** In the form Keyline writes: an EC point is uncompressed. */
  readonly spkiDer: Uint8Array;
  readonly spkiSha256: string;
  readonly algorithm: KeyAlgorithm;
}

export interface IssueRequest {
  /** Profile name. */
  readonly profile: string;
  readonly id: string;
  readonly type?: string | undefined;
  readonly batch?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
  readonly spkiDer: Uint8Array;
  readonly algorithm: KeyAlgorithm;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Shorter than the profile's, in milliseconds from now. @see Profile.allowShorterValidity */
  readonly validity?: number | undefined;
}

export interface IssuedCertificate {
  /** Id of the authority that signed it. */
  readonly authority: string;
  readonly serial: SerialHex;
  readonly der: Uint8Array;
  /** Epoch milliseconds, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Lower-case hex SHA-256 of the SubjectPublicKeyInfo. */
  readonly spkiSha256: string;
  /** `3of16` when the certificate names a shard of its authority's CRL: belongs in its row, for good. */
  readonly crlShard?: string | undefined;
}

/** CRL reasons that Keyline writes (RFC 5280 §5.3.1). */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'cACompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'certificateHold'
  | 'privilegeWithdrawn';
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
] as const satisfies readonly RevocationReason[];

export interface CrlEntry {
  readonly serial: SerialHex;
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

/** An entry of a delta CRL; `removeFromCRL`: it stands in the base, and holds no longer (RFC 5280 §5.3.1). */
export interface DeltaCrlEntry {
  readonly serial: SerialHex;
  readonly revokedAt: number;
  readonly reason: RevocationReason | 'removeFromCRL';
}

/** RFC 6960 §2.2; "unknown" is never "good". */
export type CertificateStatus =
  | { readonly status: 'good' }
  | { readonly status: 'revoked'; readonly revokedAt: number; readonly reason: RevocationReason }
  | { readonly status: 'unknown' };
