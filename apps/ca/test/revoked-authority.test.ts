// An issuing authority that the root's CRL lists: it issues nothing more, nothing it issued is accepted, and another can take its place.
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createSigner, generateKey } from '@keyline/keys';
import {
  createCrl,
  createCrossCertificate,
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
} from '@keyline/pki';
import { decodePem, encodePem, parseCertificate, parseCrl } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInit } from '../src/commands/init.ts';
import { runAdmin, runInstall } from '../src/commands/install.ts';
import {
  buildIssuingCa,
  config,
  makeCsr,
  type Answer,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

const year = 365 * 24 * 3600 * 1000;

let issuingCa: IssuingCa;
let token: string;
let device: Identity;
let deviceSerial: string;
let operator: Identity;
let orphanCsr: string;
let unitCsr: string;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  token = (await call('POST', '/v1/tokens', { maxUses: 100 })).body.secret as string;
  const { pem, key } = await makeCsr('pump-1');
  const { body } = await enroll('pump-1', pem);
  device = { cert: [body.certificate, ...(body.chain as string[])].join(''), key };
  deviceSerial = body.serial as string;
  orphanCsr = (await makeCsr('orphan-1')).pem;
  await enroll('orphan-1', orphanCsr);
  unitCsr = (await makeCsr('unit-1')).pem;
  await call('POST', '/v1/batches', { id: 'lot-0', quota: 1 });
  await call('POST', '/v1/batches/lot-0/sign', { csr: unitCsr });
  const own = await makeCsr('olga@works');
  const issued = await call('POST', '/v1/certificates', {
    profile: 'operator',
    name: 'olga@works',
    csr: own.pem,
  });
  operator = { cert: issued.body.certificate as string, key: own.key };
});
afterAll(() => issuingCa.close());

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });
const enroll = (id: string, csr: string): Promise<Answer> =>
  issuingCa.call('POST', '/v1/enroll', { body: { id, csr, token } });

async function issuingCertificates(): Promise<
  Record<string, { state: string; certificate: string }>
> {
  const { body } = await call('GET', '/v1/authorities');
  return Object.fromEntries(
    (body.items as { id: string; state: string; certificate: string }[]).map((one) => [
      one.id,
      one,
    ]),
  );
}

/** A CRL of its root, PEM. */
async function rootCrl(
  number: number,
  serials: readonly string[],
  changes: { readonly reason?: 'cACompromise' | 'certificateHold' } = {},
): Promise<string> {
  const now = Date.now();
  return encodePem(
    'X509 CRL',
    await createCrl({
      authority: {
        certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
        signer: issuingCa.rootSigner,
      },
      number,
      thisUpdate: now,
      nextUpdate: now + year,
      entries: serials.map((serial) => ({
        serial: serial as never,
        revokedAt: now,
        reason: changes.reason ?? 'cACompromise',
      })),
      scope: 'ca',
    }),
  );
}
const bring = async (crl: string): Promise<Answer> => call('POST', '/v1/root-crls', { crl });

async function signedByTheRoot(csrPem: string): Promise<string> {
  return encodePem(
    'CERTIFICATE',
    await createIssuingCertificate({
      root: {
        certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
        signer: issuingCa.rootSigner,
      },
      csr: parseCsr(csrPem),
      now: Date.now(),
      validity: 5 * year,
    }),
  );
}

/** The status OCSP gives for a serial of the first authority, by an independent encoder. */
async function askOcsp(): Promise<string> {
  const leaf = join(issuingCa.folder, 'leaf.pem');
  const issuer = join(issuingCa.folder, 'issuing.crt');
  await writeFile(leaf, device.cert);
  const port = (issuingCa.service.http.server.address() as { port: number }).port;
  return new Promise((done) => {
    execFile(
      'openssl',
      [
        ...['ocsp', '-noverify', '-no_nonce', '-issuer', issuer, '-cert', leaf],
        ...['-url', `http://127.0.0.1:${String(port)}/ocsp`],
      ],
      (_error, out, err) => done(out + err),
    );
  });
}

