// OCSP requests as relying parties send them: SHA-1 CertIDs (OpenSSL's default), one certificate each, with or without a nonce.
import { hash, randomBytes } from 'node:crypto';
import { der, encodeExtension, oids, parseCertificate, parsePublicKey } from '@keyline/x509';

const sha1 = der.sequence(der.oid(oids.sha1), Uint8Array.of(5, 0));

export function createOcspRequests(issuingDer: Uint8Array): {
  readonly plain: (serialHex: string) => Buffer;
  readonly withNonce: (serialHex: string) => Buffer;
} {
  const issuer = parseCertificate(issuingDer);
  const nameHash = der.octetString(hash('sha1', issuer.subjectDer, 'buffer'));
  const keyHash = der.octetString(hash('sha1', parsePublicKey(issuer.spkiDer).publicKey, 'buffer'));
  const encode = (serialHex: string, extensions: Uint8Array): Buffer => {
    const certId = der.sequence(
      sha1,
      nameHash,
      keyHash,
      der.unsignedInteger(Buffer.from(serialHex, 'hex')),
    );
    const list = der.sequence(der.sequence(certId));
    return Buffer.from(der.sequence(der.sequence(list, extensions)));
  };
  return {
    plain: (serialHex) => encode(serialHex, new Uint8Array()),
    withNonce: (serialHex) => {
      const valueDer = der.octetString(randomBytes(16));
      const nonce = encodeExtension({ oid: oids.ocspNonce, critical: false, valueDer });
      return encode(serialHex, der.explicit(2, der.sequence(nonce)));
    },
  };
}
