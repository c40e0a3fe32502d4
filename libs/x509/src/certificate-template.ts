// A leaf certificate's TBSCertificate as @peculiar/x509 writes it: the template that issuance splices into, and the second opinion
// its tests hold the spliced bytes against.
import type { Extension, JsonGeneralName } from '@peculiar/x509';
import type * as Library from '@peculiar/x509';
import type { KeyAlgorithm } from './algorithms.ts';
import { hexOf } from './bytes.ts';
import { tags } from './der-writer.ts';
import { encodeAlternativeNames, type AlternativeName } from './alternative-names.ts';
import { decodeIpAddress, encodeIpAddress } from './ip-address.ts';
import { buildTbs, keyUsageBy, loadLibrary, nameBy, whereaboutsBy } from './library-tbs.ts';
import type { RelativeName } from './name.ts';
import {
  extendedKeyUsageOids,
  oids,
  type ExtendedKeyUsageName,
  type KeyUsageName,
} from './oids.ts';

/** Everything a leaf certificate says. Extensions come in the order of these members. */
export interface LeafContent {
  readonly issuer: {
    readonly algorithm: KeyAlgorithm;
    /** The issuer's subject, taken over byte for byte. */
    readonly nameDer: Uint8Array;
  };
  /** Big-endian, positive, no leading zero. */
  readonly serial: Uint8Array;
  /** Epoch milliseconds, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: readonly RelativeName[];
  readonly spkiDer: Uint8Array;
  readonly keyUsage: readonly KeyUsageName[];
  readonly extendedKeyUsage: readonly ExtendedKeyUsageName[];
  /** Empty: no subjectAltName. */
  readonly alternativeNames: readonly AlternativeName[];
  readonly subjectKeyId: Uint8Array;
  readonly authorityKeyId: Uint8Array;
  readonly crlUrl?: string | undefined;
  readonly ocspUrl?: string | undefined;
  readonly caIssuersUrl?: string | undefined;
  readonly ocspNoCheck: boolean;
  readonly noRevAvail: boolean;
}

/** TBSCertificate, DER, by @peculiar/x509. */
export async function buildLeafTbs(content: LeafContent): Promise<Uint8Array> {
  const library = await loadLibrary();
  return buildTbs(library, {
    ...content,
    algorithm: content.issuer.algorithm,
    issuer: content.issuer.nameDer,
    subject: nameBy(library, content.subject),
    extensions: [
      keyUsageBy(library, content.keyUsage),
      new library.ExtendedKeyUsageExtension(
        content.extendedKeyUsage.map((usage) => extendedKeyUsageOids[usage]),
        false,
      ),
      ...(content.alternativeNames.length === 0
        ? []
        : [alternativeNameExtension(library, content)]),
      new library.SubjectKeyIdentifierExtension(hexOf(content.subjectKeyId), false),
      new library.AuthorityKeyIdentifierExtension(hexOf(content.authorityKeyId), false),
      ...whereaboutsBy(library, content),
      ...(content.ocspNoCheck
        ? [new library.Extension(oids.ocspNoCheck, false, Uint8Array.of(tags.null, 0))]
        : []),
      ...(content.noRevAvail
        ? [new library.Extension(oids.noRevAvail, false, Uint8Array.of(tags.null, 0))]
        : []),
    ],
  });
}

function alternativeNameExtension(
  library: typeof Library,
  { alternativeNames, subject }: LeafContent,
): Extension {
  // RFC 5280 §4.2.1.6: critical when it is the only name.
  const critical = subject.length === 0;
  // @peculiar/x509 knows no other names: there it only carries the bytes.
  if (alternativeNames.some((name) => 'hardwareModule' in name)) {
    const value = encodeAlternativeNames(alternativeNames);
    return new library.Extension(oids.subjectAltName, critical, value);
  }
  const names: JsonGeneralName[] = [];
  for (const name of alternativeNames) {
    if ('dns' in name) names.push({ type: 'dns', value: name.dns });
    else if ('uri' in name) names.push({ type: 'url', value: name.uri });
    else if ('ip' in name) names.push({ type: 'ip', value: withoutDottedTail(name.ip) });
  }
  return new library.SubjectAlternativeNameExtension(names, critical);
}

/** @peculiar/x509 2.2.0 reads the dotted tail of `::ffff:10.0.0.1` as one group. */
function withoutDottedTail(address: string): string {
  return decodeIpAddress(encodeIpAddress(address)) ?? address;
}
