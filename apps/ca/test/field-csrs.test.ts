// CSRs as real devices send them, through the door they come in by. Their kinds are tried one by one in libs/pki.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { decodePem, encodePem, parseCertificate } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Answer, type IssuingCa } from './support/issuing-ca.ts';

const fixtures = resolve(import.meta.dirname, '../../../libs/pki/test/fixtures/csr');
let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

async function enroll(csr: string, id?: string): Promise<Answer> {
  const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
  return issuingCa.call('POST', '/v1/enroll', { body: { csr, token: token.body.secret, id } });
}

describe('POST /v1/enroll', () => {
  it.each([
    ['ecdsa-with-null-mbedtls-2.28', 'mbed-1'],
    ['printable-string-ampersand-in-o', 'ps-o-amp'],
    ['no-attributes', 'noattrs-1'],
    ['openssl-req-text', 'txt-1'],
    ['san-empty', 'san-empty'],
    ['er-valset-empty', 'er-valset-empty'],
    ['rsa-pss', 'rsa-pss'],
  ])('issues for %s, with nothing of it but the key and the id', async (name, id) => {
    const csr = await readFile(resolve(fixtures, `${name}.csr`), 'latin1');
    const { status, body } = await enroll(csr);
    expect([status, body.detail]).toEqual([201, undefined]);
    const certificate = parseCertificate(decodePem(body.certificate as string, 'CERTIFICATE'));
    expect(certificate.commonName).toBe(id);
    expect(Buffer.from(certificate.subjectDer).includes('Smith')).toBe(false);
    expect(certificate.sanDns).toEqual([]);
  });

  it('refuses close primes as CSR_KEY_WEAK, two requests in one, and a CN that is no device id', async () => {
    const weak = await readFile(resolve(fixtures, 'rsa-close-primes.csr'), 'latin1');
    const refused = await enroll(weak);
    expect([refused.status, refused.body.code]).toEqual([400, 'CSR_KEY_WEAK']);
    const { pem } = await makeCsr('pump-1');
    expect((await enroll(pem + pem)).body.code).toBe('CSR_MALFORMED');
    const { der } = await makeCsr('pump+1');
    const bad = await enroll(encodePem('CERTIFICATE REQUEST', der));
    expect(bad.body.code).toBe('DEVICE_ID_INVALID');
  });
});
