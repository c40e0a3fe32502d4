// OCSP answers that an authority signs ahead of all questions, where it is not there to be asked (RFC 5019 §2.2): an offline root.
import { hash } from 'node:crypto';
import type { SerialHex } from '@keyline/kernel';
import { der, oids, parseCertificate, parsePublicKey, type ParsedCertificate } from '@keyline/x509';
import type { OcspCertId, OcspDigest } from './ocsp-request.ts';
import { createOcspResponder } from './ocsp-responder.ts';
import type { Authority, CertificateStatus } from './ports.ts';

/** What relying parties name an issuer by: SHA-1 by RFC 5019 §2.1.1, SHA-256 by its successor (RFC 9919). */
const digests = ['sha1', 'sha256'] as const satisfies readonly OcspDigest[];

/**
 * OCSPResponses, DER, signed by the authority itself: for each certificate one for a question by SHA-1 and one by SHA-256.
 * @param options.authority whose certificates they are
 * @param options.thisUpdate epoch milliseconds, like nextUpdate; whole seconds are written
 */
export async function createPresignedAnswers(options: {
  readonly authority: Pick<Authority, 'certificateDer' | 'signer'>;
  readonly certificates: readonly {
    readonly serial: SerialHex;
    readonly status: CertificateStatus;
  }[];
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}): Promise<Uint8Array[]> {
  const { authority, certificates, thisUpdate, nextUpdate } = options;
  const issuer = parseCertificate(authority.certificateDer);
  const responder = createOcspResponder({ authority, responder: authority });
  const answers: Uint8Array[] = [];
  for (const { serial, status } of certificates) {
    for (const digest of digests) {
      const answer = await responder.respond({
        responses: [{ certId: createCertId(issuer, serial, digest), status }],
        producedAt: thisUpdate,
        thisUpdate,
        nextUpdate,
      });
      answers.push(answer.slice());
    }
  }
  return answers;
}

/** The CertID that a question about the certificate names it by (RFC 6960 §4.1.1). */
export function createCertId(
  issuer: Pick<ParsedCertificate, 'subjectDer' | 'spkiDer'>,
  serial: SerialHex,
  digest: OcspDigest,
): OcspCertId {
  const issuerNameHash = hash(digest, issuer.subjectDer, 'hex');
  const issuerKeyHash = hash(digest, parsePublicKey(issuer.spkiDer).publicKey, 'hex');
  const certIdDer = der.sequence(
    der.sequence(der.oid(oids[digest]), der.nullValue()),
    der.octetString(Buffer.from(issuerNameHash, 'hex')),
    der.octetString(Buffer.from(issuerKeyHash, 'hex')),
    der.unsignedInteger(Buffer.from(serial, 'hex')),
  );
  return {
    hashAlgorithm: digest,
    issuerNameHash,
    issuerKeyHash,
    serial,
    certIdDer: certIdDer.slice(),
  };
}
