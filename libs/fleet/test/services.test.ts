import { Duration, parseDeviceId } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeDeviceState,
  createService,
  enroll,
  issueCertificate,
  noteUse,
  renew,
  signUnit,
  type Caller,
  type Enrolled,
} from '../src/index.ts';
import {
  batchOf,
  caller,
  codeOf,
  csrOf,
  kinds,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  type Key,
  type TestFleet,
} from './test-fleet.ts';

const dashboard = parseDeviceId('dashboard');
let fleet: TestFleet;
let key: Key;
beforeEach(async () => {
  fleet = await openTestFleet();
  key = newKey();
});
afterEach(() => fleet.close());

interface Asked {
  readonly role?: string;
  readonly by?: Caller;
  readonly name?: string;
  readonly with?: Key;
  readonly labels?: Record<string, string>;
}

async function create(asked: Asked = {}): Promise<Enrolled> {
  const { role = 'reader', by = operator, name = 'dashboard', labels = {} } = asked;
  const csr = await csrOf(name, asked.with ?? key);
  return createService(fleet, { caller: by, name, role, labels, csr });
}

const renewed = ({ certificate }: Pick<Enrolled, 'certificate'>, csr?: string): Promise<Enrolled> =>
  renew(fleet, {
    caller: { role: 'service', name: certificate.owner, via: 'certificate', certificate },
    csr,
  });
const change = (to: 'revoke' | 'suspend' | 'resume' | 'decommission') =>
  changeDeviceState(fleet, { caller: operator, id: 'dashboard', change: to });

