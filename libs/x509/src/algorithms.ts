// Key and signature algorithms as data: X.509 identifiers beside the parameters node:crypto wants. Nothing else in Keyline branches
// on an algorithm's name.
import { sign, verify, type KeyObject } from 'node:crypto';
import { KeylineError } from '@keyline/kernel';
import { bufferOf, latin1Of } from './bytes.ts';
import * as der from './der-writer.ts';
import { readSequence } from './der-reader.ts';
import { tags } from './der-writer.ts';

/** Key algorithms of authorities and leaves, in any mix. */
export const keyAlgorithms = [
  'ec-p256',
  'ec-p384',
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

/** A private key that signs. Bytes in, signature out as X.509 wants it (ECDSA: DER SEQUENCE). */
export interface Signer {
  readonly algorithm: KeyAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly spkiDer: Uint8Array;
  sign(toBeSigned: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The same for tens of megabytes, without holding the event loop. Absent: `sign` does it. @see signLargeWith */
  signLarge?(toBeSigned: Uint8Array): Promise<Uint8Array>;
}

/** A signature algorithm that Keyline accepts. SHA-1 and MD5 are not in the table, so nothing can ask for them. */
export interface SignatureAlgorithm {
  readonly oid: string;
  readonly name: string;
  /** What kind of key makes it. */
  readonly keyFamily: KeyFamily;
  /** node:crypto digest name; null where the scheme hashes by itself. */
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null;
  /** Complete AlgorithmIdentifier, DER. */
  readonly identifierDer: Uint8Array;
}

export type KeyFamily = 'ec' | 'ed25519' | 'rsa' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';

function signatureAlgorithm(
  oid: string,
  name: string,
  keyFamily: KeyFamily,
  digest: SignatureAlgorithm['digest'],
): SignatureAlgorithm {
  // RFC 4055 §5: NULL for RSA; RFC 5758 §3.2, RFC 8410 §3, RFC 9881 §2: absent for the others.
  const parameters = keyFamily === 'rsa' ? [der.nullValue()] : [];
  return { oid, name, keyFamily, digest, identifierDer: der.sequence(der.oid(oid), ...parameters) };
}

const signatureTable = [
  signatureAlgorithm('1.2.840.10045.4.3.2', 'ecdsa-with-SHA256', 'ec', 'sha256'),
  signatureAlgorithm('1.2.840.10045.4.3.3', 'ecdsa-with-SHA384', 'ec', 'sha384'),
  signatureAlgorithm('1.2.840.10045.4.3.4', 'ecdsa-with-SHA512', 'ec', 'sha512'),
  signatureAlgorithm('1.2.840.113549.1.1.11', 'sha256WithRSAEncryption', 'rsa', 'sha256'),
  signatureAlgorithm('1.2.840.113549.1.1.12', 'sha384WithRSAEncryption', 'rsa', 'sha384'),
  signatureAlgorithm('1.2.840.113549.1.1.13', 'sha512WithRSAEncryption', 'rsa', 'sha512'),
  signatureAlgorithm('1.3.101.112', 'Ed25519', 'ed25519', null),
  signatureAlgorithm('2.16.840.1.101.3.4.3.17', 'ML-DSA-44', 'ml-dsa-44', null),
  signatureAlgorithm('2.16.840.1.101.3.4.3.18', 'ML-DSA-65', 'ml-dsa-65', null),
  signatureAlgorithm('2.16.840.1.101.3.4.3.19', 'ML-DSA-87', 'ml-dsa-87', null),
] as const;

/** Accepted signature algorithms by OID. */
export const signatureAlgorithms: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  signatureTable.map((algorithm) => [algorithm.oid, algorithm]),
);

/** What a key algorithm is in SubjectPublicKeyInfo, how it signs, and how node:crypto makes one. */
export interface KeyAlgorithmDetails {
  readonly name: KeyAlgorithm;
  readonly family: KeyFamily;
  /** The signature algorithm its signers use. */
  readonly signature: SignatureAlgorithm;
  /** AlgorithmIdentifier of the SubjectPublicKeyInfo, DER. */
  readonly spkiAlgorithmDer: Uint8Array;
  /** Octets of the BIT STRING's key; undefined for RSA, which varies. */
  readonly publicKeyBytes?: number;
  readonly generate: {
    readonly type: 'ec' | 'ed25519' | 'rsa' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';
    readonly namedCurve?: 'P-256' | 'P-384';
    readonly modulusLength?: number;
  };
}

function getSignature(oid: string): SignatureAlgorithm {
  const found = signatureAlgorithms.get(oid);
  if (found === undefined) throw new KeylineError('INTERNAL', `No signature algorithm ${oid}.`);
  return found;
}

const ecPublicKey = '1.2.840.10045.2.1';
const rsaEncryption = '1.2.840.113549.1.1.1';

function ec(
  name: KeyAlgorithm,
  namedCurve: 'P-256' | 'P-384',
  curveOid: string,
  signatureOid: string,
  publicKeyBytes: number,
): KeyAlgorithmDetails {
  return {
    name,
    family: 'ec',
    signature: getSignature(signatureOid),
    spkiAlgorithmDer: der.sequence(der.oid(ecPublicKey), der.oid(curveOid)),
    publicKeyBytes,
    generate: { type: 'ec', namedCurve },
  };
}

function rsa(name: KeyAlgorithm, modulusLength: number): KeyAlgorithmDetails {
  return {
    name,
    family: 'rsa',
    signature: getSignature('1.2.840.113549.1.1.11'),
    spkiAlgorithmDer: der.sequence(der.oid(rsaEncryption), der.nullValue()),
    generate: { type: 'rsa', modulusLength },
  };
}

function bare(
  name: KeyAlgorithm & KeyFamily,
  oid: string,
  publicKeyBytes: number,
): KeyAlgorithmDetails {
  return {
    name,
    family: name,
    signature: getSignature(oid),
    spkiAlgorithmDer: der.sequence(der.oid(oid)),
    publicKeyBytes,
    generate: { type: name },
  };
}

/** The table. @see RFC 5480, RFC 8410, RFC 3279 §2.3.1, RFC 9881 */
export const algorithms: Readonly<Record<KeyAlgorithm, KeyAlgorithmDetails>> = {
  'ec-p256': ec('ec-p256', 'P-256', '1.2.840.10045.3.1.7', '1.2.840.10045.4.3.2', 65),
  'ec-p384': ec('ec-p384', 'P-384', '1.3.132.0.34', '1.2.840.10045.4.3.3', 97),
  ed25519: bare('ed25519', '1.3.101.112', 32),
  'rsa-2048': rsa('rsa-2048', 2048),
  'rsa-3072': rsa('rsa-3072', 3072),
  'rsa-4096': rsa('rsa-4096', 4096),
  'ml-dsa-44': bare('ml-dsa-44', '2.16.840.1.101.3.4.3.17', 1312),
  'ml-dsa-65': bare('ml-dsa-65', '2.16.840.1.101.3.4.3.18', 1952),
  'ml-dsa-87': bare('ml-dsa-87', '2.16.840.1.101.3.4.3.19', 2592),
};

const rsaBySize: Readonly<Record<number, KeyAlgorithm>> = {
  2048: 'rsa-2048',
  3072: 'rsa-3072',
  4096: 'rsa-4096',
};

/** A public key taken apart and found in the table. */
export interface PublicKeyDetails {
  readonly algorithm: KeyAlgorithm;
  /** Content of the BIT STRING: what key identifiers are hashed from. */
  readonly publicKey: Uint8Array;
}

const spkiAlgorithmIndex = new Map<string, readonly KeyAlgorithmDetails[]>();
for (const details of Object.values(algorithms)) {
  const key = latin1Of(details.spkiAlgorithmDer);
  spkiAlgorithmIndex.set(key, [...(spkiAlgorithmIndex.get(key) ?? []), details]);
}

/**
 * Takes a SubjectPublicKeyInfo apart and checks what the table knows of its algorithm: parameters, sizes, RSA exponent. That an EC
 * point lies on its curve is checked by node:crypto when the key is first used.
 * @throws {KeylineError} DER_MALFORMED, CSR_ALGORITHM_NOT_ALLOWED, CSR_KEY_WEAK
 */
export function parsePublicKey(spkiDer: Uint8Array): PublicKeyDetails {
  const spki = readSequence(spkiDer);
  const algorithmDer = spki.whole(spki.read(tags.sequence));
  const publicKey = spki.readBitString();
  spki.finish();
  const [details] = spkiAlgorithmIndex.get(latin1Of(algorithmDer)) ?? [];
  if (details === undefined) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `The public key's algorithm${describeForeign(algorithmDer)} is none of ${keyAlgorithms.join(', ')}.`,
    );
  }
  if (details.family === 'rsa') return { algorithm: rsaAlgorithmOf(publicKey), publicKey };
  // One form per key, so that one key cannot hide behind two spellings (RFC 5480 §2.2: uncompressed is the one all must know).
  if (
    publicKey.length !== details.publicKeyBytes ||
    (details.family === 'ec' && publicKey[0] !== 4)
  ) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `The public key is not ${details.name} as expected: ${String(details.publicKeyBytes)} octets${
        details.family === 'ec' ? ', an uncompressed point' : ''
      }.`,
    );
  }
  return { algorithm: details.name, publicKey };
}

