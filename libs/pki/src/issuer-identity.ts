// What an authority's certificate contributes to everything the authority signs: name, key identifier, end.
import { KeylineError } from '@keyline/kernel';
import { equalBytes, parseCertificate, type ParsedCertificate } from '@keyline/x509';
import type { Authority } from './ports.ts';
import { subjectKeyIdOf } from './subject-key-id.ts';

export interface IssuerIdentity {
  readonly certificate: ParsedCertificate;
  readonly nameDer: Uint8Array;
  readonly keyId: Uint8Array;
}

/**
 * @throws {KeylineError} PATH_INVALID when the certificate is no authority's, or the signer is another key's
 */
export function readIssuer(
  authority: Pick<Authority, 'certificateDer' | 'signer'>,
): IssuerIdentity {
  const certificate = parseCertificate(authority.certificateDer);
  const name = certificate.commonName ?? 'without a CN';
  if (!certificate.isCa) {
    throw new KeylineError(
      'PATH_INVALID',
      `The certificate "${name}" is not an authority's: basicConstraints does not say cA (RFC 5280 §4.2.1.9).`,
    );
  }
  if (!equalBytes(certificate.spkiDer, authority.signer.spkiDer)) {
    throw new KeylineError(
      'PATH_INVALID',
      `The key given for the authority "${name}" is not the key of its certificate. Check that key and certificate files belong together.`,
    );
  }
  return {
    certificate,
    nameDer: certificate.subjectDer,
    // The identifier the certificate states, whoever computed it and how (RFC 5280 §4.2.1.1).
    keyId: certificate.subjectKeyId ?? subjectKeyIdOf(certificate.spkiDer),
  };
}