describe('a service', () => {
  it('is made by an operator’s word: an identity of its role, a certificate of kind service, one entry', async () => {
    const { device, certificate, role, created } = await create({ labels: { site: 'north' } });
    expect(created).toBe(true);
    expect(device).toMatchObject({
      ...{ id: 'dashboard', type: 'service:reader', state: 'active', labels: { site: 'north' } },
    });
    expect(certificate).toMatchObject({ kind: 'service', owner: 'dashboard' });
    expect(role.name).toBe('reader');
    const entries = await fleet.store.listEntriesOf('dashboard', 9);
    expect(kinds(entries)).toEqual(['device-enrolled']);
    expect(entries[0]).toMatchObject({
      actor: 'operator:operator@works',
      data: { type: 'service:reader', role: 'reader' },
    });
  });

  it('is made by nobody but administrators and operators: FORBIDDEN', async () => {
    await create({ by: caller('admin') });
    for (const role of ['station', 'auditor', 'device', 'service'] as const) {
      expect(await codeOf(create({ by: caller(role), name: role }))).toBe('FORBIDDEN');
    }
  });

  it('gets no role of devices, and none that is not there: ROLE_UNKNOWN, which names those there are', async () => {
    expect(await codeOf(create({ role: 'device' }))).toBe('ROLE_UNKNOWN');
    expect(await codeOf(create({ role: 'service:reader' }))).toBe('ROLE_UNKNOWN');
    await expect(create({ role: 'sensr' })).rejects.toThrow(/reader, writer/);
    expect(await fleet.store.findDevice(dashboard)).toBeUndefined();
  });

  it('has a role that no device gets: neither by a token nor by a batch', async () => {
    const type = 'service:reader';
    expect(await codeOf(tokenOf(fleet, { type }))).toBe('DEVICE_TYPE_UNKNOWN');
    expect(await codeOf(batchOf(fleet, { type }))).toBe('DEVICE_TYPE_UNKNOWN');
  });

  it('asked for again with the same key, role and labels is answered by what stands', async () => {
    const first = await create();
    const again = await create();
    expect(again).toMatchObject({
      created: false,
      certificate: { serial: first.certificate.serial },
    });
    expect(await codeOf(create({ role: 'writer' }))).toBe('DEVICE_EXISTS');
    expect(await codeOf(create({ labels: { site: 'b' } }))).toBe('DEVICE_EXISTS');
    expect(await codeOf(create({ with: newKey() }))).toBe('DEVICE_EXISTS');
  });

  it('and a device never share a name, in whatever state either is', async () => {
    const token = async () => ({ tokenHash: (await tokenOf(fleet)).tokenHash });
    await create();
    const asDevice = async () =>
      enroll(fleet, { csr: await csrOf('dashboard'), ...(await token()) });
    const asUnit = async () =>
      signUnit(fleet, {
        ...{ caller: operator, csr: await csrOf('dashboard') },
        batch: await batchOf(fleet),
      });
    expect(await codeOf(asDevice())).toBe('DEVICE_EXISTS');
    expect(await codeOf(asUnit())).toBe('DEVICE_EXISTS');
    await change('decommission');
    expect(await codeOf(asDevice())).toBe('DEVICE_EXISTS');
    await enroll(fleet, { csr: await csrOf('d1'), ...(await token()) });
    expect(await codeOf(create({ name: 'd1' }))).toBe('DEVICE_EXISTS');
    await changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'decommission' });
    expect(await codeOf(create({ name: 'd1', with: newKey() }))).toBe('DEVICE_EXISTS');
  });

  it('and a certificate that was asked for by name alone never share a name: those carry an "@"', async () => {
    const asked = {
      ...{ caller: operator, profile: 'service-client', name: 'dashboard' },
      csr: await csrOf('dashboard'),
    };
    await expect(issueCertificate(fleet, asked)).rejects.toThrow(
      /keyline service create dashboard/,
    );
    expect(await codeOf(create({ name: 'dashboard@works' }))).toBe('DEVICE_ID_INVALID');
  });

  it('renews with its certificate, with the same key and with a new one, and keeps its role', async () => {
    const first = await create();
    fleet.clock.advance(Duration.days(60));
    const second = await renewed(first);
    expect(second.device).toMatchObject({ type: 'service:reader', state: 'active' });
    expect(second.certificate).toMatchObject({
      kind: 'service',
      spkiSha256: first.certificate.spkiSha256,
    });
    const third = await renewed(second, await csrOf('dashboard', newKey()));
    expect(third.certificate.spkiSha256).not.toBe(first.certificate.spkiSha256);
  });

  it('ends its superseded certificate by using the next one, as a device does', async () => {
    const first = await create();
    fleet.clock.advance(Duration.days(60));
    const { certificate } = await renewed(first, await csrOf('dashboard', newKey()));
    const service = { role: 'service', name: 'dashboard', via: 'certificate' } as const;
    await noteUse(fleet, { ...service, certificate });
    const old = { ...service, certificate: first.certificate };
    expect(await codeOf(noteUse(fleet, old))).toBe('CERTIFICATE_NOT_ACCEPTED');
  });

  it('is suspended, resumed, revoked and decommissioned, and can then be made anew with a new key', async () => {
    const first = await create();
    expect((await change('suspend')).device.state).toBe('suspended');
    expect(await codeOf(create())).toBe('DEVICE_STATE_FORBIDS');
    expect((await change('resume')).device.state).toBe('active');
    expect((await change('revoke')).device.state).toBe('revoked');
    expect((await fleet.store.findCertificate(first.certificate.serial))?.state).toBe('revoked');
    expect(await codeOf(renewed(first))).toBe('DEVICE_STATE_FORBIDS');
    await change('decommission');
    expect(await codeOf(create())).toBe('CSR_KEY_IN_USE');
    expect((await create({ with: newKey(), role: 'writer' })).device.type).toBe('service:writer');
  });

  it('whose role is gone from ca-config can be stopped, and not come back', async () => {
    await create();
    fleet.types.delete('service:reader');
    await change('suspend');
    expect(await codeOf(change('resume'))).toBe('DEVICE_TYPE_UNKNOWN');
    expect((await change('revoke')).device.state).toBe('revoked');
  });

  it('is listed and counted apart from devices, and watched as the certificate of a service', async () => {
    const at = fleet.clock.now();
    await create();
    await enroll(fleet, { csr: await csrOf('d1'), tokenHash: (await tokenOf(fleet)).tokenHash });
    const ids = async (kind?: 'device' | 'service') =>
      (await fleet.store.listDevices({ limit: 9, kind })).items.map(({ id }) => id);
    expect(await ids('service')).toEqual(['dashboard']);
    expect(await ids('device')).toEqual(['d1']);
    expect(await ids()).toEqual(['d1', 'dashboard']);
    expect((await fleet.store.countDevicesByState()).active).toBe(1);
    const ending = await fleet.store.listExpiring({
      ...{ before: at + Duration.days(400), minLifetime: 0, maxLifetime: Duration.days(400) },
    });
    expect(ending.map(({ kind, group }) => `${kind} ${group}`)).toEqual([
      'device default',
      'service dashboard',
    ]);
  });
});
