import { Duration, parseSerialHex } from '@keyline/kernel';
import { parseCertificate } from '@keyline/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeDeviceState,
  enroll,
  issueCertificate,
  revokeCertificate,
  type Caller,
  type IssueCertificateCommand,
} from '../src/index.ts';
import {
  caller,
  codeOf,
  csrOf,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  type TestFleet,
} from './test-fleet.ts';

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await openTestFleet();
});
afterEach(() => fleet.close());

async function issue(changes: Partial<IssueCertificateCommand> = {}) {
  const name = changes.name ?? 'broker@works';
  return issueCertificate(fleet, {
    caller: operator,
    profile: 'broker-server',
    name,
    dnsNames: ['broker.example.com'],
    csr: await csrOf(name),
    ...changes,
  });
}

describe('a certificate that is not a device’s', () => {
  it('is issued with the names asked for, and written down', async () => {
    const certificate = await issue({ caller: 'keyline', ipAddresses: ['192.0.2.7'] });
    expect(certificate).toMatchObject({ owner: 'broker@works', kind: 'server', state: 'active' });
    expect(await fleet.store.findCertificate(certificate.serial)).toMatchObject({
      owner: 'broker@works',
    });
    expect(parseCertificate(certificate.der).serial).toBe(certificate.serial);
    expect((await fleet.store.listEntriesOf('broker@works', 1))[0]).toMatchObject({
      actor: 'keyline',
      data: { kind: 'certificate-issued', serial: certificate.serial, profile: 'broker-server' },
    });
  });

  it.each(['broker', 'd1', '', 'broker.example.com'])(
    'never has a name a device could have (%j): PROFILE_VIOLATION',
    async (name) => {
      expect(await codeOf(issue({ name, csr: await csrOf('x@y') }))).toBe('PROFILE_VIOLATION');
      expect(await fleet.store.lastSeq()).toBe(0);
    },
  );

  it('is not made with a profile of devices, or one that is unknown', async () => {
    expect(await codeOf(issue({ profile: 'device-client' }))).toBe('PROFILE_VIOLATION');
    expect(await codeOf(issue({ profile: 'root' }))).toBe('PROFILE_UNKNOWN');
  });

  it('needs a key of its own: one of a device, or of another service, is CSR_KEY_IN_USE', async () => {
    const key = newKey();
    const { tokenHash } = await tokenOf(fleet);
    await enroll(fleet, { csr: await csrOf('d1', key), tokenHash });
    expect(await codeOf(issue({ csr: await csrOf('broker@works', key) }))).toBe('CSR_KEY_IN_USE');
    const own = newKey();
    await issue({ csr: await csrOf('broker@works', own) });
    const other = { name: 'api@works', csr: await csrOf('api@works', own) };
    expect(await codeOf(issue(other))).toBe('CSR_KEY_IN_USE');
    // Renewed with the key it has.
    expect((await issue({ csr: await csrOf('broker@works', own) })).state).toBe('active');
  });
});

describe('revoking one certificate', () => {
  const revoke = (
    serial: string,
    reason?: 'keyCompromise' | 'certificateHold',
    by: Caller = caller('admin'),
  ) => revokeCertificate(fleet, { caller: by, serial: parseSerialHex(serial), reason });

  it('is done once and answered the same ever after', async () => {
    const { serial } = await issue();
    const first = await revoke(serial, 'keyCompromise');
    fleet.clock.advance(Duration.hours(1));
    const second = await revoke(serial);
    expect(second.certificate).toMatchObject({ state: 'revoked', reason: 'keyCompromise' });
    expect(second.certificate.revokedAt).toBe(first.certificate.revokedAt);
    expect(second.entry.seq).toBe(first.entry.seq);
  });

  it('is answered the same also when its owner has had hundreds of entries since', async () => {
    const { serial } = await issue();
    const first = await revoke(serial);
    const entry = (await fleet.store.listEntriesOf('broker@works', 1))[0]!;
    const later = { ...entry.data, serial: 'ff' };
    await fleet.store.commit({
      writes: [],
      entries: Array.from({ length: 300 }, () => ({ at: 1, actor: 'keyline', data: later })),
    });
    expect((await revoke(serial)).entry.seq).toBe(first.entry.seq);
  });

  it('by twenty at once is one entry', async () => {
    const { serial } = await issue();
    const answers = await Promise.all(Array.from({ length: 20 }, () => revoke(serial)));
    expect(new Set(answers.map(({ entry }) => entry.seq)).size).toBe(1);
    expect(await fleet.store.lastSeq()).toBe(2);
  });

  it('that nobody issued is CERTIFICATE_NOT_FOUND', async () => {
    expect(await codeOf(revoke('abcd'))).toBe('CERTIFICATE_NOT_FOUND');
  });

  it('is not held: a broker refuses a serial for good or not at all', async () => {
    const { serial } = await issue();
    expect(await codeOf(revoke(serial, 'certificateHold'))).toBe('REQUEST_INVALID');
    expect(await fleet.store.findCertificate(serial)).toMatchObject({ state: 'active' });
  });

  it('of a suspended device is final: resuming the device does not bring it back', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const { certificate } = await enroll(fleet, { csr: await csrOf('d1'), tokenHash });
    await changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'suspend' });
    const answer = await revoke(certificate.serial, 'keyCompromise');
    expect(answer.certificate.reason).toBe('keyCompromise');
    await changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'resume' });
    expect(await fleet.store.findCertificate(certificate.serial)).toMatchObject({
      state: 'revoked',
      reason: 'keyCompromise',
    });
  });
});
