// A device's private key and CSR, made on this side: the key is written before anything is asked of the service.
import { X509Certificate, type KeyObject } from 'node:crypto';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import { readText } from '@keyline/files';
import {
  createSigner,
  generateKey,
  loadPlainKey,
  takeUpKeyFile,
  writeKeyFile,
} from '@keyline/keys';
import { createCsr, encodePem, type KeyAlgorithm } from '@keyline/x509';

/**
 * The key in a file, or a new one in a new file (0600, PKCS#8 PEM, not encrypted: a device has nobody to ask). Of two that make one at
 * once both get the same.
 * @throws {KeylineError} FILE_UNREADABLE, KEY_UNSUPPORTED
 */
export async function takeUpOrCreateKey(path: string, algorithm: KeyAlgorithm): Promise<KeyObject> {
  return (await keyIn(path, algorithm)).key;
}

/** The same, and whether it was made here and now. @throws {KeylineError} FILE_UNREADABLE, KEY_UNSUPPORTED */
export async function keyIn(
  path: string,
  algorithm: KeyAlgorithm,
): Promise<{ readonly key: KeyObject; readonly isNew: boolean }> {
  if (await takeUpKeyFile(path)) return { key: await loadPlainKey(path), isNew: false };
  const key = generateKey(algorithm);
  try {
    await writeKeyFile(path, keyText(key));
    return { key, isNew: true };
  } catch (error) {
    if (!isKeylineError(error) || error.code !== 'FILE_EXISTS') throw error;
    return { key: await loadPlainKey(path), isNew: false };
  }
}

/** Puts a key that is in use back in its place if somebody took it away meanwhile. @throws {KeylineError} FILE_UNREADABLE */
export async function keepKey(path: string, key: KeyObject): Promise<void> {
  if (await takeUpKeyFile(path)) return;
  await writeKeyFile(path, keyText(key));
}

function keyText(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/**
 * What does not fit the key is worth nothing, and would take the place of what does.
 * @throws {KeylineError} PATH_INVALID
 */
export function assertIsFor(key: KeyObject, certificatePem: string): void {
  if (parseLeaf(certificatePem, 'The answer of the service').checkPrivateKey(key)) return;
  throw new KeylineError(
    'PATH_INVALID',
    'The service answered with a certificate for another key. Nothing was changed here; ask whoever runs it.',
  );
}

/** A CSR that proves possession of the key. */
export async function createCsrPem(key: KeyObject, commonName: string): Promise<string> {
  return encodePem(
    'CERTIFICATE REQUEST',
    await createCsr({ signer: createSigner(key), commonName }),
  );
}

/** The first certificate of a PEM file. @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE */
export async function loadLeaf(path: string): Promise<X509Certificate> {
  const pem = await readText(path, 'the certificate');
  return parseLeaf(pem, path);
}

/** @throws {KeylineError} FILE_UNREADABLE */
export function parseLeaf(pem: string, source: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new KeylineError('FILE_UNREADABLE', `${source} is not a certificate in PEM.`, {
      cause: error,
    });
  }
}

/** Leaf and chain as one PEM file, as TLS stacks want it. */
export function joinChain(certificate: string, chain: readonly string[]): string {
  return [certificate, ...chain].map((pem) => `${pem.trim()}\n`).join('');
}

/** Of an existing key, for another like it. @throws {KeylineError} KEY_UNSUPPORTED */
export function algorithmOf(key: KeyObject): KeyAlgorithm {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      return details?.namedCurve === 'secp384r1' ? 'ec-p384' : 'ec-p256';
    case 'ed25519':
      return 'ed25519';
    case 'rsa':
      return (details?.modulusLength ?? 0) >= 4096
        ? 'rsa-4096'
        : (details?.modulusLength ?? 0) >= 3072
          ? 'rsa-3072'
          : 'rsa-2048';
    default:
      throw new KeylineError(
        'KEY_UNSUPPORTED',
        `The key is of the kind "${key.asymmetricKeyType ?? 'unknown'}", which can't be renewed with --new-key. Renew without it.`,
      );
  }
}
