// Several issuing authorities: a second one is added, takes over a profile, and the first goes on answering for its leaves.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '@keyline/config';
import { createSigner, generateKey } from '@keyline/keys';
import {
  createCrossCertificate,
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  encodeCertificateId,
  parseCsr,
} from '@keyline/pki';
import { decodePem, encodePem, parseCertificate, parseCrl } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAdmin } from '../src/commands/install.ts';
import {
  buildIssuingCa,
  config,
  makeCsr,
  type Answer,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let firstRoot: string;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  firstRoot = issuingCa.trust;
});
afterAll(() => issuingCa.close());

async function enrollDevice(id: string): Promise<Answer> {
  const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
  const { pem } = await makeCsr(id);
  return issuingCa.call('POST', '/v1/enroll', { body: { csr: pem, token: token.body.secret } });
}

const year = 365 * 24 * 3600 * 1000;

/** A root of its own signs the CSR. */
async function signUnderNewRoot(csrPem: string): Promise<{ certificate: string; root: string }> {
  const signer = createSigner(generateKey('ec-p384'));
  const now = Date.now();
  const rootDer = await createRootCertificate({
    signer,
    commonName: 'Second Root',
    now,
    validity: 10 * year,
  });
  const certificateDer = await createIssuingCertificate({
    root: { certificateDer: rootDer, signer },
    csr: parseCsr(csrPem),
    now,
    validity: 5 * year,
  });
  return {
    certificate: encodePem('CERTIFICATE', certificateDer),
    root: encodePem('CERTIFICATE', rootDer),
  };
}

