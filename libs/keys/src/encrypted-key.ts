// Private keys at rest: PKCS#8 under PBES2 with scrypt and AES-256-CBC (RFC 5958, RFC 8018, RFC 7914 §7). Written here because
// node:crypto only does PBKDF2; OpenSSL reads what this writes.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  randomBytes,
  scrypt,
  scryptSync,
  type KeyObject,
  type ScryptOptions,
} from 'node:crypto';
import { KeylineError, type Secret } from '@keyline/kernel';
import { decodePem, der, encodePem, readSequence } from '@keyline/x509';

export const encryptedKeyLabel = 'ENCRYPTED PRIVATE KEY';

const cost = { N: 16384, r: 8, p: 5 } as const;
const keyBytes = 32;
// 128 · N · r is what scrypt needs; node's default bound is just that and refuses.
const scryptMemoryBytes = 64 * 1024 * 1024;

const oids = {
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

const scryptOptions = { ...cost, maxmem: scryptMemoryBytes };

// OpenSSL reads no longer one (PEM_BUFSIZE): a key written with it could never be opened again.
const maxPassphraseBytes = 1024;

/** PEM `ENCRYPTED PRIVATE KEY`. @throws {KeylineError} USAGE for a passphrase that is empty or longer than 1024 bytes */
export function encryptPrivateKey(key: KeyObject, passphrase: Secret): string {
  assertPassphrase(passphrase);
  const salt = randomBytes(16);
  const bytes = Buffer.from(passphrase.reveal(), 'utf8');
  return seal(key, salt, scryptSync(bytes, salt, keyBytes, scryptOptions));
}

/** The same beside everything else, for a process that serves others meanwhile: scrypt takes its time on purpose. */
export async function encryptPrivateKeyAside(key: KeyObject, passphrase: Secret): Promise<string> {
  assertPassphrase(passphrase);
  const salt = randomBytes(16);
  const bytes = Buffer.from(passphrase.reveal(), 'utf8');
  return seal(key, salt, await deriveAside(bytes, salt, scryptOptions));
}

const deriveAside = (
  passphrase: Buffer,
  salt: Uint8Array,
  options: ScryptOptions,
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(passphrase, salt, keyBytes, options, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });

function assertPassphrase(passphrase: Secret): void {
  const length = Buffer.byteLength(passphrase.reveal(), 'utf8');
  if (length === 0 || length > maxPassphraseBytes) {
    throw new KeylineError(
      'USAGE',
      `The passphrase for the private key has ${String(length)} bytes; give one of 1 to ${String(maxPassphraseBytes)}.`,
    );
  }
}

function seal(key: KeyObject, salt: Buffer, encryptionKey: Buffer): string {
  const iv = randomBytes(16);
  const plain = key.export({ format: 'der', type: 'pkcs8' });
  const cipher = createCipheriv('aes-256-cbc', encryptionKey, iv);
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  encryptionKey.fill(0);
  const derivation = der.sequence(
    der.oid(oids.scrypt),
    der.sequence(
      der.octetString(salt),
      der.integer(cost.N),
      der.integer(cost.r),
      der.integer(cost.p),
      der.integer(keyBytes),
    ),
  );
  const encryption = der.sequence(der.oid(oids.aes256Cbc), der.octetString(iv));
  const algorithm = der.sequence(der.oid(oids.pbes2), der.sequence(derivation, encryption));
  return encodePem(encryptedKeyLabel, der.sequence(algorithm, der.octetString(encrypted)));
}

/**
 * Reads any encrypted PKCS#8 that OpenSSL can (scrypt or PBKDF2).
 * @throws {KeylineError} KEY_DECRYPT_FAILED; DER_MALFORMED when it is no such PEM
 */
export function decryptPrivateKey(pem: string, passphrase: Secret): KeyObject {
  const encrypted = decodePem(pem, encryptedKeyLabel);
  try {
    return createPrivateKey({
      key: Buffer.from(encrypted),
      format: 'der',
      type: 'pkcs8',
      passphrase: passphrase.reveal(),
    });
  } catch (error) {
    throw decryptFailed(error);
  }
}

/**
 * The same beside everything else. What is not encrypted as Keyline does it (PBKDF2, another cipher) is read at once all the same.
 * @throws {KeylineError} as `decryptPrivateKey`
 */
export async function decryptPrivateKeyAside(pem: string, passphrase: Secret): Promise<KeyObject> {
  const sealed = readSealed(decodePem(pem, encryptedKeyLabel));
  if (sealed === undefined) return decryptPrivateKey(pem, passphrase);
  const { salt, iv, encrypted, options } = sealed;
  try {
    const bytes = Buffer.from(passphrase.reveal(), 'utf8');
    const encryptionKey = await deriveAside(bytes, salt, options);
    const decipher = createDecipheriv('aes-256-cbc', encryptionKey, iv);
    const plain = Buffer.concat([decipher.update(encrypted), decipher.final()]);
    encryptionKey.fill(0);
    const key = createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
    plain.fill(0);
    return key;
  } catch (error) {
    throw decryptFailed(error);
  }
}

/** What `seal` writes; undefined for anything else. */
function readSealed(bytes: Uint8Array):
  | {
      readonly salt: Uint8Array;
      readonly iv: Uint8Array;
      readonly encrypted: Uint8Array;
      readonly options: ScryptOptions;
    }
  | undefined {
  try {
    const info = readSequence(bytes);
    const algorithm = info.enter();
    const encrypted = info.readOctetString();
    if (algorithm.readOid() !== oids.pbes2) return undefined;
    const scheme = algorithm.enter();
    const derivation = scheme.enter();
    const encryption = scheme.enter();
    if (derivation.readOid() !== oids.scrypt || encryption.readOid() !== oids.aes256Cbc) {
      return undefined;
    }
    const iv = encryption.readOctetString();
    const scryptParameters = derivation.enter();
    const salt = scryptParameters.readOctetString();
    const N = scryptParameters.readSmallInteger();
    const r = scryptParameters.readSmallInteger();
    const p = scryptParameters.readSmallInteger();
    return { salt, iv, encrypted, options: { N, r, p, maxmem: scryptMemoryBytes } };
  } catch {
    // OpenSSL is to say what is wrong with it.
    return undefined;
  }
}

function decryptFailed(cause: unknown): KeylineError {
  return new KeylineError(
    'KEY_DECRYPT_FAILED',
    "The private key can't be decrypted: the passphrase is wrong, or the file is damaged. Check the passphrase file (one line, the right authority); a backup of the key file tells the two apart.",
    { cause },
  );
}
