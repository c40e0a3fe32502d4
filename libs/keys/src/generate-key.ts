// Key pairs by the names of the algorithm table.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { algorithms, type KeyAlgorithm } from '@keyline/x509';

/** A new private key. RSA-4096 takes a second or two; the others are instant. */
export function generateKey(algorithm: KeyAlgorithm): KeyObject {
  const { type, namedCurve, modulusLength } = algorithms[algorithm].generate;
  if (type === 'ec')
    return generateKeyPairSync('ec', { namedCurve: namedCurve ?? 'P-256' }).privateKey;
  if (type === 'rsa') {
    return generateKeyPairSync('rsa', {
      modulusLength: modulusLength ?? 2048,
      publicExponent: 65537,
    }).privateKey;
  }
  if (type === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  return generateKeyPairSync(type).privateKey;
}
