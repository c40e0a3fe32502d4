// TBSCertificates by @peculiar/x509, of whatever kind. Slow (milliseconds, and a while to load it), so only for what is built once, and loaded
// only when asked for.
import { KeylineError, messageOf } from '@keyline/kernel';
import type { Extension, JsonNameParams, KeyUsageFlags } from '@peculiar/x509';
import type * as Library from '@peculiar/x509';
import type { KeyAlgorithm } from './algorithms.ts';
import { hexOf } from './bytes.ts';
import { readSequence } from './der-reader.ts';
import { tags } from './der-writer.ts';
import type { RelativeName } from './name.ts';
import { oids, type KeyUsageName } from './oids.ts';

export interface LibraryContent {
  /** Signs it. */
  readonly algorithm: KeyAlgorithm;
  /** Big-endian, positive, no leading zero. */
  readonly serial: Uint8Array;
  /** DER. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Epoch milliseconds; fractions of a second are cut. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spkiDer: Uint8Array;
  readonly extensions: readonly Extension[];
}

export const signingAlgorithms: Readonly<
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

export async function loadLibrary(): Promise<typeof Library> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

/** TBSCertificate, DER. @throws {KeylineError} LINT_FAILED for names and keys, taken over from elsewhere, that the library can't read */
export async function buildTbs(
  library: typeof Library,
  content: LibraryContent,
): Promise<Uint8Array> {
  const certificate = await refusing(() =>
    library.X509CertificateGenerator.create({
      serialNumber: hexOf(content.serial),
      issuer: new library.Name(toArrayBuffer(content.issuer)),
      subject: new library.Name(toArrayBuffer(content.subject)),
      notBefore: new Date(wholeSecond(content.notBefore)),
      notAfter: new Date(wholeSecond(content.notAfter)),
      publicKey: toArrayBuffer(content.spkiDer),
      signingAlgorithm: signingAlgorithms[content.algorithm],
      // Never looked at: only the TBSCertificate leaves this function.
      signature: new Uint8Array(96).fill(1),
      extensions: [...content.extensions],
    }),
  );
  const outer = readSequence(new Uint8Array(certificate.rawData));
  return outer.whole(outer.read(tags.sequence));
}

/** A name as the library writes it, DER. */
export function nameBy(library: typeof Library, names: readonly RelativeName[]): Uint8Array {
  const parts: JsonNameParams = names.map(({ attribute, value }) => ({
    [attribute === 'serialNumber' ? oids.serialNumber : attribute]: [
      attribute === 'C' || attribute === 'serialNumber'
        ? { printableString: value }
        : { utf8String: value },
    ],
  }));
  return new Uint8Array(new library.Name(parts).toArrayBuffer());
}

// The enum has no zero of its own.
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- nothing to convert from
const noUsage = 0 as KeyUsageFlags;

export function keyUsageBy(library: typeof Library, usages: readonly KeyUsageName[]): Extension {
  const flags = usages.reduce<KeyUsageFlags>(
    (all, usage) => all | library.KeyUsageFlags[usage],
    noUsage,
  );
  return new library.KeyUsagesExtension(flags, true);
}

/** What is not there is left out. @returns none, one or both of the distribution point and the authority's access information */
export function whereaboutsBy(
  library: typeof Library,
  urls: {
    readonly crlUrl?: string | undefined;
    readonly ocspUrl?: string | undefined;
    readonly caIssuersUrl?: string | undefined;
  },
): Extension[] {
  const { crlUrl, ocspUrl, caIssuersUrl } = urls;
  return [
    ...(crlUrl === undefined ? [] : [new library.CRLDistributionPointsExtension([crlUrl], false)]),
    ...(ocspUrl === undefined && caIssuersUrl === undefined
      ? []
      : [
          new library.AuthorityInfoAccessExtension(
            {
              ...(ocspUrl === undefined ? {} : { ocsp: ocspUrl }),
              ...(caIssuersUrl === undefined ? {} : { caIssuers: caIssuersUrl }),
            },
            false,
          ),
        ]),
  ];
}

/** The library throws errors of its own for bytes that it can't take apart. */
async function refusing<Made>(make: () => Promise<Made>): Promise<Made> {
  try {
    return await make();
  } catch (cause) {
    throw new KeylineError(
      'LINT_FAILED',
      `No certificate can be written with the names and keys that were taken over: ${messageOf(cause)}. Nothing was signed.`,
      { cause },
    );
  }
}

export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function wholeSecond(instant: number): number {
  return Math.floor(instant / 1000) * 1000;
}
