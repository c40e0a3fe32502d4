// The question a relying party asks an OCSP responder, and as much of the answer as the doctor needs (RFC 6960 §4.1, §4.2).
// The signature is not judged here: brokers and tests do that.
import { createCertId } from '@keyline/pki';
import { der, readSequence, type ParsedCertificate } from '@keyline/x509';

/** An OCSPRequest for one certificate, without a nonce; SHA-256 CertID. */
export function encodeOcspQuestion(
  certificate: Pick<ParsedCertificate, 'serial'>,
  issuer: Pick<ParsedCertificate, 'subjectDer' | 'spkiDer'>,
): Uint8Array {
  const { certIdDer } = createCertId(issuer, certificate.serial, 'sha256');
  return der.sequence(der.sequence(der.sequence(der.sequence(certIdDer))));
}

const certStatusTags: ReadonlyMap<number, string> = new Map([
  [0x80, 'good'],
  [0xa1, 'revoked'],
  [0x82, 'unknown'],
]);

const responseStatuses = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  'status 4',
  'sigRequired',
  'unauthorized',
];

/**
 * `good`, `revoked`, `unknown`, or the responder's error by its RFC name.
 * @throws {KeylineError} DER_MALFORMED
 */
export function parseOcspStatus(responseDer: Uint8Array): string {
  const response = readSequence(responseDer);
  const status = response.readSmallInteger(0x0a);
  if (status !== 0) return responseStatuses[status] ?? `status ${String(status)}`;
  const bytes = response.enter(der.contextConstructedTag(0)).enter();
  bytes.readOid();
  const data = readSequence(bytes.readOctetString()).enter();
  data.readOptional(der.contextConstructedTag(0));
  data.read(); // responderID
  data.readTime(); // producedAt
  const single = data.enter().enter();
  single.read(); // certID
  return certStatusTags.get(single.read().tag) ?? 'unknown';
}
