// Only our own: authorities by their keys, administrators by theirs (docs/decisions/0008-who-is-let-in.md).
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { adminName, ended, TestBroker } from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;

afterEach(() => broker.stop());

const chained = (leaf: TestCertificate, ...above: TestCertificate[]): TestCertificate => ({
  ...leaf,
  cert: Buffer.concat([leaf.cert, ...above.map(({ cert }) => cert)]),
});

async function replace(path: string, ...certificates: TestCertificate[]): Promise<void> {
  await writeFile(`${path}.new`, Buffer.concat(certificates.map(({ cert }) => cert)));
  await rename(`${path}.new`, path);
}

describe('an authority', () => {
  it('beside ours, under the same root, vouches for nobody: neither a device nor an administrator', async () => {
    broker = await TestBroker.start();
    await broker.device('pump');
    // The CA file holds the root as well, as a whole trust bundle does.
    const sibling = await broker.pki.createSubordinate('Another Issuing CA');
    for (const name of ['pump', adminName]) {
      const leaf = await broker.pki.issue(name, { ca: sibling });
      const refused = await broker.refusal(chained(leaf, sibling), { clientId: name });
      expect(refused).toEqual({
        code: 0x87,
        reasonString: expect.stringMatching(/signed by none of the authorities/),
      });
    }
  });

  it('of the same name as ours and with another key vouches for nobody', async () => {
    broker = await TestBroker.start();
    await broker.device('pump');
    const twin = await broker.pki.createOtherCa('Test Issuing CA');
    const leaf = await broker.pki.issue('pump', { ca: twin });
    for (const shown of [leaf, chained(leaf, twin)]) {
      const refused = await broker.refusal(shown, { clientId: 'pump' });
      expect(refused.code).toBe(0x87);
    }
  });

  it('that is in the file is trusted, and need not be sent along', async () => {
    broker = await TestBroker.start();
    await broker.device('pump');
    const issuing = await broker.pki.createSubordinate('Issuing CA 2');
    await replace(broker.pki.ca.certFile, broker.pki.ca, issuing);
    await expect.poll(() => broker.line('certificate swapped')).toBeDefined();
    const device = await broker.pki.issue('pump', { ca: issuing });
    const client = await broker.connect(device, { clientId: 'pump' });
    await client.endAsync();
  });

  it('that came into the file a moment ago is found there before its first client is refused', async () => {
    broker = await TestBroker.start({}, {}, { certificateInterval: 3_600_000 });
    await broker.device('pump');
    const issuing = await broker.pki.createSubordinate('Issuing CA 2');
    const device = chained(await broker.pki.issue('pump', { ca: issuing }), issuing);
    expect((await broker.refusal(device, { clientId: 'pump' })).code).toBe(0x87);
    await replace(broker.pki.ca.certFile, broker.pki.ca, issuing);
    const client = await broker.connect(device, { clientId: 'pump' });
    await client.endAsync();
  });

  it('that leaves the file takes its clients with it: sessions are cut, and nobody comes back', async () => {
    broker = await TestBroker.start();
    await broker.device('pump');
    const issuing = await broker.pki.createSubordinate('Issuing CA 2');
    await replace(broker.pki.ca.certFile, broker.pki.ca, issuing);
    await expect.poll(() => broker.line('certificate swapped')).toBeDefined();
    const device = await broker.pki.issue('pump', { ca: issuing });
    const client = await broker.connect(device, { clientId: 'pump' });
    const other = await broker.connect(await broker.device('stays'), { clientId: 'stays' });
    const end = ended(client);
    await replace(broker.pki.ca.certFile, broker.pki.ca);
    expect(await end).toEqual({
      reasonCode: 0x87,
      text: expect.stringMatching(/an authority that is let in no more/),
    });
    expect(other.connected).toBe(true);
    const refused = await broker.refusal(chained(device, issuing), { clientId: 'pump' });
    expect(refused.reasonString).toMatch(/signed by none of the authorities/);
    expect(await broker.metrics()).toMatch(/kicked_total\{reason="no-longer-let-in"\} 1$/m);
  });

  it('stays when the file is damaged', async () => {
    broker = await TestBroker.start();
    const device = await broker.device('pump');
    await writeFile(broker.pki.ca.certFile, '-----BEGIN CERTIFICATE-----\nno\n');
    await expect.poll(() => broker.line('certificate not swapped')).toBeDefined();
    const client = await broker.connect(device, { clientId: 'pump' });
    await client.endAsync();
  });
});

