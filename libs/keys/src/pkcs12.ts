// A private key with its certificates as one PKCS#12 file (RFC 7292), for browsers and key stores. Written here because node:crypto has
// none, and what libraries write GnuTLS refuses. OpenSSL, GnuTLS, NSS and Java read both forms.
import {
  createCipheriv,
  createHash,
  createHmac,
  pbkdf2Sync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { KeylineError, type Secret } from '@keyline/kernel';
import { der } from '@keyline/x509';

/**
 * `modern`: AES-256 and SHA-256. `compatible`: 3DES and SHA-1, for Windows Server 2016, Android 12, the macOS keychain and what is older.
 */
export type Pkcs12Form = 'modern' | 'compatible';

export interface Pkcs12Content {
  readonly key: KeyObject;
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER, the issuing authority first; without the root. */
  readonly chain: readonly Uint8Array[];
  /** What stores show it under. */
  readonly name: string;
}

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  tripleDes: '1.2.840.113549.1.12.1.3',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

/** Of `modern`; readers of the other form expect what OpenSSL always wrote. */
const iterations = { modern: 10_000, compatible: 2048 } as const;
/** GnuTLS takes no salt of more than 32. */
const saltBytes = 16;

/**
 * @param options.password printable ASCII: Java fails on anything else
 * @returns DER
 * @throws {KeylineError} USAGE
 */
export function encodePkcs12(
  content: Pkcs12Content,
  options: { readonly password: Secret; readonly form?: Pkcs12Form },
): Uint8Array {
  const { form = 'modern' } = options;
  const password = options.password.reveal();
  if (!/^[\x20-\x7e]{1,256}$/.test(password)) {
    throw new KeylineError(
      'USAGE',
      'The password of a PKCS#12 file is 1 to 256 printable ASCII characters: not every program that reads it knows others.',
    );
  }
  const { key, certificate, chain, name } = content;
  const keyId = createHash('sha1').update(certificate).digest();
  const attributes = [
    attribute(oids.friendlyName, der.element(der.tags.bmpString, bmp(name))),
    attribute(oids.localKeyId, der.octetString(keyId)),
  ];
  const plainKey = key.export({ format: 'der', type: 'pkcs8' });
  const shrouded = encrypt(plainKey, password, form);
  plainKey.fill(0);
  const keys = der.sequence(
    bag(
      oids.keyBag,
      der.sequence(shrouded.algorithm, der.octetString(shrouded.encrypted)),
      attributes,
    ),
  );
  const certificates = der.sequence(
    bag(oids.certificateBag, certificateValue(certificate), attributes),
    ...chain.map((one) => bag(oids.certificateBag, certificateValue(one), [])),
  );
  const authenticated = der.sequence(
    encryptedContent(certificates, password, form),
    dataContent(keys),
  );
  return der.sequence(
    der.integer(3),
    dataContent(authenticated),
    mac(authenticated, password, form),
  );
}

function attribute(type: string, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(type), der.set(value));
}

function bag(type: string, value: Uint8Array, attributes: readonly Uint8Array[]): Uint8Array {
  const named = attributes.length === 0 ? [] : [der.set(...attributes)];
  return der.sequence(der.oid(type), der.explicit(0, value), ...named);
}

function certificateValue(certificate: Uint8Array): Uint8Array {
  return der.sequence(der.oid(oids.x509Certificate), der.explicit(0, der.octetString(certificate)));
}

function dataContent(content: Uint8Array): Uint8Array {
  return der.sequence(der.oid(oids.data), der.explicit(0, der.octetString(content)));
}

function encryptedContent(content: Uint8Array, password: string, form: Pkcs12Form): Uint8Array {
  const { algorithm, encrypted } = encrypt(content, password, form);
  const info = der.sequence(
    der.oid(oids.data),
    algorithm,
    // [0] IMPLICIT OCTET STRING, primitive: GnuTLS takes no other.
    der.implicit(0, der.octetString(encrypted)),
  );
  const data = der.sequence(der.integer(0), info);
  return der.sequence(der.oid(oids.encryptedData), der.explicit(0, data));
}

