// Certificates of authorities: the self-signed root and the issuing certificates under it.
import { KeylineError } from '@keyline/kernel';
import { encodeName, type NameConstraints, type Signer } from '@keyline/x509';
import { issueAuthority, type IssuerUrls } from './issue-authority.ts';
import { readIssuer } from './issuer-identity.ts';
import type { Authority, Csr } from './ports.ts';
import type { ExtendedKeyUsage } from './profile.ts';
import { subjectKeyIdOf } from './subject-key-id.ts';

/** 9999-12-31T23:59:59Z: "no well-defined end" (RFC 5280 §4.1.2.5), as IDevIDs and their authorities have it. Epoch milliseconds. */
export const endOfTime = Date.UTC(9999, 11, 31, 23, 59, 59);

export interface RootCertificateOptions {
  readonly signer: Signer;
  readonly commonName: string;
  readonly organization?: string | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Milliseconds from `now`. To a fixed end: the end minus `now`; `endOfTime` minus `now` for an IDevID authority (IEEE 802.1AR). */
  readonly validity: number;
  /** Absent: no limit to the number of authorities below. */
  readonly pathLen?: number | undefined;
}

/**
 * A self-signed root, DER. @see RFC 5280 §4.2.1.9, §4.2.1.3
 * @throws {KeylineError} PROFILE_VIOLATION for a name that can't be written, LINT_FAILED
 */
export async function createRootCertificate(options: RootCertificateOptions): Promise<Uint8Array> {
  const { signer, commonName, organization, pathLen } = options;
  const nameDer = encodeName([
    ...(organization === undefined ? [] : [{ attribute: 'O' as const, value: organization }]),
    { attribute: 'CN', value: commonName },
  ]);
  return issueAuthority({
    signer,
    subjectDer: nameDer,
    spkiDer: signer.spkiDer,
    subjectKeyId: subjectKeyIdOf(signer.spkiDer),
    now: options.now,
    notAfter: options.now + options.validity,
    pathLen,
  });
}

export interface IssuingCertificateOptions {
  readonly root: Pick<Authority, 'certificateDer' | 'signer'>;
  readonly csr: Csr;
  /** Absent: the CSR's CN. */
  readonly commonName?: string | undefined;
  readonly organization?: string | undefined;
  readonly now: number;
  /** Milliseconds from `now`; cut where the root ends. */
  readonly validity: number;
  /** Where the root's CRL and certificate are served. */
  readonly urls?: IssuerUrls | undefined;
  /** Restricts what the leaves may be used for. Absent: no restriction. */
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[] | undefined;
  /** Names that everything below may have, or may not (RFC 5280 §4.2.1.10). Absent: any. */
  readonly nameConstraints?: NameConstraints | undefined;
  readonly pathLen?: number | undefined;
}

/**
 * An issuing authority's certificate, DER; only the key and, unless given, the CN come from the CSR.
 * @throws {KeylineError} PROFILE_VIOLATION, PATH_INVALID, VALIDITY_NOT_ALLOWED, LINT_FAILED
 */
export async function createIssuingCertificate(
  options: IssuingCertificateOptions,
): Promise<Uint8Array> {
  const { csr, root, urls = {}, extendedKeyUsage = [], pathLen = 0, organization } = options;
  const issuer = readIssuer(root);
  const commonName = options.commonName ?? csr.commonName;
  if (commonName === undefined) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      "The issuing authority has no name: the CSR's subject has no CN. Give a common name.",
    );
  }
  const limit = issuer.certificate.pathLen;
  if (limit !== undefined && pathLen >= limit) {
    throw new KeylineError(
      'PATH_INVALID',
      `The root allows ${String(limit)} levels of authorities below it, so an issuing certificate with pathLen ${String(pathLen)} can't be valid (RFC 5280 §4.2.1.9).`,
    );
  }
  const notAfter = Math.min(options.now + options.validity, issuer.certificate.notAfter);
  if (notAfter <= options.now) {
    throw new KeylineError(
      'VALIDITY_NOT_ALLOWED',
      'The root certificate has expired; it can sign nothing.',
    );
  }
  const subjectDer = encodeName([
    ...(organization === undefined ? [] : [{ attribute: 'O' as const, value: organization }]),
    { attribute: 'CN', value: commonName },
  ]);
  return issueAuthority({
    signer: root.signer,
    issuer,
    subjectDer,
    spkiDer: csr.spkiDer,
    subjectKeyId: subjectKeyIdOf(csr.spkiDer),
    now: options.now,
    notAfter,
    pathLen,
    extendedKeyUsage,
    nameConstraints: options.nameConstraints,
    urls,
  });
}
