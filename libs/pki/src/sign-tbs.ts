// To-be-signed bytes, an algorithm and a signature become a signed structure (certificate, CRL, basic OCSP response).
import { algorithms, der, type Signer } from '@keyline/x509';

/** `SEQUENCE { tbs, signatureAlgorithm, signature, ...rest }`. */
export async function signTbs(
  signer: Signer,
  tbsDer: Uint8Array,
  ...rest: readonly Uint8Array[]
): Promise<Uint8Array<ArrayBuffer>> {
  const signed = signer.sign(tbsDer);
  const signature = signed instanceof Uint8Array ? signed : await signed;
  const { identifierDer } = algorithms[signer.algorithm].signature;
  return der.sequence(tbsDer, identifierDer, der.bitString(signature), ...rest);
}
