// A private key in memory as a Signer.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import {
  keyAlgorithmOf,
  signLargeWith,
  signWith,
  type KeyAlgorithm,
  type Signer,
} from '@keyline/x509';

/** @throws {KeylineError} KEY_UNSUPPORTED */
export function createSigner(privateKey: KeyObject): Signer {
  const spkiDer = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const algorithm = algorithmOf(spkiDer);
  return {
    algorithm,
    spkiDer,
    sign: (toBeSigned) => signWith(privateKey, algorithm, toBeSigned),
    signLarge: (toBeSigned) => signLargeWith(privateKey, algorithm, toBeSigned),
  };
}

function algorithmOf(spkiDer: Uint8Array): KeyAlgorithm {
  try {
    return keyAlgorithmOf(spkiDer);
  } catch (error) {
    // The table speaks of CSRs; here it is one's own key file.
    const detail = isKeylineError(error) ? error.detail : "It can't be read.";
    throw new KeylineError('KEY_UNSUPPORTED', `The private key can't be used. ${detail}`, {
      cause: error,
    });
  }
}
