import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf } from '../src/certificate-form.ts';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

const pem = 'application/pem-certificate-chain';
const der = 'application/pkix-cert';
const json = 'application/json';

describe('the form of a certificate that Accept asks for (RFC 9110 §12.5.1)', () => {
  it.each([
    [undefined, json],
    ['', json],
    ['*/*', json],
    ['text/html', json],
    [pem, pem],
    [der, der],
    [`${pem}, */*`, pem],
    [`*/*;q=0.8, ${pem}`, pem],
    [`${json}, ${pem};q=0.5`, json],
    [`${json};q=0.5, ${pem}`, pem],
    [`${der};q=0.9, ${pem};q=0.95`, pem],
    [pem.toUpperCase(), pem],
    [`${pem};q=0`, json],
    [`${pem};q=nonsense`, json],
    [`${pem};q=2`, json],
    [`x${pem}`, json],
    [`${'a,'.repeat(8000)}${pem}`, pem],
    [';;,,;q=,', json],
  ])('%j is %s', (accept, form) => {
    expect(formOf(accept)).toBe(form);
  });
});

describe('a certificate with its chain (RFC 8555 §9.1)', () => {
  let issuingCa: IssuingCa;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
  });
  afterAll(() => issuingCa.close());

  it('comes from enrolling, from asking for it by its serial, and from issuing, the leaf first and each certified by the next', async () => {
    const token = await issuingCa.call('POST', '/v1/tokens', { body: {}, as: issuingCa.admin });
    const device = await makeCsr('chained');
    const operator = await makeCsr('line-op@plant');
    const headers = { accept: pem };
    const as = issuingCa.admin;
    const enrolled = await issuingCa.call('POST', '/v1/enroll', {
      ...{ body: { csr: device.pem, token: token.body.secret }, headers },
    });
    const serial = chainOf(enrolled.bytes)[0]?.serialNumber.toLowerCase() ?? '';
    const answers = [
      enrolled,
      await issuingCa.call('GET', `/v1/certificates/${serial}`, { headers, as }),
      await issuingCa.call('POST', '/v1/certificates', {
        ...{ body: { profile: 'operator', name: 'line-op@plant', csr: operator.pem }, headers, as },
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 201]);
    for (const answer of answers) {
      expect(answer.headers['content-type']).toBe(pem);
      const [leaf, issuer, ...more] = chainOf(answer.bytes);
      expect(more).toEqual([]);
      expect(leaf?.ca).toBe(false);
      expect(issuer?.ca).toBe(true);
      expect(leaf?.verify(issuer?.publicKey as never)).toBe(true);
    }
    expect(answers[1]?.bytes.equals(enrolled.bytes)).toBe(true);
  });
});

function chainOf(bytes: Buffer): X509Certificate[] {
  const blocks = bytes.toString('utf8').match(/-----BEGIN [^]*?-----END CERTIFICATE-----\n/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