function encrypt(
  plain: Uint8Array,
  password: string,
  form: Pkcs12Form,
): { algorithm: Uint8Array; encrypted: Uint8Array } {
  const salt = randomBytes(saltBytes);
  const rounds = iterations[form];
  if (form === 'compatible') {
    const derive = (id: 1 | 2, length: number): Buffer =>
      derivePkcs12({ hash: 'sha1', id, password, salt, rounds, length });
    const cipher = createCipheriv('des-ede3-cbc', derive(1, 24), derive(2, 8));
    const parameters = der.sequence(der.octetString(salt), der.integer(rounds));
    return {
      algorithm: der.sequence(der.oid(oids.tripleDes), parameters),
      encrypted: Buffer.concat([cipher.update(plain), cipher.final()]),
    };
  }
  const iv = randomBytes(16);
  const key = pbkdf2Sync(password, salt, rounds, 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const derivation = der.sequence(
    der.oid(oids.pbkdf2),
    der.sequence(
      der.octetString(salt),
      der.integer(rounds),
      der.sequence(der.oid(oids.hmacSha256), der.nullValue()),
    ),
  );
  const scheme = der.sequence(der.oid(oids.aes256Cbc), der.octetString(iv));
  return {
    algorithm: der.sequence(der.oid(oids.pbes2), der.sequence(derivation, scheme)),
    encrypted: Buffer.concat([cipher.update(plain), cipher.final()]),
  };
}

function mac(content: Uint8Array, password: string, form: Pkcs12Form): Uint8Array {
  const hash = form === 'modern' ? 'sha256' : 'sha1';
  const salt = randomBytes(saltBytes);
  const rounds = iterations[form];
  const length = form === 'modern' ? 32 : 20;
  const key = derivePkcs12({ hash, id: 3, password, salt, rounds, length });
  const digest = createHmac(hash, key).update(content).digest();
  return der.sequence(
    der.sequence(der.sequence(der.oid(oids[hash]), der.nullValue()), der.octetString(digest)),
    der.octetString(salt),
    der.integer(rounds),
  );
}

/** Octets that both hashes work in. */
const blockBytes = 64;

/** RFC 7292 appendix B.2. @param given.id what it is for: 1 a key, 2 an IV, 3 a MAC */
function derivePkcs12(given: {
  readonly hash: 'sha1' | 'sha256';
  readonly id: 1 | 2 | 3;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly rounds: number;
  readonly length: number;
}): Buffer {
  const { hash, id, password, salt, rounds, length } = given;
  const diversifier = Buffer.alloc(blockBytes, id);
  const input = Buffer.concat([
    fill(salt),
    // The terminating zero is part of it.
    fill(Buffer.concat([bmp(password), Buffer.alloc(2)])),
  ]);
  const derived: Buffer[] = [];
  for (let bytes = 0; bytes < length;) {
    let round = createHash(hash).update(diversifier).update(input).digest();
    for (let count = 1; count < rounds; count++) round = createHash(hash).update(round).digest();
    derived.push(round);
    bytes += round.length;
    const addend = fill(round).subarray(0, blockBytes);
    for (let at = 0; at < input.length; at += blockBytes) {
      let carry = 1;
      for (let octet = blockBytes - 1; octet >= 0; octet--) {
        carry += (input[at + octet] ?? 0) + (addend[octet] ?? 0);
        input[at + octet] = carry & 0xff;
        carry >>= 8;
      }
    }
  }
  return Buffer.concat(derived).subarray(0, length);
}

/** Repeated until whole blocks are full. */
function fill(bytes: Uint8Array): Buffer {
  const blocks = Math.ceil(bytes.length / blockBytes);
  return Buffer.alloc(blocks * blockBytes, bytes);
}

/** BMPString content: UTF-16, big endian. */
function bmp(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}
