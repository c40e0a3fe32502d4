// Job 2, revoke a compromised device: one call, and every place that can be asked says so. OpenSSL is the relying party.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { has } from '../support/needs.ts';
import { openssl, runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
let issuerFile: string;

beforeAll(async () => {
  issuerFile = join(suite.folder, 'issuer.crt');
  writeFileSync(issuerFile, (await suite.fleet.enroll('bystander')).issuer);
});

async function change(id: string, what: string, request: object = {}) {
  const answer = await suite.fleet.admin.post(`/v1/devices/${id}/${what}`, request);
  return expectStatus(answer, 200).body;
}

/** What `openssl ocsp` says after it has verified the answer up to the root. */
async function askOcsp(device: EnrolledDevice, ...more: string[]): Promise<string> {
  const { ca, http } = suite.keyline.endpoints;
  const file = join(suite.folder, `${device.id}.crt`);
  writeFileSync(file, device.leaf);
  const said = await openssl([
    // The digest of the CertID comes before the certificate that it is for.
    ...['ocsp', ...more, '-issuer', issuerFile, '-cert', file, '-url', `${http}/ocsp`],
    ...['-CAfile', ca, '-verify_other', issuerFile],
  ]);
  expect(said).toContain('Response verify OK');
  return said;
}

/** The issuing CA's CRL as a file, in PEM. */
async function fetchCrl(): Promise<string> {
  const der = join(suite.folder, 'crl.der');
  const pem = join(suite.folder, 'crl.pem');
  const answer = await fetch(await suite.fleet.crlUrl());
  expect(answer.headers.get('content-type')).toBe('application/pkix-crl');
  writeFileSync(der, Buffer.from(await answer.arrayBuffer()));
  await openssl(['crl', '-inform', 'DER', '-in', der, '-out', pem]);
  return pem;
}

/** The verdict of a relying party that checks the CRL. */
async function verifyWithCrl(device: EnrolledDevice): Promise<string> {
  const file = join(suite.folder, `${device.id}.crt`);
  writeFileSync(file, device.leaf);
  const { code, out, err } = await runProgram('openssl', [
    ...['verify', '-x509_strict', '-crl_check', '-CAfile', suite.keyline.endpoints.ca],
    ...['-untrusted', issuerFile, '-CRLfile', await fetchCrl(), file],
  ]);
  return code === 0 ? 'OK' : `${out}${err}`;
}

describe.each([
  ['5', 5, 'DISCONNECT 152'],
  ['3.1.1', 4, 'closed'],
] as const)('a device that speaks MQTT %s', (name, protocolVersion, how) => {
  it('is cut off by its revocation, and can not come back', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll(`cut-${name}`);
    const session = await fleet.connect(device, { protocolVersion });
    const other = await fleet.connect(device, { protocolVersion, clientId: `cut-${name}:2` });
    const begun = Date.now();
    const { device: view, evidence } = await change(device.id, 'revoke', {
      reason: 'keyCompromise',
      wait: true,
    });
    expect(view.state).toBe('revoked');
    expect(await session.untilEnded()).toContain(how);
    expect(await other.untilEnded()).toContain(how);
    expect(evidence.targets).toEqual([
      {
        target: 'broker',
        done: true,
        at: expect.stringMatching(/Z$/) as string,
        refuses: 'broker',
        pending: null,
      },
    ]);
    expect(Date.parse(evidence.targets[0].at)).toBeGreaterThanOrEqual(begun);
    expect(await fleet.whyRefused(device, { protocolVersion })).toMatch(/not authorized/i);

    const self = keyline.as(device);
    expectRefusal(await self.get(`/v1/devices/${device.id}`), 'CERTIFICATE_NOT_ACCEPTED');
    expectRefusal(await self.post('/v1/renew', {}), 'CERTIFICATE_NOT_ACCEPTED');
    self.close();
    expect(await fleet.whyRefused(await fleet.enroll(`next-${name}`))).toBeUndefined();
  });
});

