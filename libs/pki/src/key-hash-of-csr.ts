// What two people compare when a request is carried from one machine to another.
import { hash } from 'node:crypto';
import { parseCsr } from './csr.ts';

/**
 * Lower-case hex SHA-256 of the SubjectPublicKeyInfo in a CSR, as `keyline-root inspect` shows it.
 * @param pem PEM text, or DER
 * @throws {KeylineError} CSR_*
 */
export function keyHashOfCsr(pem: string | Uint8Array): string {
  return hash('sha256', parseCsr(pem).spkiDer, 'hex');
}
