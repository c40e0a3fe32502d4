// What this room writes, as two other implementations read and verify it: PKI.js on the WebCrypto of @peculiar/webcrypto.
import { generateKeyPairSync } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createCrl,
  createIssuingCertificate,
  createOcspResponder,
  createRootCertificate,
  parseCsr,
  parseOcspRequest,
} from '../../pki/src/index.ts';
import { createCsr, der, parseCertificate, signWith, type Signer } from '../src/index.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 25);

function createSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    algorithm: 'ec-p256',
    spkiDer: publicKey.export({ format: 'der', type: 'spki' }),
    sign: async (bytes) => signWith(privateKey, 'ec-p256', bytes),
  };
}

const asn1Of = (bytes: Uint8Array): asn1js.AsnType => {
  const { offset, result } = asn1js.fromBER(new Uint8Array(bytes));
  expect(offset).toBe(bytes.length);
  return result;
};
const certificateOf = (bytes: Uint8Array) => new pkijs.Certificate({ schema: asn1Of(bytes) });

let root: { certificateDer: Uint8Array; signer: Signer };
let issuing: { certificateDer: Uint8Array; signer: Signer };

beforeAll(async () => {
  const crypto = new Crypto();
  // Its types and those of @peculiar/webcrypto describe one interface in two ways.
  pkijs.setEngine('peculiar', new pkijs.CryptoEngine({ name: 'peculiar', crypto }) as never);
  const rootSigner = createSigner();
  root = {
    signer: rootSigner,
    certificateDer: await createRootCertificate({
      signer: rootSigner,
      commonName: 'Root',
      now,
      validity: 3650 * day,
    }),
  };
  const signer = createSigner();
  const csr = parseCsr(await createCsr({ signer, commonName: 'Issuing' }));
  issuing = {
    signer,
    certificateDer: await createIssuingCertificate({ root, csr, now, validity: 1000 * day }),
  };
});

describe('PKI.js', () => {
  it('verifies the chain of an issuing certificate', async () => {
    const engine = new pkijs.CertificateChainValidationEngine({
      trustedCerts: [certificateOf(root.certificateDer)],
      certs: [certificateOf(issuing.certificateDer)],
      checkDate: new Date(now),
    });
    const { result, resultMessage } = await engine.verify();
    expect([result, resultMessage]).toEqual([true, '']);
  });

  it('verifies a certification request, and refuses one that was changed', async () => {
    const signer = createSigner();
    const csrDer = await createCsr({ signer, commonName: 'd1', dnsNames: ['d1.example'] });
    const request = new pkijs.CertificationRequest({ schema: asn1Of(csrDer) });
    expect(await request.verify()).toBe(true);
    const changed = Uint8Array.from(csrDer);
    const name = Buffer.from(changed).indexOf('d1');
    changed[name] = 0x65;
    const forged = new pkijs.CertificationRequest({ schema: asn1Of(changed) });
    expect(await forged.verify()).toBe(false);
  });

  it('verifies a CRL by its issuer and finds what is revoked', async () => {
    const crlDer = await createCrl({
      authority: issuing,
      number: 3,
      thisUpdate: now,
      nextUpdate: now + 7 * day,
      entries: [{ serial: '0a0b' as never, revokedAt: now - day, reason: 'keyCompromise' }],
      scope: 'user',
      distributionPoint: 'http://ca.example/crl/issuing-1.crl',
    });
    const crl = new pkijs.CertificateRevocationList({ schema: asn1Of(crlDer) });
    expect(await crl.verify({ issuerCertificate: certificateOf(issuing.certificateDer) })).toBe(
      true,
    );
    expect(
      crl.revokedCertificates?.map((one) =>
        Buffer.from(one.userCertificate.valueBlock.valueHexView).toString('hex'),
      ),
    ).toEqual(['0a0b']);
  });

  it('reads an OCSP answer: who signed it, for which serial, with which status', async () => {
    // The authority answers for itself here; the delegated responder is libs/pki's matter.
    const responder = createOcspResponder({ authority: issuing, responder: issuing });
    const asked = certificateOf(issuing.certificateDer);
    const request = new pkijs.OCSPRequest();
    await request.createForCertificate(asked, {
      hashAlgorithm: 'SHA-256',
      issuerCertificate: asked,
    });
    const { certIds } = parseOcspRequest(new Uint8Array(request.toSchema(true).toBER()));
    const [certId] = certIds;
    expect(certId?.serial).toBe(parseCertificate(issuing.certificateDer).serial);
    expect(responder.matches(certId!)).toBe(true);
    const answerDer = await responder.respond({
      responses: [{ certId: certId!, status: { status: 'good' } }],
      producedAt: now,
      thisUpdate: now,
      nextUpdate: now + day,
    });
    const answer = new pkijs.OCSPResponse({ schema: asn1Of(answerDer) });
    const status = await answer.getCertificateStatus(asked, asked);
    expect(status).toMatchObject({ isForCertificate: true, status: 0 });
  });

  it('refuses what is signed with another key', async () => {
    const other = createSigner();
    const certificate = parseCertificate(issuing.certificateDer);
    const signature = await other.sign(certificate.tbsDer);
    const forgedDer = der.sequence(
      certificate.tbsDer,
      der.sequence(der.oid(certificate.signatureAlgorithmOid)),
      der.bitString(signature),
    );
    const engine = new pkijs.CertificateChainValidationEngine({
      trustedCerts: [certificateOf(root.certificateDer)],
      certs: [certificateOf(forgedDer)],
      checkDate: new Date(now),
    });
    expect((await engine.verify()).result).toBe(false);
  });
});
