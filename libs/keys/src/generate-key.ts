// Key pairs by the names of the algorithm table.
import { generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { algorithms, type KeyAlgorithm } from '@keyline/x509';

const generatePair = promisify(generateKeyPair);

/** The same beside everything else, for a process that serves others meanwhile. */
export async function generateKeyAside(algorithm: KeyAlgorithm): Promise<KeyObject> {
  const { type, modulusLength } = algorithms[algorithm].generate;
  if (type !== 'rsa') return generateKey(algorithm);
  const options = { modulusLength: modulusLength ?? 2048, publicExponent: 65537 };
  return (await generatePair('rsa', options)).privateKey;
}

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
