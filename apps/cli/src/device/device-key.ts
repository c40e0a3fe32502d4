// A device's private key and CSR, made on this side: the key is written before anything is asked of the service.
import { X509Certificate, type KeyObject } from 'node:crypto';
import { readText } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import { createSigner, generateKey, writeKeyFile } from '@keyline/keys';
import { createCsr, encodePem, type KeyAlgorithm } from '@keyline/x509';

/** A new key in a new file (0600, PKCS#8 PEM, not encrypted: a device has nobody to ask). @throws {KeylineError} FILE_EXISTS */
export async function createKeyFile(path: string, algorithm: KeyAlgorithm): Promise<KeyObject> {
  const key = generateKey(algorithm);
  await writeKeyFile(path, key.export({ type: 'pkcs8', format: 'pem' }));
  return key;
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
