// Certification requests put together from any parts, right or wrong, with a signature over whatever they hold.
import { sign } from 'node:crypto';
import { algorithms, der, encodeName } from '@keyline/x509';
import { createTestSigner } from './hierarchy.ts';

type TestSigner = ReturnType<typeof createTestSigner>;
export const madeSigner = createTestSigner('ec-p256');

/** A CSR from parts, signed rightly over whatever it holds. */
export function assembleCsr(
  parts: {
    version?: Uint8Array;
    subject?: Uint8Array;
    spki?: Uint8Array;
    attributes?: Uint8Array | undefined;
    signatureAlgorithm?: Uint8Array;
    infoTail?: Uint8Array;
    tail?: Uint8Array;
    /** Of the signature; for another kind of key give `signatureAlgorithm` too. */
    signer?: TestSigner;
  } = {},
): Uint8Array {
  const info = der.sequence(
    parts.version ?? der.integer(0),
    parts.subject ?? encodeName([{ attribute: 'CN', value: 'pump-1' }]),
    parts.spki ?? (parts.signer ?? madeSigner).spkiDer,
    ...('attributes' in parts ? (parts.attributes ? [parts.attributes] : []) : [der.explicit(0)]),
    parts.infoTail ?? new Uint8Array(),
  );
  return der.sequence(
    info,
    parts.signatureAlgorithm ?? algorithms['ec-p256'].signature.identifierDer,
    der.bitString(signatureOver(info, parts.signer ?? madeSigner)),
    parts.tail ?? new Uint8Array(),
  );
}

function signatureOver(info: Uint8Array, signer: TestSigner): Uint8Array {
  const digest = algorithms[signer.algorithm].signature.digest === null ? null : 'sha256';
  return sign(digest, info, signer.privateKey);
}

export const attribute = (type: string, ...values: Uint8Array[]): Uint8Array =>
  der.sequence(der.oid(type), der.element(der.tags.set, ...values));
