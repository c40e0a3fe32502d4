// CSR intake: untrusted bytes become a Csr only when their form is strict DER, their key is allowed and their signature proves
// possession of it. What of it reaches a certificate is the profile's decision.
import { hash } from 'node:crypto';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import {
  algorithms,
  decodePem,
  der,
  derMalformed,
  latin1Of,
  oids,
  parseAlternativeNames,
  parseExtensions,
  parseName,
  parsePublicKey,
  readSequence,
  signatureAlgorithms,
  verifyWith,
  type DerReader,
  type ParsedAlternativeNames,
  type SignatureAlgorithm,
} from '@keyline/x509';
import type { Csr } from './ports.ts';

export interface ParseCsrOptions {
  /** Bound on the input as it arrives, PEM or DER. Default 16 KiB: the largest honest one (ML-DSA-87 in PEM) takes 11. */
  readonly maxBytes?: number | undefined;
}

const defaultMaxBytes = 16 * 1024;
const pemLabels = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'] as const;
const noNames: Pick<ParsedAlternativeNames, 'dns' | 'ip'> = { dns: [], ip: [] };
const maxAttributes = 16;
const { tags } = der;

/**
 * @param input PEM text, or DER (bytes that begin with PEM armour are taken as text)
 * @throws {KeylineError} CSR_TOO_LARGE, CSR_MALFORMED, CSR_ALGORITHM_NOT_ALLOWED, CSR_KEY_WEAK, CSR_SIGNATURE_INVALID
 * @see RFC 2986 §4
 */
export function parseCsr(input: string | Uint8Array, options: ParseCsrOptions = {}): Csr {
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  if (input.length > maxBytes) {
    throw new KeylineError(
      'CSR_TOO_LARGE',
      `The CSR has ${String(input.length)} bytes; at most ${String(maxBytes)} are taken.`,
    );
  }
  try {
    return parseDer(toDer(input));
  } catch (error) {
    if (!isKeylineError(error) || error.code !== 'DER_MALFORMED') throw error;
    throw new KeylineError(
      'CSR_MALFORMED',
      `The CSR can't be read. ${error.detail} Send a PKCS#10 request, PEM or DER, as "openssl req -new" makes it.`,
      { cause: error },
    );
  }
}

function toDer(input: string | Uint8Array): Uint8Array {
  if (typeof input === 'string') return decodePem(input, pemLabels);
  return input[0] === tags.sequence ? input : decodePem(latin1Of(input), pemLabels);
}

function parseDer(csrDer: Uint8Array): Csr {
  const request = readSequence(csrDer);
  const infoElement = request.read(tags.sequence);
  const algorithmReader = request.enter();
  const signature = request.readBitString();
  request.finish();

  const info = request.inside(infoElement);
  if (info.readSmallInteger() !== 0) throw derMalformed('a version other than 0 (RFC 2986 §4.1)');
  const { commonNames } = parseName(info.enter());
  if (commonNames.length > 1) throw derMalformed('a subject with more than one CN');
  // A view into the caller's bytes would keep the whole request alive with the certificate's row.
  const spkiDer = info.whole(info.read(tags.sequence)).slice();
  const names = readAttributes(info.enter(der.contextConstructedTag(0)));
  info.finish();

  const signatureAlgorithm = readSignatureAlgorithm(algorithmReader);
  const { algorithm } = parsePublicKey(spkiDer);
  if (algorithms[algorithm].family !== signatureAlgorithm.keyFamily) {
    throw new KeylineError(
      'CSR_SIGNATURE_INVALID',
      `The CSR is signed with ${signatureAlgorithm.name}, which its ${algorithm} key can't make.`,
    );
  }
  const tbsDer = request.whole(infoElement);
  assertProofOfPossession(signatureAlgorithm, { tbsDer, signature, spkiDer });
  return {
    der: csrDer,
    commonName: commonNames[0],
    dnsNames: names.dns,
    ipAddresses: names.ip,
    spkiDer,
    spkiSha256: hash('sha256', spkiDer, 'hex'),
    algorithm,
  };
}

function readSignatureAlgorithm(reader: DerReader): SignatureAlgorithm {
  const oid = reader.readOid();
  const found = signatureAlgorithms.get(oid);
  if (found === undefined) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `The CSR's signature algorithm (${oid}) is not accepted. Sign it with SHA-256 or better.`,
    );
  }
  // RFC 4055 §5: both NULL and absent must be accepted for RSA; the others have none.
  if (found.keyFamily === 'rsa' && !reader.isAtEnd()) reader.readNull();
  reader.finish();
  return found;
}

function assertProofOfPossession(
  algorithm: SignatureAlgorithm,
  parts: { tbsDer: Uint8Array; signature: Uint8Array; spkiDer: Uint8Array },
): void {
  let valid: boolean;
  try {
    valid = verifyWith(algorithm, parts);
  } catch (error) {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      'The public key in the CSR is no valid key of its algorithm (for EC: its point is not on the curve).',
      { cause: error },
    );
  }
  if (!valid) {
    throw new KeylineError(
      'CSR_SIGNATURE_INVALID',
      "The CSR's signature does not verify with its own public key, so it does not prove possession of the private key. Make the CSR anew with the device's key.",
    );
  }
}

function readAttributes(attributes: DerReader): typeof noNames {
  const seen: string[] = [];
  let names = noNames;
  while (!attributes.isAtEnd()) {
    const attribute = attributes.enter();
    const type = attribute.readOid();
    if (seen.includes(type)) throw derMalformed(`the attribute ${type} comes twice`);
    if (seen.push(type) > maxAttributes) throw derMalformed('too many attributes');
    const values = attribute.enter(tags.set);
    attribute.finish();
    if (values.isAtEnd()) throw derMalformed('an attribute without a value (RFC 2986 §4.1)');
    // Attributes other than this one say nothing that a certificate could take over.
    if (type !== oids.extensionRequest) continue;
    const extensions = parseExtensions(values.enter());
    values.finish();
    const san = extensions.find(({ oid }) => oid === oids.subjectAltName);
    if (san !== undefined) names = parseAlternativeNames(san.valueDer);
  }
  return names;
}