describe('an administrator', () => {
  async function start(): Promise<string> {
    broker = await TestBroker.start();
    await broker.close();
    const file = join(broker.folder, 'admins.pem');
    await replace(file, broker.admin);
    broker.adminCertificates = [file];
    await broker.open();
    return file;
  }

  it('is let in with its own key, and nobody else with its name, whoever issued the certificate', async () => {
    await start();
    const [answer] = await broker.control({ command: 'getDetails' });
    expect(answer).toHaveProperty('data');
    const impostor = await broker.pki.issue(adminName);
    const refused = await broker.refusal(impostor, { clientId: `${adminName}-2` });
    expect(refused).toEqual({
      code: 0x87,
      reasonString: expect.stringMatching(/the name of an administrator and another key/),
    });
    expect(broker.line('connection refused')?.reason).toBe('admin-key');
  });

  it('may change its key: the file is read again before the new one is refused', async () => {
    const file = await start();
    const next = await broker.pki.issue(adminName);
    await replace(file, broker.admin, next);
    const client = await broker.connect(next, { clientId: `${adminName}-2` });
    await client.endAsync();
  });

  it('whose certificate leaves the file is cut', async () => {
    const file = await start();
    const client = await broker.connect(broker.admin, { clientId: `${adminName}-2` });
    const end = ended(client);
    await replace(file, await broker.pki.issue(adminName));
    expect(await end).toEqual({ reasonCode: 0x87, text: expect.stringMatching(/another key/) });
  });

  it('is nobody while the file can’t be read, which the log says', async () => {
    const file = await start();
    await writeFile(file, '-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n');
    await expect.poll(() => broker.line('administrators unknown')?.msg).toMatch(/admins\.pem/);
    const refused = await broker.refusal(broker.admin, { clientId: adminName });
    expect(refused.code).toBe(0x87);
  });
});

describe('a device with a list of certificates', () => {
  async function listed(name: string, ...certificates: TestCertificate[]): Promise<void> {
    await broker.control({
      command: 'admitCertificates',
      certificates: certificates.map(({ serialHex }) => ({ username: name, serial: serialHex })),
    });
  }

  it('is refused with one that its own authority has signed and that is not listed, which is reported', async () => {
    broker = await TestBroker.start();
    const device = await broker.device('pump');
    await listed('pump', device);
    const forged = await broker.pki.issue('pump');
    const refused = await broker.refusal(forged, { clientId: 'pump', connectTimeout: 10_000 });
    expect(refused).toEqual({
      code: 0x87,
      reasonString: expect.stringMatching(/not, or no more, on the issuing CA's list/),
    });
    expect(broker.line('connection refused')?.reason).toBe('certificate-unlisted');
    const [answer] = await broker.control({ command: 'getCertificateReports', after: 0 });
    expect(answer?.data?.['reports']).toEqual([
      {
        n: 1,
        kind: 'unlisted',
        username: 'pump',
        serial: forged.serialHex,
        address: expect.stringMatching(/127\.0\.0\.1/),
      },
    ]);
    await (await broker.connect(device, { clientId: 'pump' })).endAsync();
  });

  it('is let in with a certificate whose news comes after the device', async () => {
    broker = await TestBroker.start();
    const device = await broker.device('pump');
    await listed('pump', device);
    const renewed = await broker.pki.issue('pump');
    const arriving = broker.connect(renewed, { clientId: 'pump' });
    await expect
      .poll(async () => {
        const [answer] = await broker.control({ command: 'getCertificateReports', after: 0 });
        return answer?.data?.['reports'];
      })
      .toHaveLength(1);
    await listed('pump', renewed);
    await (await arriving).endAsync();
  });

  it('uses old and new until the new one is used; then the old one’s session is cut, and it stays out', async () => {
    broker = await TestBroker.start();
    const old = await broker.device('pump');
    const renewed = await broker.pki.issue('pump');
    await listed('pump', old, renewed);
    const before = await broker.connect(old, { clientId: 'pump:a' });
    const end = ended(before);
    const after = await broker.connect(renewed, { clientId: 'pump:b' });
    expect(await end).toEqual({ reasonCode: 0x87, text: expect.stringMatching(/was superseded/) });
    const refused = await broker.refusal(old, { clientId: 'pump:a', connectTimeout: 10_000 });
    expect(refused.code).toBe(0x87);
    expect(after.connected).toBe(true);
    await after.endAsync();
    expect(await broker.metrics()).toMatch(/kicked_total\{reason="superseded"\} 1$/m);
  });

  it('loses the session of the old one when the issuing CA says that the new one is in use elsewhere, and keeps the new one’s', async () => {
    broker = await TestBroker.start();
    const old = await broker.device('pump');
    await listed('pump', old);
    const before = await broker.connect(old, { clientId: 'pump:a' });
    const end = ended(before);
    const renewed = await broker.pki.issue('pump');
    const entry = { username: 'pump', serial: renewed.serialHex };
    const admit = (predecessor: string | null) =>
      broker.control({ command: 'admitCertificates', certificates: [{ ...entry, predecessor }] });
    await admit(old.serialHex);
    expect(before.connected).toBe(true);
    await admit(null);
    expect(await end).toEqual({ reasonCode: 0x87, text: expect.stringMatching(/was superseded/) });
    const refused = await broker.refusal(old, { clientId: 'pump:a', connectTimeout: 10_000 });
    expect(refused.code).toBe(0x87);
    const after = await broker.connect(renewed, { clientId: 'pump:b' });
    await admit(null);
    expect(after.connected).toBe(true);
    await after.endAsync();
    expect(await broker.metrics()).toMatch(/kicked_total\{reason="superseded"\} 1$/m);
    // Nothing new for the issuing CA but who was refused: it said so itself.
    const [answer] = await broker.control({ command: 'getCertificateReports', after: 0 });
    expect(answer?.data?.['reports']).toEqual([
      expect.objectContaining({ kind: 'unlisted', serial: old.serialHex }),
    ]);
  });
});
