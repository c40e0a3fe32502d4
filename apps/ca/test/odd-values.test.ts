// Values that have the right form and mean nothing, or mean something else than whoever sent them thought.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

async function issue(given: { name: string; profile?: string; dnsNames?: string[] }) {
  const { pem: csr } = await makeCsr('x');
  return issuingCa.call('POST', '/v1/certificates', {
    ...{ as: issuingCa.admin, body: { profile: 'service-client', csr, ...given } },
  });
}

describe('a search by time', () => {
  it('for a leap second, which no clock here has, is refused and not answered with nothing', async () => {
    const search = (time: string) =>
      issuingCa.call('GET', `/v1/devices?expiresBefore=${encodeURIComponent(time)}`, {
        as: issuingCa.admin,
      });
    const leap = await search('2016-12-31T23:59:60Z');
    expect([leap.status, leap.body.code]).toEqual([400, 'REQUEST_INVALID']);
    expect((await search('2016-12-31T23:59:59+01:00')).status).toBe(200);
  });
});

describe('a DNS name in a certificate', () => {
  it.each(['127.0.0.1', '10.0.0', '7', 'a.b.3'])(
    'is none when it is an address: %s (RFC 9525 §6.2)',
    async (name) => {
      const { status, body } = await issue({
        ...{ name: 'b@works', profile: 'broker-server', dnsNames: [name] },
      });
      expect([status, body.code]).toEqual([400, 'PROFILE_VIOLATION']);
    },
  );

  it.each(['3.example.org', 'localhost', '1a.2b'])('may have digits: %s', async (name) => {
    const { status } = await issue({
      ...{ name: `${name}@works`, profile: 'broker-server', dnsNames: [name] },
    });
    expect(status).toBe(201);
  });
});

describe("the service's own names", () => {
  it.each(['keyline@service', 'Keyline@Service', 'API@KEYLINE', 'OCSP.issuing-1@keyline'])(
    "are nobody else's, in small letters and capitals: %s (RFC 5280 §7.1)",
    async (name) => {
      const { status, body } = await issue({ name });
      expect([status, body.code]).toEqual([400, 'PROFILE_VIOLATION']);
    },
  );
});
