// Just enough of an OCSP answer to see that it says what it should.
import { readSequence } from '@keyline/x509';

const tags = { good: 0x80, revoked: 0xa1, unknown: 0x82 } as const;

/** certStatus of the first response in a successful OCSPResponse (RFC 6960 §4.2.1). @throws {KeylineError} DER_MALFORMED */
export function readCertStatus(responseDer: Uint8Array): 'good' | 'revoked' | 'unknown' {
  const response = readSequence(responseDer);
  if (response.readSmallInteger(0x0a) !== 0) throw new Error('not a successful OCSP answer');
  const bytes = response.enter(0xa0).enter();
  bytes.readOid();
  const basic = readSequence(bytes.readOctetString());
  const data = basic.enter();
  data.read(); // responderID
  data.read(); // producedAt
  const single = data.enter().enter();
  single.read(); // CertID
  const { tag } = single.read();
  if (tag === tags.good) return 'good';
  return tag === tags.revoked ? 'revoked' : 'unknown';
}
