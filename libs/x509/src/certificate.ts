// A certificate read from DER: strict in form, complete in what Keyline acts on. Whether to trust it is libs/pki's question.
import { createHash } from 'node:crypto';
import type { SerialHex } from '@keyline/kernel';
import { verifySignature } from './algorithms.ts';
import { parseAlternativeNames } from './alternative-names.ts';
import { equalBytes, hexOf } from './bytes.ts';
import { DerReader, derMalformed, readSequence } from './der-reader.ts';
import { contextConstructedTag, contextTag, tags } from './der-writer.ts';
import {
  parseAuthorityInfoAccess,
  parseAuthorityKeyIdentifier,
  parseBasicConstraints,
  parseCrlDistributionPoints,
  parseExtendedKeyUsage,
  parseExtensions,
  parseKeyUsage,
  type Extension,
} from './extensions.ts';
import { parseName } from './name.ts';
import { oids } from './oids.ts';

/** Everything is a view into `der` or a value; times are epoch milliseconds, `pathLen` is absent where the certificate sets none. */
export interface ParsedCertificate {
  readonly der: Uint8Array;
  readonly tbsDer: Uint8Array;
  readonly serial: SerialHex;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  /** The last (most specific) CN of the subject. */
  readonly commonName?: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spkiDer: Uint8Array;
  /** Lower-case hex. */
  readonly spkiSha256: string;
  readonly subjectKeyId?: Uint8Array;
  readonly authorityKeyId?: Uint8Array;
  readonly isCa: boolean;
  readonly pathLen?: number;
  /** RFC 5280 names; empty when the extension is absent. */
  readonly keyUsage: string[];
  /** `serverAuth`, `clientAuth`, `OCSPSigning`, dotted OIDs of others; empty when the extension is absent. */
  readonly extendedKeyUsage: string[];
  readonly sanDns: string[];
  readonly sanIp: string[];
  readonly sanUri: string[];
  readonly crlDistributionPoints: string[];
  readonly ocspUrls: string[];
  readonly caIssuersUrls: string[];
  readonly extensions: readonly Extension[];
  readonly signatureAlgorithmOid: string;
  readonly signature: Uint8Array;
  /** Subject equals issuer and the certificate's own key verifies it. */
  readonly selfSigned: boolean;
}

/** @throws {KeylineError} DER_MALFORMED */
export function parseCertificate(der: Uint8Array): ParsedCertificate {
  const certificate = readSequence(der);
  const tbsElement = certificate.read(tags.sequence);
  const tbsDer = certificate.whole(tbsElement);
  const outerAlgorithm = certificate.read(tags.sequence);
  const signature = certificate.readBitString();
  certificate.finish();

  const tbs = certificate.inside(tbsElement);
  const version = readVersion(tbs);
  const serial = readSerial(tbs);
  const innerAlgorithm = tbs.read(tags.sequence);
  if (!equalBytes(tbs.whole(innerAlgorithm), certificate.whole(outerAlgorithm))) {
    throw derMalformed(
      'the two signature algorithms differ (RFC 5280 §4.1.1.2)',
      innerAlgorithm.start,
    );
  }
  const signatureAlgorithmOid = tbs.inside(innerAlgorithm).readOid();
  const issuerElement = tbs.read(tags.sequence);
  parseName(tbs.inside(issuerElement));
  const issuerDer = tbs.whole(issuerElement);
  const validity = tbs.enter();
  const notBefore = validity.readTime();
  const notAfter = validity.readTime();
  validity.finish();
  const subjectElement = tbs.read(tags.sequence);
  const { commonNames } = parseName(tbs.inside(subjectElement));
  const subjectDer = tbs.whole(subjectElement);
  const spkiDer = tbs.whole(tbs.read(tags.sequence));
  // Unique identifiers: allowed from v2 on, never used.
  tbs.readOptional(contextTag(1));
  tbs.readOptional(contextTag(2));
  const wrapper = tbs.enterOptional(contextConstructedTag(3));
  tbs.finish();
  if (wrapper !== undefined && version !== 3) {
    throw derMalformed('extensions in a certificate that is not version 3 (RFC 5280 §4.1.2.1)');
  }
  const extensions = wrapper === undefined ? [] : parseExtensions(wrapper.enter());
  wrapper?.finish();

  const commonName = commonNames[commonNames.length - 1];
  const signed = { tbsDer, signatureAlgorithmOid, signature, spkiDer };
  return {
    der,
    serial,
    issuerDer,
    subjectDer,
    ...(commonName === undefined ? {} : { commonName }),
    notBefore,
    notAfter,
    spkiSha256: createHash('sha256').update(spkiDer).digest('hex'),
    ...readKnownExtensions(extensions),
    extensions,
    ...signed,
    selfSigned: equalBytes(issuerDer, subjectDer) && verifySignature(signed),
  };
}

