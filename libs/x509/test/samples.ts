// Signers of any algorithm, and one certificate with everything in it.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  algorithms,
  der,
  encodeAlternativeNames,
  encodeExtension,
  encodeKeyUsage,
  encodeName,
  oids,
  signWith,
  type KeyAlgorithm,
  type Signer,
} from '../src/index.ts';

export function createTestSigner(algorithm: KeyAlgorithm): Signer & { privateKey: KeyObject } {
  const { type, ...options } = algorithms[algorithm].generate;
  const { privateKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
  return {
    algorithm,
    privateKey,
    spkiDer: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }),
    sign: (toBeSigned) => signWith(privateKey, algorithm, toBeSigned),
  };
}

/** A self-signed certificate, DER. */
export async function sampleCertificate(): Promise<Uint8Array> {
  const signer = createTestSigner('ec-p256');
  const { identifierDer } = algorithms['ec-p256'].signature;
  const name = encodeName([
    { attribute: 'O', value: 'Example Plant' },
    { attribute: 'CN', value: 'sample' },
  ]);
  const extensions = der.sequence(
    encodeExtension(encodeKeyUsage(['digitalSignature'])),
    encodeExtension({
      oid: oids.subjectAltName,
      critical: false,
      valueDer: encodeAlternativeNames([{ dns: 'a.example.com' }, { ip: '2001:db8::1' }]),
    }),
  );
  const tbs = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(0x4711),
    identifierDer,
    name,
    der.sequence(der.time(Date.UTC(2026, 0, 1)), der.time(Date.UTC(2051, 0, 1))),
    name,
    signer.spkiDer,
    der.explicit(3, extensions),
  );
  return der.sequence(tbs, identifierDer, der.bitString(await signer.sign(tbs)));
}
