// A leaf certificate's TBSCertificate as @peculiar/x509 writes it: the template that issuance splices into, and the second opinion
// its tests hold the spliced bytes against. Slow (milliseconds) and loaded only when asked for.
import type { Extension, JsonGeneralName, KeyUsageFlags } from '@peculiar/x509';
import type * as Library from '@peculiar/x509';
import type { KeyAlgorithm } from './algorithms.ts';
import { hexOf } from './bytes.ts';
import { readSequence } from './der-reader.ts';
import { tags } from './der-writer.ts';
import { encodeAlternativeNames, type AlternativeName } from './alternative-names.ts';
import { decodeIpAddress, encodeIpAddress } from './ip-address.ts';
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

const signingAlgorithms: Readonly<
  Record<KeyAlgorithm, { name: string; [member: string]: string }>
> = {
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519' },
  'rsa-2048': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-3072': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-4096': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'ml-dsa-44': { name: 'ML-DSA-44' },
  'ml-dsa-65': { name: 'ML-DSA-65' },
  'ml-dsa-87': { name: 'ML-DSA-87' },
};

// The enum has no zero of its own.
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- nothing to convert from
const noUsage = 0 as KeyUsageFlags;

/** TBSCertificate, DER, by @peculiar/x509. */
export async function buildLeafTbs(content: LeafContent): Promise<Uint8Array> {
  await import('reflect-metadata');
  const library = await import('@peculiar/x509');
  const extensions = [
    new library.KeyUsagesExtension(
      content.keyUsage.reduce<KeyUsageFlags>(
        (flags, usage) => flags | library.KeyUsageFlags[usage],
        noUsage,
      ),
      true,
    ),
    new library.ExtendedKeyUsageExtension(
      content.extendedKeyUsage.map((usage) => extendedKeyUsageOids[usage]),
      false,
    ),
    ...(content.alternativeNames.length === 0 ? [] : [alternativeNameExtension(library, content)]),
    new library.SubjectKeyIdentifierExtension(hexOf(content.subjectKeyId), false),
    new library.AuthorityKeyIdentifierExtension(hexOf(content.authorityKeyId), false),
    ...(content.crlUrl === undefined
      ? []
      : [new library.CRLDistributionPointsExtension([content.crlUrl], false)]),
    ...(content.ocspUrl === undefined && content.caIssuersUrl === undefined
      ? []
      : [
          new library.AuthorityInfoAccessExtension(
            {
              ...(content.ocspUrl === undefined ? {} : { ocsp: content.ocspUrl }),
              ...(content.caIssuersUrl === undefined ? {} : { caIssuers: content.caIssuersUrl }),
            },
            false,
          ),
        ]),
    ...(content.ocspNoCheck
      ? [new library.Extension(oids.ocspNoCheck, false, Uint8Array.of(tags.null, 0))]
      : []),
    ...(content.noRevAvail
      ? [new library.Extension(oids.noRevAvail, false, Uint8Array.of(tags.null, 0))]
      : []),
  ];
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: hexOf(content.serial),
    issuer: new library.Name(toArrayBuffer(content.issuer.nameDer)),
    subject: new library.Name(
      content.subject.map(({ attribute, value }) => ({
        [attribute === 'serialNumber' ? oids.serialNumber : attribute]: [
          attribute === 'C' || attribute === 'serialNumber'
            ? { printableString: value }
            : { utf8String: value },
        ],
      })),
    ),
    notBefore: new Date(content.notBefore),
    notAfter: new Date(content.notAfter),
    publicKey: toArrayBuffer(content.spkiDer),
    signingAlgorithm: signingAlgorithms[content.issuer.algorithm],
    // Never looked at: only the TBSCertificate leaves this function.
    signature: new Uint8Array(96).fill(1),
    extensions,
  });
  const outer = readSequence(new Uint8Array(certificate.rawData));
  return outer.whole(outer.read(tags.sequence));
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

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
