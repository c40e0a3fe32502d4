// An authority's TBSCertificate as @peculiar/x509 writes it.
import type { KeyAlgorithm } from './algorithms.ts';
import { hexOf } from './bytes.ts';
import { buildTbs, keyUsageBy, loadLibrary, whereaboutsBy, toArrayBuffer } from './library-tbs.ts';
import { encodeNameConstraints, type NameConstraints } from './name-constraints.ts';
import { extendedKeyUsageOids, type ExtendedKeyUsageName } from './oids.ts';

/** Everything an authority's certificate says. Extensions come in the order of these members, after basicConstraints and keyUsage. */
export interface AuthorityContent {
  /** Signs it. */
  readonly algorithm: KeyAlgorithm;
  /** DER, both taken over byte for byte. */
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  /** Big-endian, positive, no leading zero. */
  readonly serial: Uint8Array;
  /** Epoch milliseconds; fractions of a second are cut. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spkiDer: Uint8Array;
  /** Absent: no limit to the number of authorities below. */
  readonly pathLen?: number | undefined;
  /** Empty: none. */
  readonly extendedKeyUsage: readonly ExtendedKeyUsageName[];
  readonly subjectKeyId: Uint8Array;
  readonly authorityKeyId?: Uint8Array | undefined;
  readonly nameConstraints?: NameConstraints | undefined;
  readonly crlUrl?: string | undefined;
  readonly ocspUrl?: string | undefined;
  readonly caIssuersUrl?: string | undefined;
}

/** TBSCertificate, DER, by @peculiar/x509. @throws {KeylineError} PROFILE_VIOLATION for name constraints that can't be written */
export async function buildAuthorityTbs(content: AuthorityContent): Promise<Uint8Array> {
  const { nameConstraints, extendedKeyUsage, authorityKeyId } = content;
  const library = await loadLibrary();
  const constraints = nameConstraints && encodeNameConstraints(nameConstraints);
  return buildTbs(library, {
    ...content,
    issuer: content.issuerDer,
    subject: content.subjectDer,
    extensions: [
      new library.BasicConstraintsExtension(true, content.pathLen, true),
      keyUsageBy(library, ['keyCertSign', 'cRLSign']),
      ...(extendedKeyUsage.length === 0
        ? []
        : [
            new library.ExtendedKeyUsageExtension(
              extendedKeyUsage.map((usage) => extendedKeyUsageOids[usage]),
              false,
            ),
          ]),
      new library.SubjectKeyIdentifierExtension(hexOf(content.subjectKeyId), false),
      ...(authorityKeyId === undefined
        ? []
        : [new library.AuthorityKeyIdentifierExtension(hexOf(authorityKeyId), false)]),
      // @peculiar/x509 has no name constraints: there it only carries the bytes.
      ...(constraints === undefined
        ? []
        : [
            new library.Extension(
              constraints.oid,
              constraints.critical,
              toArrayBuffer(constraints.valueDer),
            ),
          ]),
      ...whereaboutsBy(library, content),
    ],
  });
}
