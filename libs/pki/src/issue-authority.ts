// An authority's certificate, from what it should say to its signature: written by @peculiar/x509, read and linted by us, signed.
import { Duration } from '@keyline/kernel';
import { buildAuthorityTbs, type NameConstraints, type Signer } from '@keyline/x509';
import type { IssuerIdentity } from './issuer-identity.ts';
import { signAuthority } from './prepared-certificate.ts';
import type { ExtendedKeyUsage } from './profile.ts';
import { createSerial } from './serial.ts';

/** How far notBefore lies before `now`, for clocks that are slow. */
const authorityBackdate = Duration.minutes(5);

/** Where an issuer's CRL, certificate and OCSP answers are served; any may be absent. */
export interface IssuerUrls {
  readonly crl?: string | undefined;
  readonly caIssuers?: string | undefined;
  readonly ocsp?: string | undefined;
}

/** @throws {KeylineError} PROFILE_VIOLATION, LINT_FAILED */
export async function issueAuthority(content: {
  readonly signer: Signer;
  /** Absent: a root. */
  readonly issuer?: IssuerIdentity;
  readonly subjectDer: Uint8Array;
  readonly spkiDer: Uint8Array;
  readonly subjectKeyId: Uint8Array;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly notAfter: number;
  readonly pathLen: number | undefined;
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[];
  readonly nameConstraints?: NameConstraints | undefined;
  readonly urls?: IssuerUrls;
}): Promise<Uint8Array> {
  const { signer, issuer, urls = {} } = content;
  const tbsDer = await buildAuthorityTbs({
    algorithm: signer.algorithm,
    issuerDer: issuer?.nameDer ?? content.subjectDer,
    subjectDer: content.subjectDer,
    serial: createSerial(),
    notBefore: content.now - authorityBackdate,
    notAfter: content.notAfter,
    spkiDer: content.spkiDer,
    pathLen: content.pathLen,
    extendedKeyUsage: content.extendedKeyUsage ?? [],
    subjectKeyId: content.subjectKeyId,
    authorityKeyId: issuer?.keyId,
    nameConstraints: content.nameConstraints,
    crlUrl: urls.crl,
    ocspUrl: urls.ocsp,
    caIssuersUrl: urls.caIssuers,
  });
  return signAuthority(tbsDer, signer, issuer?.certificate);
}
