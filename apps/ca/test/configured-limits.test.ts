// Limits of ca-config/service.yaml that bound what one call brings or gets.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  changedConfig,
  makeCsr,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  await issuingCa.restart(
    await changedConfig(issuingCa, [
      ['csrBytes: 16384', 'csrBytes: 1024'],
      ['pageSize: 100', 'pageSize: 2'],
      ['maxPageSize: 1000', 'maxPageSize: 3'],
    ]),
  );
});
afterAll(() => issuingCa.close());

const call = (method: string, path: string, body?: unknown, as: Identity = issuingCa.admin) =>
  issuingCa.call(method, path, { as, body });

describe('limits.csrBytes', () => {
  it('bounds a CSR at every way in', async () => {
    const token = (await call('POST', '/v1/tokens', { maxUses: 5 })).body.secret as string;
    const { pem, key } = await makeCsr('small');
    const small = await call('POST', '/v1/enroll', { csr: pem, token });
    expect(small.status).toBe(201);
    const device = { cert: small.body.certificate as string, key };
    await call('POST', '/v1/batches', { id: 'b', quota: 5 });
    // An RSA key of 4096 bits: 1.6 KB of PEM.
    const { pem: csr } = await makeCsr('large', 'rsa-4096');
    const ways = {
      enroll: await call('POST', '/v1/enroll', { csr, token }),
      renew: await call('POST', '/v1/renew', { csr }, device),
      sign: await call('POST', '/v1/batches/b/sign', { id: 'large', csr }),
      issue: await call('POST', '/v1/certificates', {
        ...{ profile: 'service-client', name: 'large@works', csr },
      }),
    };
    for (const [way, { status, body }] of Object.entries(ways)) {
      expect([status, body.code], way).toEqual([413, 'CSR_TOO_LARGE']);
    }
  });
});

describe('limits.pageSize and limits.maxPageSize', () => {
  it('are what a page holds by default and at most, and the rest follows', async () => {
    for (let i = 0; i < 5; i++)
      await call('POST', '/v1/batches', { id: `p${String(i)}`, quota: 1 });
    for (let i = 0; i < 5; i++) await call('POST', '/v1/tokens', {});
    for (const path of ['/v1/batches', '/v1/tokens']) {
      expect((await call('GET', path)).body.items, path).toHaveLength(2);
      const page = await call('GET', `${path}?limit=1000`);
      expect(page.body.items, path).toHaveLength(3);
      const next = await call(
        'GET',
        `${path}?limit=1000&cursor=${encodeURIComponent(page.body.nextCursor as string)}`,
      );
      expect(next.body.items.length, path).toBeGreaterThan(0);
    }
    expect((await call('GET', '/v1/devices')).body.items).toHaveLength(1);
  });
});
