// OCSP requests (RFC 6960 §4.1) as hostile bytes: strict, bounded, without a verdict on what is asked.
import { isKeylineError, KeylineError } from '@keyline/kernel';
import {
  DerReader,
  der,
  derMalformed,
  hexOf,
  oids,
  parseExtensions,
  readSequence,
  type Extension,
} from '@keyline/x509';

/** Digests a CertID may name its issuer by; SHA-1 says who it is, and proves nothing. */
export const ocspDigests = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
export type OcspDigest = (typeof ocspDigests)[number];

const digestsByOid = new Map<string, OcspDigest>(ocspDigests.map((name) => [oids[name], name]));

/** One certificate asked about. */
export interface OcspCertId {
  /** `other`: a digest that nobody here computes; it matches no authority. */
  readonly hashAlgorithm: OcspDigest | 'other';
  /** Lower-case hex. */
  readonly issuerNameHash: string;
  readonly issuerKeyHash: string;
  /** Hex as SerialHex writes it; a negative number begins with "-", zero is "00": no certificate has either. */
  readonly serial: string;
  /** The CertID as it came, for the answer to repeat. */
  readonly certIdDer: Uint8Array;
}

export interface OcspRequest {
  /** At least one. */
  readonly certIds: readonly OcspCertId[];
  /** 1 to 128 octets (RFC 9654 §2.1). */
  readonly nonce?: Uint8Array;
}

const maxRequestBytes = 16 * 1024;
const maxCertIds = 64;
const { contextConstructedTag, tags } = der;

/** @throws {KeylineError} OCSP_MALFORMED */
export function parseOcspRequest(requestDer: Uint8Array): OcspRequest {
  if (requestDer.length === 0 || requestDer.length > maxRequestBytes) {
    throw new KeylineError(
      'OCSP_MALFORMED',
      `An OCSP request has 1 to ${String(maxRequestBytes)} bytes, not ${String(requestDer.length)}.`,
    );
  }
  try {
    return parseRequest(requestDer);
  } catch (error) {
    if (!isKeylineError(error) || error.code !== 'DER_MALFORMED') throw error;
    throw new KeylineError('OCSP_MALFORMED', `The OCSP request can't be read. ${error.detail}`, {
      cause: error,
    });
  }
}

function parseRequest(requestDer: Uint8Array): OcspRequest {
  const outer = readSequence(requestDer);
  const request = outer.enter();
  // Signatures on requests are allowed and mean nothing here (§4.1.2).
  outer.readOptional(contextConstructedTag(0));
  outer.finish();

  const version = request.enterOptional(contextConstructedTag(0));
  if (version !== undefined) {
    if (version.readSmallInteger() !== 0) throw derMalformed('an OCSP version other than 1');
    version.finish();
  }
  request.readOptional(contextConstructedTag(1));
  const list = request.enter();
  const certIds: OcspCertId[] = [];
  while (!list.isAtEnd()) {
    if (certIds.length === maxCertIds) throw derMalformed('too many certificates in one request');
    const single = list.enter();
    const certId = single.read(tags.sequence);
    certIds.push(parseCertId(single.inside(certId), single.whole(certId).slice()));
    readExtensions(single, 0);
    single.finish();
  }
  if (certIds.length === 0) throw derMalformed('a request about no certificate');
  const extensions = readExtensions(request, 2);
  request.finish();
  const nonce = extensions.find(({ oid }) => oid === oids.ocspNonce);
  return nonce === undefined ? { certIds } : { certIds, nonce: readNonce(nonce) };
}

/** @throws {KeylineError} DER_MALFORMED */
export function parseCertId(reader: DerReader, certIdDer: Uint8Array): OcspCertId {
  const algorithm = reader.enter();
  const digest = algorithm.readOid();
  // NULL or nothing; a digest has no other parameters.
  if (!algorithm.isAtEnd()) algorithm.readNull();
  algorithm.finish();
  const issuerNameHash = hexOf(reader.readOctetString());
  const issuerKeyHash = hexOf(reader.readOctetString());
  const serial = serialText(reader.readInteger());
  reader.finish();
  const hashAlgorithm = digestsByOid.get(digest) ?? 'other';
  return { hashAlgorithm, issuerNameHash, issuerKeyHash, serial, certIdDer };
}

function serialText(content: Uint8Array): string {
  const hex = hexOf(content.length > 1 && content[0] === 0 ? content.subarray(1) : content);
  return (content[0] ?? 0) >= 0x80 ? `-${hex}` : hex;
}

function readExtensions(reader: DerReader, tag: number): Extension[] {
  const wrapper = reader.enterOptional(contextConstructedTag(tag));
  if (wrapper === undefined) return [];
  const extensions = parseExtensions(wrapper.enter());
  wrapper.finish();
  const unknown = extensions.find(({ oid, critical }) => critical && oid !== oids.ocspNonce);
  if (unknown !== undefined) throw derMalformed(`an unknown critical extension ${unknown.oid}`);
  return extensions;
}

function readNonce({ valueDer }: Extension): Uint8Array {
  const reader = new DerReader(valueDer);
  const nonce = reader.readOctetString();
  reader.finish();
  if (nonce.length < 1 || nonce.length > 128) {
    throw derMalformed('a nonce that is not 1 to 128 octets (RFC 9654 §2.1)');
  }
  return nonce.slice();
}