describe('a second issuing authority', () => {
  let files: { certificate: string; root: string };

  it('is added with a new key and a CSR, and issues nothing yet', async () => {
    await enrollDevice('old-1');
    const added = await issuingCa.call('POST', '/v1/authorities', {
      as: issuingCa.admin,
      body: { id: 'issuing-2', algorithm: 'ec-p384', commonName: 'Second Issuing' },
    });
    expect(added.status).toBe(201);
    files = await signUnderNewRoot(added.body.csr as string);
    const list = await issuingCa.call('GET', '/v1/authorities', { as: issuingCa.admin });
    expect(list.body.pending).toEqual([
      { id: 'issuing-2', csr: added.body.csr, createdAt: added.body.createdAt },
    ]);
    const early = await issuingCa.call('POST', '/v1/authorities/issuing-2/activate', {
      as: issuingCa.admin,
      body: {},
    });
    expect(early.body.code).toBe('AUTHORITY_STATE_FORBIDS');
    const twice = await issuingCa.call('POST', '/v1/authorities', {
      as: issuingCa.admin,
      body: { id: 'issuing-2' },
    });
    expect([twice.status, twice.body.code]).toEqual([409, 'AUTHORITY_EXISTS']);
  });

  it('takes only a certificate for its own key, good under the root given with it', async () => {
    const foreign = await signUnderNewRoot((await makeCsr('someone')).pem);
    const wrongKey = await issuingCa.call('POST', '/v1/authorities/issuing-2/certificate', {
      as: issuingCa.admin,
      body: foreign,
    });
    expect([wrongKey.status, wrongKey.body.code]).toEqual([400, 'PATH_INVALID']);
    // Of the root, for the right key, and no authority's: on record it would keep the service from starting again.
    const noAuthority = await createIssuer(
      {
        id: 'test-root',
        certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
        signer: issuingCa.rootSigner,
        urls: {
          crl: 'http://127.0.0.1/r.crl',
          ocsp: 'http://127.0.0.1/ocsp',
          caIssuers: 'http://127.0.0.1/r.cer',
        },
      },
      (await loadConfig(config)).profiles,
    );
    const list = await issuingCa.call('GET', '/v1/authorities', { as: issuingCa.admin });
    const { spkiDer, algorithm } = parseCsr(list.body.pending[0].csr as string);
    const leaf = await noAuthority.issue({
      profile: 'operator',
      id: 'nobody@works',
      spkiDer,
      algorithm,
      now: Date.now(),
    });
    const wrongKind = await issuingCa.call('POST', '/v1/authorities/issuing-2/certificate', {
      as: issuingCa.admin,
      body: { certificate: encodePem('CERTIFICATE', leaf.der), root: issuingCa.trust },
    });
    expect(wrongKind.body.code).toBe('PATH_INVALID');
    const wrongRoot = await issuingCa.call('POST', '/v1/authorities/issuing-2/certificate', {
      as: issuingCa.admin,
      body: { ...files, root: foreign.root },
    });
    expect(wrongRoot.body.code).toBe('PATH_INVALID');
    const installed = await issuingCa.call('POST', '/v1/authorities/issuing-2/certificate', {
      as: issuingCa.admin,
      body: files,
    });
    expect(installed.body).toMatchObject({ id: 'issuing-2', state: 'ready', profiles: [] });
  });

  it('joins the trust bundle with its root, and has its own CRL and AIA', async () => {
    const bundle = await issuingCa.plain('GET', '/v1/trust-bundle');
    expect(bundle.text).toContain(files.root.trim());
    expect(bundle.text).toContain(issuingCa.trust.trim());
    const crl = await issuingCa.plain('GET', '/crl/issuing-2.crl');
    expect(parseCrl(crl.bytes).entries).toHaveLength(0);
    const aia = await issuingCa.plain('GET', '/aia/issuing-2.cer');
    expect(encodePem('CERTIFICATE', aia.bytes)).toBe(files.certificate);
  });

  it('issues the profile it is activated for, the first one the others; both are accepted', async () => {
    await issuingCa.call('POST', '/v1/authorities/issuing-2/activate', {
      as: issuingCa.admin,
      body: { profiles: ['device-client'] },
    });
    const { body } = await enrollDevice('new-1');
    const leaf = parseCertificate(decodePem(body.certificate as string, 'CERTIFICATE'));
    const [issuer] = body.chain as string[];
    expect(issuer).toBe(files.certificate);
    expect(
      Buffer.compare(
        leaf.issuerDer,
        parseCertificate(decodePem(issuer!, 'CERTIFICATE')).subjectDer,
      ),
    ).toBe(0);
    expect(leaf.crlDistributionPoints).toEqual(['http://127.0.0.1:8080/crl/issuing-2.crl']);
    const unknown = await issuingCa.call('POST', '/v1/authorities/issuing-2/activate', {
      as: issuingCa.admin,
      body: { profiles: ['devices'] },
    });
    expect(unknown.body.code).toBe('PROFILE_UNKNOWN');
    // Not "all", and nothing that could be answered as done.
    for (const none of [[], ['device-client', 'device-client'], null]) {
      const refused = await issuingCa.call('POST', '/v1/authorities/issuing-2/activate', {
        as: issuingCa.admin,
        body: { profiles: none },
      });
      expect([refused.status, refused.body.code]).toEqual([400, 'REQUEST_INVALID']);
    }
    const list = await issuingCa.call('GET', '/v1/authorities', { as: issuingCa.admin });
    const profiles = Object.fromEntries(
      list.body.items.map((one: { id: string; profiles: string[] }) => [one.id, one.profiles]),
    );
    expect(profiles['issuing-2']).toEqual(['device-client']);
    expect(profiles['issuing-1']).not.toContain('device-client');
  });

  it('takes everything over and the first retires, but still revokes on its CRL', async () => {
    const early = await issuingCa.call('POST', '/v1/authorities/issuing-1/retire', {
      as: issuingCa.admin,
    });
    expect([early.status, early.body.code]).toEqual([409, 'AUTHORITY_STATE_FORBIDS']);
    await issuingCa.call('POST', '/v1/authorities/issuing-2/activate', {
      as: issuingCa.admin,
      body: {},
    });
    const retired = await issuingCa.call('POST', '/v1/authorities/issuing-1/retire', {
      as: issuingCa.admin,
    });
    expect(retired.body.state).toBe('retired');
    expect(retired.body.lastLeafEnds).not.toBeNull();

    const revoked = await issuingCa.call('POST', '/v1/devices/old-1/revoke', {
      as: issuingCa.admin,
      body: { wait: true },
    });
    expect(revoked.body.evidence.crl.authority).toBe('issuing-1');
    const first = parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
    const second = parseCrl((await issuingCa.plain('GET', '/crl/issuing-2.crl')).bytes);
    expect(first.entries.map(({ serial }) => serial)).toContain(revoked.body.device.serial);
    expect(second.entries).toHaveLength(0);
  });

  it('is all there after a restart', async () => {
    await issuingCa.restart();
    // The service's own certificate is now from the second authority: whoever calls has learnt its root by the bundle.
    issuingCa.trust = (await issuingCa.plain('GET', '/v1/trust-bundle')).text;
    const { body } = await enrollDevice('new-2');
    expect(body.chain[0]).toBe(files.certificate);
    const list = await issuingCa.call('GET', '/v1/authorities', { as: issuingCa.admin });
    expect(
      list.body.items.map(({ id, state }: { id: string; state: string }) => [id, state]),
    ).toEqual([
      ['root', 'ready'],
      ['root-2', 'ready'],
      ['issuing-1', 'retired'],
      ['issuing-2', 'ready'],
    ]);
    const keys = await readFile(join(issuingCa.data, 'authorities', 'issuing-2.key'), 'utf8');
    expect(keys).toContain('ENCRYPTED PRIVATE KEY');
  });
});

