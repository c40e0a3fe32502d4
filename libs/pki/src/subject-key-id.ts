// Key identifiers: RFC 7093 §2 method 1.
import { hash } from 'node:crypto';
import { parsePublicKey } from '@keyline/x509';

/** Leftmost 160 bits of the SHA-256 of the key's BIT STRING content. */
export function keyIdOf(publicKey: Uint8Array): Uint8Array {
  return hash('sha256', publicKey, 'buffer').subarray(0, 20);
}

/** The same for a SubjectPublicKeyInfo. @throws {KeylineError} as parsePublicKey of libs/x509 */
export function subjectKeyIdOf(spkiDer: Uint8Array): Uint8Array {
  return keyIdOf(parsePublicKey(spkiDer).publicKey);
}
