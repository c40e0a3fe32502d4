// CSR intake: untrusted bytes become a Csr only when their frame is strict DER, their key is allowed and their signature proves possession
// of it. Nothing but the key reaches a certificate and nothing but the CN is compared, so the rest (other names, attributes, extensions
// asked for) is skipped without a judgement: devices in the field write odd things there.
import { hash } from 'node:crypto';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import {
  algorithms,
  decodePem,
  der,
  derMalformed,
  latin1Of,
  oids,
  parseExtensions,
  parseName,
  parsePssParameters,
  parsePublicKey,
  readSequence,
  signatureAlgorithms,
  verifyPss,
  verifyWith,
  type DerReader,
  type Extension,
  type KeyFamily,
  type SignedParts,
} from '@keyline/x509';
import { normalizePublicKey } from './csr-public-key.ts';
import type { Csr } from './ports.ts';
import { assertStrongKey } from './weak-keys.ts';

export interface ParseCsrOptions {
  /** Bound on the input as it arrives, PEM or DER. Default 16 KiB: the largest honest one (ML-DSA-87 in PEM) takes 11. */
  readonly maxBytes?: number | undefined;
}

const defaultMaxBytes = 16 * 1024;
const pemLabels = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'] as const;
/** RFC 2986 knows 0 alone; 1 and 2 are in the sample code that many devices were written after, and change nothing else. */
const maxVersion = 2;
const { contextConstructedTag, tags } = der;

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
  return asCsrFault(() => parseDer(toDer(input)));
}

function asCsrFault<Result>(read: () => Result): Result {
  try {
    return read();
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
  const octets = Buffer.from(input.buffer, input.byteOffset, input.length);
  // What PowerShell's ">" writes.
  if (octets[0] === 0xff && octets[1] === 0xfe)
    return decodePem(octets.toString('utf16le'), pemLabels);
  // Text before the armour may begin with a "0", which is the first octet of DER too.
  const isDer = input[0] === tags.sequence && !octets.includes('-----BEGIN ');
  return isDer ? input : decodePem(latin1Of(input), pemLabels);
}

function parseDer(csrDer: Uint8Array): Csr {
  const request = readSequence(csrDer);
  const infoElement = request.read(tags.sequence);
  const algorithmReader = request.enter();
  const signature = request.readBitString();
  request.finish();

  const info = request.inside(infoElement);
  if (info.readSmallInteger() > maxVersion) {
    throw derMalformed('a version that is not known (RFC 2986 §4.1)');
  }
  const commonName = readCommonName(info.enter());
  const sentSpkiDer = info.whole(info.read(tags.sequence));
  // Some firmware leaves out the attributes, against RFC 2986 §4.1.
  info.readOptional(contextConstructedTag(0));
  info.finish();

  const proof = readSignatureAlgorithm(algorithmReader);
  // A view into the caller's bytes would keep the whole request alive with the certificate's row.
  const spkiDer = normalizePublicKey(sentSpkiDer).slice();
  const key = parsePublicKey(spkiDer);
  const { algorithm } = key;
  if (algorithms[algorithm].family !== proof.keyFamily) {
    throw new KeylineError(
      'CSR_SIGNATURE_INVALID',
      `The CSR is signed with ${proof.name}, which its ${algorithm} key can't make.`,
    );
  }
  assertStrongKey(key);
  const tbsDer = request.whole(infoElement);
  assertProofOfPossession(proof, { tbsDer, signature, spkiDer });
  return {
    der: csrDer,
    commonName,
    spkiDer,
    spkiSha256: hash('sha256', spkiDer, 'hex'),
    algorithm,
  };
}

/** An empty one is none: stacks that have nothing to say write it. */
function readCommonName(subject: DerReader): string | undefined {
  const { commonNames } = parseName(subject);
  if (commonNames.length > 1) throw derMalformed('a subject with more than one CN');
  return commonNames[0] === '' ? undefined : commonNames[0];
}

/** How a CSR was signed. */
interface Proof {
  readonly name: string;
  readonly keyFamily: KeyFamily;
  /** @throws when node:crypto can't import the key */
  verify(parts: Omit<SignedParts, 'signatureAlgorithmOid'>): boolean;
}

function readSignatureAlgorithm(reader: DerReader): Proof {
  const oid = reader.readOid();
  if (oid === oids.rsassaPss) {
    const parameters = parsePssParameters(reader);
    return {
      name: 'RSASSA-PSS',
      keyFamily: 'rsa',
      verify: (parts) => verifyPss(parameters, parts),
    };
  }
  const found = signatureAlgorithms.get(oid);
  if (found === undefined) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `The CSR's signature algorithm (${oid}) is not accepted. Sign it with SHA-256 or better.`,
    );
  }
  // RFC 4055 §5: both NULL and absent must be accepted for RSA. The others have none (RFC 5758 §3.2), and Mbed TLS before 3.0 writes NULL.
  if (!reader.isAtEnd()) reader.readNull();
  reader.finish();
  return { ...found, verify: (parts) => verifyWith(found, parts) };
}

function assertProofOfPossession(
  proof: Proof,
  parts: { tbsDer: Uint8Array; signature: Uint8Array; spkiDer: Uint8Array },
): void {
  let valid: boolean;
  try {
    valid = proof.verify(parts);
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

/**
 * The extensions a CSR asks for, for who shows or judges them; issuing takes none of them over.
 * @param csr one that `parseCsr` took
 * @throws {KeylineError} CSR_MALFORMED when they can't be read, which parseCsr does not look at
 */
export function readRequestedExtensions(csr: Pick<Csr, 'der'>): readonly Extension[] {
  return asCsrFault(() => {
    const info = readSequence(csr.der).enter();
    info.read(tags.integer);
    info.read(tags.sequence);
    info.read(tags.sequence);
    const attributes = info.enterOptional(contextConstructedTag(0));
    const found: Extension[] = [];
    while (attributes?.isAtEnd() === false) {
      const attribute = attributes.enter();
      if (attribute.readOid() !== oids.extensionRequest) continue;
      const values = attribute.enter(tags.set);
      while (!values.isAtEnd()) found.push(...parseExtensions(values.enter()));
    }
    return found;
  });
}