describe('the trust bundle', () => {
  const add = (certificate: string) =>
    issuingCa.call('POST', '/v1/trust-bundle', { as: issuingCa.admin, body: { certificate } });

  it('takes a root that is to come, and a cross certificate of one of its roots', async () => {
    const key = createSigner(generateKey('ec-p384'));
    const now = Date.now();
    const nextRoot = await createRootCertificate({
      signer: key,
      commonName: 'Next Root',
      now,
      validity: year,
    });
    const cross = await createCrossCertificate({
      issuer: { certificateDer: nextRoot, signer: key },
      subjectDer: decodePem(firstRoot, 'CERTIFICATE'),
      now,
      validity: year / 2,
    });
    const added = await add(encodePem('CERTIFICATE', nextRoot));
    expect(added.body).toMatchObject({ subject: 'Next Root', selfSigned: true });
    const crossed = await add(encodePem('CERTIFICATE', cross));
    expect(crossed.body).toMatchObject({
      subject: 'Test Root',
      issuer: 'Next Root',
      selfSigned: false,
    });
    const bundle = await issuingCa.plain('GET', '/v1/trust-bundle');
    for (const der of [nextRoot, cross]) {
      expect(bundle.text).toContain(encodePem('CERTIFICATE', der).trim());
    }
    issuingCa.trust = bundle.text;
  });

  it('refuses a cross certificate that no root in it signed (RFC 5280 §6.1.3 (a)(1))', async () => {
    const now = Date.now();
    const signer = createSigner(generateKey('ec-p256'));
    const unknownRoot = await createRootCertificate({
      ...{ signer, commonName: 'Unknown Root', now, validity: year },
    });
    const cross = await createCrossCertificate({
      issuer: { certificateDer: unknownRoot, signer },
      subjectDer: decodePem(firstRoot, 'CERTIFICATE'),
      ...{ now, validity: year / 2 },
    });
    const early = await add(encodePem('CERTIFICATE', cross));
    expect([early.status, early.body.code]).toEqual([400, 'PATH_INVALID']);
    expect(early.body.detail).toContain('Add the root that signed it first');
    await add(encodePem('CERTIFICATE', unknownRoot));
    const forged = cross.slice();
    forged[forged.length - 1]! ^= 1;
    const refused = await add(encodePem('CERTIFICATE', forged));
    expect([refused.status, refused.body.code]).toEqual([400, 'PATH_INVALID']);
    const bundle = await issuingCa.plain('GET', '/v1/trust-bundle');
    expect(bundle.text).not.toContain(encodePem('CERTIFICATE', forged).trim());
    expect((await add(encodePem('CERTIFICATE', cross))).status).toBe(200);
    issuingCa.trust = (await issuingCa.plain('GET', '/v1/trust-bundle')).text;
  });

  it('refuses what is no authority, and an authority of somebody else', async () => {
    const leaf = (await enrollDevice('leaf-1')).body.certificate as string;
    const foreign = await signUnderNewRoot((await makeCsr('someone')).pem);
    for (const certificate of [leaf, foreign.certificate]) {
      const answer = await add(certificate);
      expect([answer.status, answer.body.code]).toEqual([400, 'PATH_INVALID']);
    }
  });
});

describe('GET /v1/renewal-info/{id} (RFC 9773)', () => {
  it('gives the window of a certificate, and a past one once it is revoked', async () => {
    const { body } = await enrollDevice('ari-1');
    const leaf = parseCertificate(decodePem(body.certificate as string, 'CERTIFICATE'));
    const path = `/v1/renewal-info/${encodeCertificateId(leaf)}`;
    const before = await issuingCa.call('GET', path);
    expect(Number(before.headers['retry-after'])).toBeGreaterThan(0);
    const { start, end } = before.body.suggestedWindow as { start: string; end: string };
    expect(Date.parse(start)).toBeGreaterThan(Date.now());
    expect(Date.parse(end)).toBeLessThan(leaf.notAfter);
    await issuingCa.call('POST', '/v1/devices/ari-1/revoke', { as: issuingCa.admin, body: {} });
    const after = await issuingCa.call('GET', path);
    expect(Date.parse(after.body.suggestedWindow.end as string)).toBeLessThanOrEqual(Date.now());
  });

  it('knows nothing of another issuer with the same serial, and refuses noise', async () => {
    const { body } = await enrollDevice('ari-2');
    const leaf = parseCertificate(decodePem(body.certificate as string, 'CERTIFICATE'));
    const foreign = encodeCertificateId({ ...leaf, authorityKeyId: new Uint8Array(20).fill(1) });
    const answer = await issuingCa.call('GET', `/v1/renewal-info/${foreign}`);
    expect([answer.status, answer.body.code]).toEqual([404, 'CERTIFICATE_NOT_FOUND']);
    const noise = await issuingCa.call('GET', '/v1/renewal-info/a.b.c');
    expect(noise.body.code).toBe('REQUEST_INVALID');
  });
});

describe('the first admin', () => {
  it('gets a new certificate from whoever has the data folder, while the service is down', async () => {
    const adminDir = join(issuingCa.folder, 'admin');
    const options = { data: issuingCa.data, config, adminDir };
    await expect(runAdmin(options)).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    await issuingCa.service.close();
    const file = await runAdmin(options);
    await issuingCa.restart();
    const cert = await readFile(file, 'utf8');
    expect(cert).not.toBe(issuingCa.admin.cert);
    const answer = await issuingCa.call('GET', '/v1/whoami', {
      as: { cert, key: issuingCa.admin.key },
    });
    expect(answer.body).toMatchObject({ name: 'admin@keyline', role: 'admin' });
  });
});
