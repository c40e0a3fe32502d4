// The TBSCertificate of an authority. Written directly, because the offline root carries as little code as it can.
import { Duration } from '@keyline/kernel';
import {
  algorithms,
  der,
  encodeAuthorityInfoAccess,
  encodeAuthorityKeyIdentifier,
  encodeCrlDistributionPoints,
  encodeExtension,
  encodeNameConstraints,
  type Extension,
  type KeyAlgorithm,
  type NameConstraints,
} from '@keyline/x509';
import { createSerial } from './serial.ts';

/** How far notBefore lies before `now`, for clocks that are slow. */
export const authorityBackdate = Duration.minutes(5);

export interface AuthorityTbs {
  readonly signatureAlgorithm: KeyAlgorithm;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spkiDer: Uint8Array;
  readonly extensions: readonly Extension[];
}

export function encodeAuthorityTbs(content: AuthorityTbs): Uint8Array {
  return der.sequence(
    der.explicit(0, der.integer(2)),
    der.unsignedInteger(createSerial()),
    algorithms[content.signatureAlgorithm].signature.identifierDer,
    content.issuerDer,
    der.sequence(der.time(content.notBefore), der.time(content.notAfter)),
    content.subjectDer,
    content.spkiDer,
    der.explicit(3, der.sequence(...content.extensions.map(encodeExtension))),
  );
}

/** Where an issuer's CRL, certificate and OCSP answers are served; any may be absent. */
export interface IssuerUrls {
  readonly crl?: string | undefined;
  readonly caIssuers?: string | undefined;
  readonly ocsp?: string | undefined;
}

/** The extensions an authority has from the one above it, in the order they are written (RFC 5280 §4.2.1.1, .10, .13, §4.2.2.1). */
export function encodeIssuedBy(issuer: {
  readonly issuerKeyId: Uint8Array;
  readonly nameConstraints: NameConstraints | undefined;
  readonly urls: IssuerUrls;
}): Extension[] {
  const { issuerKeyId, nameConstraints, urls } = issuer;
  const { crl, caIssuers, ocsp } = urls;
  return [
    encodeAuthorityKeyIdentifier(issuerKeyId),
    ...(nameConstraints === undefined ? [] : [encodeNameConstraints(nameConstraints)]),
    ...(crl === undefined ? [] : [encodeCrlDistributionPoints([crl])]),
    ...(caIssuers === undefined && ocsp === undefined
      ? []
      : [encodeAuthorityInfoAccess({ ocsp, caIssuers })]),
  ];
}
