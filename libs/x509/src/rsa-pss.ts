// RSASSA-PSS signatures (RFC 4055 §3, RFC 8017 §8.1) over ordinary RSA keys: what a request may be signed with. Keyline signs nothing so.
import { constants, verify } from 'node:crypto';
import { KeylineError } from '@keyline/kernel';
import type { SignatureAlgorithm, SignedParts } from './algorithms.ts';
import { bufferOf } from './bytes.ts';
import type { DerReader } from './der-reader.ts';
import { contextConstructedTag, tags } from './der-writer.ts';
import { oids } from './oids.ts';

export interface PssParameters {
  readonly digest: NonNullable<SignatureAlgorithm['digest']>;
  readonly saltBytes: number;
}

const digests = new Map<string, PssParameters['digest']>([
  [oids.sha256, 'sha256'],
  [oids.sha384, 'sha384'],
  [oids.sha512, 'sha512'],
]);

/**
 * @param algorithm a reader inside the AlgorithmIdentifier, after its OID
 * @throws {KeylineError} DER_MALFORMED; CSR_ALGORITHM_NOT_ALLOWED for SHA-1, which is what absent parameters mean, and for two digests
 */
export function parsePssParameters(algorithm: DerReader): PssParameters {
  const parameters = algorithm.enterOptional(tags.sequence);
  algorithm.finish();
  const hashIdentifier = parameters?.enterOptional(contextConstructedTag(0))?.enter();
  const digest = hashIdentifier && digests.get(hashIdentifier.readOid());
  const mask = parameters?.enterOptional(contextConstructedTag(1))?.enter();
  const maskDigest =
    mask?.readOid() === oids.mgf1 ? digests.get(mask.enter().readOid()) : undefined;
  const salt = parameters?.enterOptional(contextConstructedTag(2));
  // Absent: the default of RFC 4055 §3.1.
  const saltBytes = salt === undefined ? 20 : salt.readSmallInteger();
  if (digest === undefined || maskDigest !== digest) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      'The CSR is signed with RSASSA-PSS over a digest that is not accepted. Use SHA-256, SHA-384 or SHA-512, the same for the hash and for MGF1, or sign with RSA PKCS#1 v1.5 (sha256WithRSAEncryption).',
    );
  }
  return { digest, saltBytes };
}

/** @throws when node:crypto can't import the key */
export function verifyPss(
  { digest, saltBytes }: PssParameters,
  { tbsDer, signature, spkiDer }: Omit<SignedParts, 'signatureAlgorithmOid'>,
): boolean {
  return verify(
    digest,
    tbsDer,
    {
      key: bufferOf(spkiDer),
      format: 'der',
      type: 'spki',
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: saltBytes,
    },
    signature,
  );
}