const foreignKeys = new Map([
  ['1.3.132.0.35', 'EC on P-521'],
  ['1.3.132.0.10', 'EC on secp256k1'],
  ['1.2.840.10045.3.1.1', 'EC on P-192'],
  ['1.3.132.0.33', 'EC on P-224'],
  ['1.3.36.3.3.2.8.1.1.7', 'EC on brainpoolP256r1'],
  ['1.3.36.3.3.2.8.1.1.11', 'EC on brainpoolP384r1'],
  ['1.3.101.110', 'X25519, which can not sign'],
  ['1.3.101.113', 'Ed448'],
  ['1.2.840.10040.4.1', 'DSA'],
  [
    '1.2.840.113549.1.1.10',
    'RSASSA-PSS; make an ordinary RSA key (rsaEncryption), which may sign with PSS too',
  ],
]);

/** What somebody who made the key can act on, in brackets. */
function describeForeign(algorithmDer: Uint8Array): string {
  const algorithm = readSequence(algorithmDer);
  const oid = algorithm.readOid();
  if (oid !== ecPublicKey) return ` (${foreignKeys.get(oid) ?? oid})`;
  // RFC 5480 §2.1.1: the curve is named; its parameters written out may be any curve's.
  if (algorithm.peekTag() !== tags.oid) return ' (EC without the name of a curve)';
  const curve = algorithm.readOid();
  return ` (${foreignKeys.get(curve) ?? `EC on the curve ${curve}`})`;
}

