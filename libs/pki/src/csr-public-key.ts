// The public key of a CSR in the one form Keyline writes: some stacks compress EC points or leave out RSA's NULL, and one key under two
// spellings would pass for two.
import { ECDH } from 'node:crypto';
import { KeylineError } from '@keyline/kernel';
import { algorithms, der, equalBytes, readSequence } from '@keyline/x509';

const { tags } = der;
const rsaWithNull = algorithms['rsa-2048'].spkiAlgorithmDer;
/** rsaEncryption without parameters, against RFC 3279 §2.3.1. */
const rsaWithoutNull = der.sequence(rsaWithNull.subarray(2, -2));
const curves = [
  { ...algorithms['ec-p256'], openssl: 'prime256v1' },
  { ...algorithms['ec-p384'], openssl: 'secp384r1' },
];

/**
 * @param spkiDer SubjectPublicKeyInfo as it came
 * @returns the same key with RSA's NULL, or with its EC point uncompressed (RFC 5480 §2.2); what is neither comes back as it is
 * @throws {KeylineError} DER_MALFORMED, CSR_KEY_WEAK for a point that is not on its curve
 */
export function normalizePublicKey(spkiDer: Uint8Array): Uint8Array {
  const spki = readSequence(spkiDer);
  const algorithmDer = spki.whole(spki.read(tags.sequence));
  const key = spki.readBitString();
  spki.finish();
  if (equalBytes(algorithmDer, rsaWithoutNull)) {
    return der.sequence(rsaWithNull, der.bitString(key));
  }
  if (key[0] !== 2 && key[0] !== 3) return spkiDer;
  const curve = curves.find((one) => equalBytes(one.spkiAlgorithmDer, algorithmDer));
  // 1 octet and one coordinate instead of 1 octet and two.
  if (curve?.publicKeyBytes !== key.length * 2 - 1) return spkiDer;
  try {
    const point = ECDH.convertKey(key, curve.openssl, undefined, undefined, 'uncompressed');
    return der.sequence(algorithmDer, der.bitString(Buffer.from(point as Buffer)));
  } catch (error) {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      `The compressed public key in the CSR is no point of ${curve.name}'s curve.`,
      { cause: error },
    );
  }
}
