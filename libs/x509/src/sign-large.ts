// Signing tens of megabytes (a CRL with a million entries) without holding the event loop.
import { createSign, sign, type KeyObject } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { algorithms, type KeyAlgorithm } from './algorithms.ts';

// Two to four milliseconds of SHA-256.
const sliceBytes = 1 << 20;

/**
 * As `signWith`, but other work gets its turn meanwhile: hashed in slices where the algorithm hashes first (ECDSA, RSA), in node:crypto's
 * thread pool where it takes the message whole (Ed25519, ML-DSA), which copies the message once.
 */
export async function signLargeWith(
  privateKey: KeyObject,
  algorithm: KeyAlgorithm,
  toBeSigned: Uint8Array,
): Promise<Uint8Array> {
  const { digest } = algorithms[algorithm].signature;
  if (digest === null) {
    return new Promise((resolve, reject) => {
      sign(null, toBeSigned, privateKey, (error, signature) => {
        if (error === null) resolve(signature);
        else reject(error);
      });
    });
  }
  const signing = createSign(digest);
  for (let offset = 0; offset < toBeSigned.length; offset += sliceBytes) {
    if (offset > 0) await nextTurn();
    signing.update(toBeSigned.subarray(offset, offset + sliceBytes));
  }
  return signing.sign(privateKey);
}