describe("an issuing authority that its root's CRL lists", () => {
  let second: { csr: string; certificate: string };
  let firstSerial: string;

  it('is revoked with the commit that takes the CRL, whatever the number of those before', async () => {
    const list = await issuingCertificates();
    firstSerial = parseCertificate(decodePem(list['issuing-1']!.certificate, 'CERTIFICATE')).serial;
    const clean = await bring(await rootCrl(4, []));
    expect(clean.body.revoked).toEqual([]);
    // Added before: its successor.
    const added = await call('POST', '/v1/authorities', { id: 'issuing-2' });
    second = {
      csr: added.body.csr as string,
      certificate: await signedByTheRoot(added.body.csr as string),
    };
    expect(await askOcsp()).toContain('leaf.pem: good');
    const brought = await bring(await rootCrl(5, [firstSerial]));
    expect(brought.body).toMatchObject({ authority: 'root', number: 5, revoked: ['issuing-1'] });
    const { body } = await call('GET', '/v1/authorities');
    expect(body.items[1]).toMatchObject({
      id: 'issuing-1',
      state: 'revoked',
      reason: 'cACompromise',
      profiles: [],
    });
  });

  it('issues nothing more: enroll, renew, sign, certificates', async () => {
    const { pem } = await makeCsr('pump-2');
    const enrolled = await enroll('pump-2', pem);
    expect([enrolled.status, enrolled.body.code]).toEqual([409, 'AUTHORITY_STATE_FORBIDS']);
    expect(enrolled.body.detail).toContain('revoked by its root');
    const renewed = await issuingCa.call('POST', '/v1/renew', { as: device, body: {} });
    expect([renewed.status, renewed.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    await call('POST', '/v1/batches', { id: 'lot-1', quota: 5 });
    const signed = await call('POST', '/v1/batches/lot-1/sign', { csr: pem });
    expect(signed.body.code).toBe('AUTHORITY_STATE_FORBIDS');
    const lines = await issuingCa.call('POST', '/v1/batches/lot-1/sign', {
      as: issuingCa.admin,
      headers: { 'content-type': 'application/x-ndjson' },
      body: `${JSON.stringify({ csr: pem })}\n`,
    });
    expect(lines.text).toContain('AUTHORITY_STATE_FORBIDS');
    const other = await call('POST', '/v1/certificates', {
      profile: 'operator',
      name: 'otto@works',
      csr: pem,
    });
    expect(other.body.code).toBe('AUTHORITY_STATE_FORBIDS');
    expect((await call('GET', '/v1/devices?q=pump-2')).body.items).toEqual([]);
  });

  it('lets in nobody whom it certified, but administrators, who must install another', async () => {
    const asDevice = await issuingCa.call('GET', '/v1/whoami', { as: device });
    expect([asDevice.status, asDevice.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    const asOperator = await issuingCa.call('GET', '/v1/devices', { as: operator });
    expect([asOperator.status, asOperator.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    expect((await call('GET', '/v1/whoami')).status).toBe(200);
  });

  it('is in the ledger and a critical alert, and /readyz says so', async () => {
    await expect
      .poll(async () => (await call('GET', '/v1/alerts')).body.items)
      .toContainEqual(
        expect.objectContaining({ key: 'state:authority:issuing-1:revoked', severity: 'critical' }),
      );
    const ready = await issuingCa.plain('GET', '/readyz');
    expect([ready.status, ready.body.status, ready.body.checks.authorities]).toEqual([
      200,
      'degraded',
      'revoked: issuing-1',
    ]);
  });

  it('has its CRL published on, and no leaf of it is "good" (RFC 6960 §2.7)', async () => {
    const before = parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
    const revoked = await call('POST', '/v1/devices/pump-1/revoke', { reason: 'keyCompromise' });
    expect(revoked.status).toBe(200);
    const after = parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
    expect(after.number).toBeGreaterThan(before.number);
    expect(after.entries.map(({ serial }) => serial)).toContain(deviceSerial);
    // The device's own reason, not its authority's.
    expect(await askOcsp()).toMatch(/leaf.pem: revoked[^]*keyCompromise/);
  });

  it('is answered for as revoked also where the leaf itself is not', async () => {
    const { cert } = operator;
    device = { cert, key: operator.key };
    expect(await askOcsp()).toMatch(/leaf.pem: revoked[^]*(cACompromise|CACompromise)/i);
  });

  it('stays revoked: an older CRL is refused, and a newer one without it brings nothing back', async () => {
    expect((await bring(await rootCrl(4, []))).body.code).toBe('STORE_CONFLICT');
    expect((await bring(await rootCrl(6, []))).body).toMatchObject({ number: 6, revoked: [] });
    expect((await issuingCertificates())['issuing-1']?.state).toBe('revoked');
    await bring(await rootCrl(7, [firstSerial]));
  });

  it('is still revoked after a restart, which an administrator can call', async () => {
    await issuingCa.restart();
    expect((await issuingCertificates())['issuing-1']?.state).toBe('revoked');
    const { pem } = await makeCsr('pump-3');
    expect((await enroll('pump-3', pem)).body.code).toBe('AUTHORITY_STATE_FORBIDS');
  });

  it('gives whoever has the data folder a certificate to get in with, when no administrator has one', async () => {
    await issuingCa.service.close();
    const file = await runAdmin({
      data: issuingCa.data,
      config,
      adminDir: join(issuingCa.folder, 'admin'),
    });
    await issuingCa.restart();
    const cert = await readFile(file, 'utf8');
    const answer = await issuingCa.call('GET', '/v1/whoami', {
      as: { cert, key: issuingCa.admin.key },
    });
    expect(answer.body).toMatchObject({ role: 'admin' });
  });

  it('can be neither activated nor retired', async () => {
    for (const what of ['activate', 'retire']) {
      const answer = await call(
        'POST',
        `/v1/authorities/issuing-1/${what}`,
        what === 'activate' ? {} : undefined,
      );
      expect([answer.status, answer.body.code]).toEqual([409, 'AUTHORITY_STATE_FORBIDS']);
    }
  });

  it('gives its place to another, which is installed by an administrator and issues when it is activated', async () => {
    const installed = await call('POST', '/v1/authorities/issuing-2/certificate', {
      certificate: second.certificate,
      root: issuingCa.trust,
    });
    expect(installed.body).toMatchObject({ id: 'issuing-2', state: 'ready', profiles: [] });
    // Not before it was activated: a revocation hands nothing over by itself.
    const { pem } = await makeCsr('pump-4');
    expect((await enroll('pump-4', pem)).body.code).toBe('AUTHORITY_STATE_FORBIDS');
    await call('POST', '/v1/authorities/issuing-2/activate', {});
    const { status, body } = await enroll('pump-4', pem);
    expect([status, body.chain]).toEqual([201, [second.certificate]]);
    const tls = await issuingCa.plain('GET', '/readyz');
    expect(tls.body.status).toBe('ok');
  });

  it('takes its devices back with the key they have and a token, and with no other key', async () => {
    const { pem } = await makeCsr('orphan-1');
    const other = await enroll('orphan-1', pem);
    expect([other.status, other.body.code]).toEqual([409, 'DEVICE_EXISTS']);
    const back = await enroll('orphan-1', orphanCsr);
    expect([back.status, back.body.chain]).toEqual([201, [second.certificate]]);
    expect(back.body.device.state).toBe('active');
    // Said again it is the answer of before.
    const again = await enroll('orphan-1', orphanCsr);
    expect([again.status, again.body.serial]).toEqual([200, back.body.serial]);
  });

  it('signs the units of its batches anew with the key they have, for no quota', async () => {
    const before = await call('GET', '/v1/batches/lot-0');
    const again = await call('POST', '/v1/batches/lot-0/sign', { csr: unitCsr });
    expect([again.status, again.body.chain]).toEqual([201, [second.certificate]]);
    expect((await call('GET', '/v1/batches/lot-0')).body.issued).toBe(before.body.issued);
    const third = await call('POST', '/v1/batches/lot-0/sign', { csr: unitCsr });
    expect([third.status, third.body.serial]).toEqual([200, again.body.serial]);
  });

  it('leaves the service with a certificate of the other, at once', async () => {
    const port = (issuingCa.service.api.server.address() as { port: number }).port;
    const issuer = new X509Certificate(second.certificate);
    const seen = await new Promise<X509Certificate | undefined>((done) => {
      const socket = connect({ host: '127.0.0.1', port, ca: issuingCa.trust }, () => {
        done(socket.getPeerX509Certificate());
        socket.end();
      });
    });
    expect(seen?.checkIssued(issuer)).toBe(true);
  });
});

describe('a certificate that the root takes back before it is installed', () => {
  it('is refused by install, and another that the CRL does not list is taken', async () => {
    const added = await call('POST', '/v1/authorities', { id: 'issuing-3' });
    const certificate = await signedByTheRoot(added.body.csr as string);
    const { serial } = parseCertificate(decodePem(certificate, 'CERTIFICATE'));
    await bring(await rootCrl(8, [serial]));
    const refused = await call('POST', '/v1/authorities/issuing-3/certificate', {
      certificate,
      root: issuingCa.trust,
    });
    expect([refused.status, refused.body.code]).toEqual([400, 'PATH_INVALID']);
    expect(refused.body.detail).toContain('CRL 8');
    const again = await signedByTheRoot(added.body.csr as string);
    const taken = await call('POST', '/v1/authorities/issuing-3/certificate', {
      certificate: again,
      root: issuingCa.trust,
    });
    expect(taken.status).toBe(200);
  });

  it('is refused by keyline-ca install too, before anything is made', async () => {
    const data = join(issuingCa.folder, 'other');
    const passphraseFile = join(issuingCa.folder, 'ca.pass');
    const { csr: csrFile } = await runInit({
      data,
      passphraseFile,
      httpUrl: 'http://127.0.0.1:8080',
      name: 'Other Issuing CA',
      algorithm: 'ec-p256',
    });
    const certificate = await signedByTheRoot(await readFile(csrFile, 'utf8'));
    const { serial } = parseCertificate(decodePem(certificate, 'CERTIFICATE'));
    await writeFile(join(issuingCa.folder, 'other.crt'), certificate);
    await writeFile(join(issuingCa.folder, 'root.crl'), await rootCrl(9, [serial]));
    const options = {
      data,
      certificate: join(issuingCa.folder, 'other.crt'),
      root: join(issuingCa.folder, 'root.crt'),
      rootCrl: join(issuingCa.folder, 'root.crl'),
      config,
      adminDir: join(issuingCa.folder, 'other-admin'),
    };
    await expect(runInstall(options)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    expect(existsSync(join(issuingCa.folder, 'other-admin'))).toBe(false);
  });
});

describe('a cross certificate that the root takes back', () => {
  it('leaves the trust bundle', async () => {
    const now = Date.now();
    const subject = await createRootCertificate({
      signer: createSigner(generateKey('ec-p256')),
      commonName: 'Other Root',
      now,
      validity: year,
    });
    const cross = await createCrossCertificate({
      issuer: {
        certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
        signer: issuingCa.rootSigner,
      },
      subjectDer: subject,
      now,
      validity: year / 2,
    });
    const self = encodePem('CERTIFICATE', subject);
    const pem = encodePem('CERTIFICATE', cross);
    await call('POST', '/v1/trust-bundle', { certificate: self });
    await call('POST', '/v1/trust-bundle', { certificate: pem });
    const bundle = async () => (await issuingCa.plain('GET', '/v1/trust-bundle')).text;
    expect(await bundle()).toContain(pem.trim());
    await bring(await rootCrl(20, [parseCertificate(cross).serial]));
    expect(await bundle()).not.toContain(pem.trim());
    expect(await bundle()).toContain(self.trim());
    const again = await call('POST', '/v1/trust-bundle', { certificate: pem });
    expect([again.status, again.body.code]).toEqual([400, 'PATH_INVALID']);
    expect(again.body.detail).toContain('Its root took it back');
  });
});

describe("authorities.requireRootCrl, while the root's CRL is missing", () => {
  it('lets nothing be issued until one is brought', async () => {
    const other = await buildIssuingCa();
    try {
      const strict = join(other.folder, 'config');
      await cp(config, strict, { recursive: true });
      const file = join(strict, 'service.yaml');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('requireRootCrl: false', 'requireRootCrl: true'));
      await other.restart(strict);
      const issue = async () =>
        other.call('POST', '/v1/certificates', {
          as: other.admin,
          body: { profile: 'station', name: 'st1@line', csr: (await makeCsr('st1@line')).pem },
        });
      const refused = await issue();
      expect(refused.body.code).toBe('AUTHORITY_STATE_FORBIDS');
      expect(refused.body.detail).toContain('requireRootCrl');
      const now = Date.now();
      const crl = await createCrl({
        authority: {
          certificateDer: decodePem(other.trust, 'CERTIFICATE'),
          signer: other.rootSigner,
        },
        ...{ number: 1, thisUpdate: now, nextUpdate: now + year, entries: [], scope: 'ca' },
      });
      await other.call('POST', '/v1/root-crls', {
        as: other.admin,
        body: { crl: encodePem('X509 CRL', crl) },
      });
      expect((await issue()).status).toBe(201);
    } finally {
      await other.close();
    }
  });
});