/**
 * The SubjectPublicKeyInfo of a certificate that is known to be sound, one of our own: a tenth of what parsing it takes.
 * @throws {KeylineError} DER_MALFORMED
 */
export function readSubjectPublicKeyInfo(der: Uint8Array): Uint8Array {
  const tbs = readSequence(der).enter();
  tbs.readOptional(contextConstructedTag(0));
  // RFC 5280 §4.1: serialNumber, signature, issuer, validity, subject.
  tbs.read(tags.integer);
  for (let i = 0; i < 4; i++) tbs.read(tags.sequence);
  return tbs.whole(tbs.read(tags.sequence));
}

function readVersion(tbs: DerReader): 1 | 2 | 3 {
  const wrapper = tbs.enterOptional(contextConstructedTag(0));
  if (wrapper === undefined) return 1;
  const version = wrapper.readSmallInteger();
  wrapper.finish();
  if (version !== 1 && version !== 2)
    throw derMalformed('an unknown certificate version', wrapper.offset);
  return version === 1 ? 2 : 3;
}

/**
 * The next INTEGER as the text of a certificate's serial. Other authorities' serials may be zero, negative or longer than 20 octets, against
 * RFC 5280 §4.1.2.2, which wants them taken gracefully: zero is `00`, a negative one begins with "-", and neither is a serial of ours.
 * @throws {KeylineError} DER_MALFORMED
 */
export function readSerial(reader: DerReader): SerialHex {
  const content = reader.readInteger();
  const isNegative = (content[0] ?? 0) >= 0x80;
  const magnitude = content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
  return `${isNegative ? '-' : ''}${hexOf(magnitude)}` as SerialHex;
}

type KnownExtensions = Pick<
  ParsedCertificate,
  | 'subjectKeyId'
  | 'authorityKeyId'
  | 'isCa'
  | 'pathLen'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'sanDns'
  | 'sanIp'
  | 'sanUri'
  | 'crlDistributionPoints'
  | 'ocspUrls'
  | 'caIssuersUrls'
>;

function readKnownExtensions(extensions: readonly Extension[]): KnownExtensions {
  const value = (oid: string): Uint8Array | undefined =>
    extensions.find((extension) => extension.oid === oid)?.valueDer;
  const parse = <T>(oid: string, parser: (valueDer: Uint8Array) => T): T | undefined => {
    const valueDer = value(oid);
    return valueDer === undefined ? undefined : parser(valueDer);
  };
  const basicConstraints = parse(oids.basicConstraints, parseBasicConstraints);
  const names = parse(oids.subjectAltName, parseAlternativeNames);
  const access = parse(oids.authorityInfoAccess, parseAuthorityInfoAccess);
  const subjectKeyId = parse(oids.subjectKeyIdentifier, readKeyIdentifier);
  const authorityKeyId = parse(oids.authorityKeyIdentifier, parseAuthorityKeyIdentifier);
  return {
    ...(subjectKeyId === undefined ? {} : { subjectKeyId }),
    ...(authorityKeyId === undefined ? {} : { authorityKeyId }),
    isCa: basicConstraints?.isCa ?? false,
    ...(basicConstraints?.pathLen === undefined ? {} : { pathLen: basicConstraints.pathLen }),
    keyUsage: parse(oids.keyUsage, parseKeyUsage) ?? [],
    extendedKeyUsage: parse(oids.extKeyUsage, parseExtendedKeyUsage) ?? [],
    sanDns: names?.dns ?? [],
    sanIp: names?.ip ?? [],
    sanUri: names?.uri ?? [],
    crlDistributionPoints: parse(oids.cRLDistributionPoints, parseCrlDistributionPoints) ?? [],
    ocspUrls: access?.ocsp ?? [],
    caIssuersUrls: access?.caIssuers ?? [],
  };
}

function readKeyIdentifier(valueDer: Uint8Array): Uint8Array {
  const reader = new DerReader(valueDer);
  const keyId = reader.readOctetString();
  reader.finish();
  return keyId;
}