describe.skipIf(!has('openssl'))('a relying party with OpenSSL', () => {
  it('is told good before and revoked after, by OCSP and by the CRL, with reason and time', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('rp-1');
    expect(await askOcsp(device)).toContain(': good');
    expect(await verifyWithCrl(device)).toBe('OK');
    const { evidence } = await change('rp-1', 'revoke', { reason: 'keyCompromise', wait: true });
    const said = await askOcsp(device);
    expect(said).toContain(': revoked');
    expect(said).toContain('Reason: keyCompromise');
    expect(await verifyWithCrl(device)).toContain('certificate revoked');

    const text = await openssl(['crl', '-in', await fetchCrl(), '-CAfile', issuerFile, '-text']);
    expect(text).toContain('verify OK');
    expect(text.toLowerCase()).toContain(device.serial);
    expect(text).toMatch(new RegExp(`X509v3 CRL Number:\\s*${String(evidence.crl.number)}\\n`));
    expect(evidence).toMatchObject({
      ocsp: { status: 'revoked', at: evidence.ledger.at },
      crl: { authority: expect.any(String) as string, at: expect.any(String) as string },
    });
  });

  it('gets its nonce back, and the verdict for a SHA-256 CertID too', async () => {
    const device = await suite.fleet.enroll('rp-2');
    const said = await askOcsp(device, '-nonce', '-sha256');
    expect(said).toContain(': good');
    expect(said).not.toMatch(/no nonce|nonce/i);
  });

  it('is told unknown, never good, for a serial that was not issued', async () => {
    const { ca, http } = suite.keyline.endpoints;
    const said = await openssl([
      ...['ocsp', '-issuer', issuerFile, '-serial', '0x1234567890abcdef', '-url', `${http}/ocsp`],
      ...['-CAfile', ca, '-verify_other', issuerFile],
    ]);
    expect(said).toContain(': unknown');
  });

  it('sees a suspension as a hold, and nothing of it after the device is resumed', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('hold-1');
    const session = await fleet.connect(device);
    await change('hold-1', 'suspend', { wait: true });
    await session.untilEnded();
    expect(await fleet.whyRefused(device)).toBeDefined();
    expect(await askOcsp(device)).toContain('Reason: certificateHold');
    expect(await verifyWithCrl(device)).toContain('certificate revoked');

    await change('hold-1', 'resume', { wait: true });
    expect(await askOcsp(device)).toContain(': good');
    expect(await verifyWithCrl(device)).toBe('OK');
    const back = await fleet.connect(device);
    expect(await back.publish('devices/hold-1/state', 'back')).toBe('accepted');
    await back.close();
  });
});

describe('a revocation', () => {
  it('of a device ends every certificate it has, the superseded one too', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('all-1');
    const self = keyline.as(device);
    expectStatus(await fleet.admin.post('/v1/devices/all-1/allow-renewal', {}), 200);
    const renewed = expectStatus(await self.post('/v1/renew', {}), 201).body;
    self.close();
    await change('all-1', 'revoke', { wait: true });
    for (const serial of [device.serial, renewed.serial]) {
      const { body } = await fleet.admin.get(`/v1/certificates/${serial}`);
      expect(body).toMatchObject({ state: 'revoked', reason: 'unspecified' });
    }
    expect(await fleet.whyRefused(device)).toBeDefined();
  });

  it('said twice is answered with the first, and changes nothing', async () => {
    const { fleet } = suite;
    await fleet.enroll('twice-1');
    const first = await change('twice-1', 'revoke', { wait: true });
    const entries = fleet.countEntries();
    const second = await change('twice-1', 'revoke', { wait: true });
    expect(second.evidence.ledger).toEqual(first.evidence.ledger);
    expect(fleet.countEntries()).toBe(entries);
  });

  it('and then a decommissioning is done at once: the CRL that has the revocation has nothing more to learn', async () => {
    const { fleet } = suite;
    await fleet.enroll('ended-1');
    const revoked = await change('ended-1', 'revoke', { wait: true });
    const decommissioned = await change('ended-1', 'decommission', { wait: true });
    expect(decommissioned.evidence.crl).toMatchObject({
      number: expect.any(Number),
      at: expect.any(String),
    });
    expect(decommissioned.evidence.crl.number).toBeGreaterThanOrEqual(revoked.evidence.crl.number);
    expect(decommissioned.evidence.ocsp.status).toBe('revoked');
  });

  it('of one certificate by serial refuses that one and leaves its device the newer', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('serial-1');
    const self = keyline.as(device);
    expectStatus(await fleet.admin.post('/v1/devices/serial-1/allow-renewal', {}), 200);
    const { body } = expectStatus(await self.post('/v1/renew', {}), 201);
    self.close();
    const spelled = device.serial.toUpperCase().match(/../g)!.join(':');
    const revoked = await fleet.admin.post(`/v1/certificates/${spelled}/revoke`, {
      reason: 'superseded',
      wait: true,
    });
    expect(expectStatus(revoked, 200).body.certificate.state).toBe('revoked');
    expect(await fleet.whyRefused(device)).toMatch(/not authorized/i);
    const newer = { ...device, certificate: [body.certificate, ...body.chain].join('') };
    expect(await fleet.whyRefused(newer)).toBeUndefined();
  });

  it('is final: the device neither resumes nor enrolls, until it is decommissioned and has a new key', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('final-1');
    await change('final-1', 'revoke');
    const resumed = await fleet.admin.post('/v1/devices/final-1/resume', {});
    expectRefusal(resumed, 'DEVICE_STATE_FORBIDS');
    const token = await fleet.createToken({ maxUses: 3 });
    const request = { id: 'final-1', csr: await device.deviceKey.csr('final-1'), token };
    expectRefusal(await fleet.anyone.post('/v1/enroll', request), 'DEVICE_STATE_FORBIDS');
    await change('final-1', 'decommission');
    expectRefusal(await fleet.anyone.post('/v1/enroll', request), 'CSR_KEY_IN_USE');
    const again = await fleet.enroll('final-1', { token });
    expect(await fleet.whyRefused(again)).toBeUndefined();
    expect(await fleet.whyRefused(device)).toBeDefined();
  });

  it('of a device that is not there is a 404', async () => {
    const { admin } = suite.fleet;
    expectRefusal(await admin.post('/v1/devices/nobody/revoke', {}), 'DEVICE_NOT_FOUND');
    expectRefusal(
      await admin.post('/v1/certificates/0badc0de/revoke', {}),
      'CERTIFICATE_NOT_FOUND',
    );
  });
});