function rsaAlgorithmOf(publicKey: Uint8Array): KeyAlgorithm {
  const reader = readSequence(publicKey);
  const modulus = reader.readInteger();
  const exponent = reader.readInteger();
  reader.finish();
  const magnitude = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  const bits = magnitude.length * 8 - (Math.clz32(magnitude[0] ?? 0) - 24);
  if ((modulus[0] ?? 0) >= 0x80) {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      'The RSA modulus is negative: an INTEGER whose first bit is set needs a zero octet before it (X.690 §8.3).',
    );
  }
  if (bits < 2048) {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      `The RSA key has ${String(bits)} bits; 2048 is the least. Prefer an EC key (P-256).`,
    );
  }
  const algorithm = rsaBySize[bits];
  if (algorithm === undefined) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `RSA keys may have 2048, 3072 or 4096 bits, not ${String(bits)}.`,
    );
  }
  const value = exponent.length <= 5 ? exponent.reduce((sum, octet) => sum * 256 + octet, 0) : 0;
  const even = ((modulus[modulus.length - 1] ?? 0) & 1) === 0;
  if (
    even ||
    (exponent[0] ?? 0) >= 0x80 ||
    value < 65537 ||
    value % 2 === 0 ||
    value > 0xffffffff
  ) {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      'The RSA key has an even modulus or an unusual public exponent; make a key with exponent 65537.',
    );
  }
  return algorithm;
}

/** @throws {KeylineError} as parsePublicKey */
export function keyAlgorithmOf(spkiDer: Uint8Array): KeyAlgorithm {
  return parsePublicKey(spkiDer).algorithm;
}

/** Signs as X.509 wants it, with node:crypto. */
export function signWith(
  privateKey: KeyObject,
  algorithm: KeyAlgorithm,
  toBeSigned: Uint8Array,
): Uint8Array {
  return sign(algorithms[algorithm].signature.digest, toBeSigned, privateKey);
}

/** What a signed structure (certificate, CRL, CSR, OCSP answer) says of its own signature, beside the key to check it with. */
export interface SignedParts {
  readonly tbsDer: Uint8Array;
  readonly signatureAlgorithmOid: string;
  readonly signature: Uint8Array;
  /** SubjectPublicKeyInfo of the signer. */
  readonly spkiDer: Uint8Array;
}

/** False for a wrong signature, and for an algorithm or key that is not in the table; never throws. */
export function verifySignature(parts: SignedParts): boolean {
  const algorithm = signatureAlgorithms.get(parts.signatureAlgorithmOid);
  if (algorithm === undefined) return false;
  try {
    if (algorithms[keyAlgorithmOf(parts.spkiDer)].family !== algorithm.keyFamily) return false;
    return verifyWith(algorithm, parts);
  } catch {
    // A key that node:crypto can't import proves nothing.
    return false;
  }
}

/** The bare check: the key's family is known to fit. @throws when node:crypto can't import the key (a point off its curve) */
export function verifyWith(
  algorithm: SignatureAlgorithm,
  parts: Omit<SignedParts, 'signatureAlgorithmOid'>,
): boolean {
  // Handing over the DER saves the making of a KeyObject: an eighth of the whole check for P-256.
  return verify(
    algorithm.digest,
    parts.tbsDer,
    { key: bufferOf(parts.spkiDer), format: 'der', type: 'spki' },
    parts.signature,
  );
}
