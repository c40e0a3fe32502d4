// Authority changes that take two administrators: asked by one, allowed by another, and nothing before.
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createIssuingCertificate, parseCsr } from '@keyline/pki';
import { decodePem, encodePem } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  config,
  makeCsr,
  type Answer,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let second: Identity;
let token: string;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  // Before two are asked for: afterwards one alone makes no other.
  const { pem, key } = await makeCsr('anna@works');
  const issued = await issuingCa.call('POST', '/v1/certificates', {
    as: issuingCa.admin,
    body: { profile: 'admin', name: 'anna@works', csr: pem },
  });
  second = { cert: issued.body.certificate as string, key };
  const made = await issuingCa.call('POST', '/v1/tokens', {
    as: issuingCa.admin,
    body: { use: 'api', role: 'admin' },
  });
  token = made.body.secret as string;
  const other = join(issuingCa.folder, 'config');
  await cp(config, other, { recursive: true });
  const file = join(other, 'service.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('secondAdministrator: false', 'secondAdministrator: true'));
  await issuingCa.restart(other);
});
afterAll(() => issuingCa.close());

const as = (who: Identity, method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, { as: who, ...(body === undefined ? {} : { body }) });
const withToken = (method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, {
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body }),
  });
async function requests(): Promise<{ id: string; state: string; requestedBy: string }[]> {
  const { body } = await as(issuingCa.admin, 'GET', '/v1/approvals');
  return body.items as { id: string; state: string; requestedBy: string }[];
}
async function openRequest(): Promise<string> {
  const [open] = (await requests()).filter(({ state }) => state === 'open');
  if (open === undefined) throw new Error('no request is open');
  return open.id;
}
const stateOf = async (id: string): Promise<unknown> =>
  ((await as(issuingCa.admin, 'GET', '/v1/authorities')).body.items as { id: string }[]).find(
    (one) => one.id === id,
  );

describe('a change of authorities', () => {
  it('is recorded and not done when one administrator asks', async () => {
    const added = await as(issuingCa.admin, 'POST', '/v1/authorities', { id: 'issuing-2' });
    const certificate = encodePem(
      'CERTIFICATE',
      await createIssuingCertificate({
        root: {
          certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
          signer: issuingCa.rootSigner,
        },
        csr: parseCsr(added.body.csr as string),
        now: Date.now(),
        validity: 365 * 24 * 3600 * 1000,
      }),
    );
    const asked = await as(issuingCa.admin, 'POST', '/v1/authorities/issuing-2/certificate', {
      certificate,
      root: issuingCa.trust,
    });
    expect([asked.status, asked.body.code]).toEqual([403, 'APPROVAL_NEEDED']);
    expect(await stateOf('issuing-2')).toBeUndefined();
    const id = await openRequest();
    expect(asked.body.detail).toContain(`keyline ca approve ${id}`);
  });

  it('is not approved by whoever asked, nor by a token, nor by anybody who is no administrator', async () => {
    const id = await openRequest();
    const path = `/v1/approvals/${id}/approve`;
    expect((await as(issuingCa.admin, 'POST', path)).body.code).toBe('FORBIDDEN');
    expect((await withToken('POST', path)).body.code).toBe('FORBIDDEN');
    expect((await issuingCa.call('POST', path)).body.code).toBe('UNAUTHENTICATED');
    expect(await stateOf('issuing-2')).toBeUndefined();
  });

  it('is done when another approves, once, and the ledger has both', async () => {
    const id = await openRequest();
    const [first, again] = await Promise.all([
      as(second, 'POST', `/v1/approvals/${id}/approve`),
      as(second, 'POST', `/v1/approvals/${id}/approve`),
    ]);
    const done = [first, again].find(({ status }) => status === 200);
    const late = [first, again].find(({ status }) => status !== 200);
    expect(done?.body.result).toMatchObject({ id: 'issuing-2', state: 'ready' });
    expect(late?.body.code).toBe('APPROVAL_CLOSED');
    expect((await requests())[0]).toMatchObject({
      state: 'approved',
      requestedBy: 'admin:admin@keyline',
      decidedBy: 'admin:anna@works',
    });
  });

  it('is nothing when it is rejected, also by whoever asked', async () => {
    await as(issuingCa.admin, 'POST', '/v1/authorities/issuing-2/activate', {});
    const id = await openRequest();
    const rejected = await as(issuingCa.admin, 'POST', `/v1/approvals/${id}/reject`);
    expect(rejected.body.state).toBe('rejected');
    const late = await as(second, 'POST', `/v1/approvals/${id}/approve`);
    expect([late.status, late.body.code]).toEqual([409, 'APPROVAL_CLOSED']);
    expect(await stateOf('issuing-2')).toMatchObject({ profiles: [] });
  });

  it('that a token asks for is of whoever made the token', async () => {
    await withToken('POST', '/v1/authorities/issuing-2/activate', {});
    const id = await openRequest();
    expect((await requests()).find((one) => one.id === id)?.requestedBy).toBe(
      'admin:admin@keyline',
    );
    expect((await as(issuingCa.admin, 'POST', `/v1/approvals/${id}/approve`)).body.code).toBe(
      'FORBIDDEN',
    );
    await as(second, 'POST', `/v1/approvals/${id}/reject`);
  });

  it('is refused by its own rules when it is approved, and is over then', async () => {
    await as(issuingCa.admin, 'POST', '/v1/authorities/issuing-1/retire');
    const id = await openRequest();
    const refused = await as(second, 'POST', `/v1/approvals/${id}/approve`);
    expect(refused.body.code).toBe('AUTHORITY_STATE_FORBIDS');
    expect((await requests()).every(({ state }) => state !== 'open')).toBe(true);
  });
});

describe('a certificate for an administrator', () => {
  it('takes two, or one could be both; one’s own renewal does not, nor one for an operator', async () => {
    const issue = async (profile: string, name: string) =>
      as(issuingCa.admin, 'POST', '/v1/certificates', {
        profile,
        name,
        csr: (await makeCsr(name)).pem,
      });
    const other = await issue('admin', 'ghost@works');
    expect(other.body.code).toBe('APPROVAL_NEEDED');
    expect((await issue('admin', 'admin@keyline')).status).toBe(201);
    expect((await issue('operator', 'olga@works')).status).toBe(201);
    const id = await openRequest();
    const { body } = await as(second, 'POST', `/v1/approvals/${id}/approve`);
    expect(body.result.certificate).toContain('BEGIN CERTIFICATE');
  });
});

describe('a revocation', () => {
  it('waits for nobody', async () => {
    const { pem } = await makeCsr('st1@line');
    const { body } = await as(issuingCa.admin, 'POST', '/v1/certificates', {
      profile: 'station',
      name: 'st1@line',
      csr: pem,
    });
    const revoked = await as(
      issuingCa.admin,
      'POST',
      `/v1/certificates/${String(body.serial)}/revoke`,
      {},
    );
    expect(revoked.status).toBe(200);
  });
});
