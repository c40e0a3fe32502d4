// What keyline-root crl makes, by the test's root: a CRL and the OCSP answers of the same run, PEM.
import type { SerialHex } from '@keyline/kernel';
import { createCrl, createPresignedAnswers, type CertificateStatus } from '@keyline/pki';
import { decodePem, encodePem } from '@keyline/x509';
import type { IssuingCa } from './issuing-ca.ts';

/** The body of a call that brings both; without certificates a CRL alone. */
export async function signRootLists(
  issuingCa: Pick<IssuingCa, 'trust' | 'rootSigner'>,
  given: {
    readonly number: number;
    readonly thisUpdate: number;
    readonly nextUpdate: number;
    readonly certificates: readonly { readonly serial: SerialHex; readonly revoked: boolean }[];
  },
): Promise<{ crl: string; ocsp?: string }> {
  const { certificates, number, ...times } = given;
  const authority = {
    certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
    signer: issuingCa.rootSigner,
  };
  const revocation = { revokedAt: times.thisUpdate, reason: 'cACompromise' } as const;
  const crl = await createCrl({
    authority,
    number,
    ...times,
    entries: certificates.flatMap(({ serial, revoked }) =>
      revoked ? [{ serial, ...revocation }] : [],
    ),
    scope: 'ca',
  });
  const answers = await createPresignedAnswers({
    authority,
    certificates: certificates.map(({ serial, revoked }) => ({
      serial,
      status: (revoked
        ? { status: 'revoked', ...revocation }
        : { status: 'good' }) satisfies CertificateStatus,
    })),
    ...times,
  });
  const pem = { crl: encodePem('X509 CRL', crl) };
  if (answers.length === 0) return pem;
  return { ...pem, ocsp: answers.map((one) => encodePem('OCSP RESPONSE', one)).join('') };
}
