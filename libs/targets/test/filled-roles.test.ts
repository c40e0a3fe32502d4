// Roles whose topics ask for type, batch or labels: filled for the identities that have them, on our broker and on a Mosquitto.
import type { DeviceTypes, Role } from '@keyline/access';
import type { Device, Labels } from '@keyline/fleet';
import type { DeviceId } from '@keyline/kernel';
import type { EntryData } from '@keyline/ledger';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  compileAclFile,
  createDynsecTarget,
  createTargetFollower,
  exportDynamicSecurity,
  type TargetFollower,
} from '../src/index.ts';
import { FakeBroker } from './fake-broker.ts';

const plain: Role = {
  ...{ name: 'device', description: '', publish: ['devices/%u/up'], subscribe: [] },
};
const sited: Role = {
  name: 'sited',
  description: '',
  publish: ['devices/%u/up', 'sites/%{label:site}/devices/%u'],
  subscribe: ['sites/%{label:site}/config', '$share/workers/jobs/%{type}/#'],
};
const roles = new Map<string, Role>();
const types: DeviceTypes = new Map(
  ['device', 'sited'].map((role) => [
    role,
    { name: role, description: '', profile: 'device-client', role },
  ]),
);

let broker: FakeBroker;
let devices: Device[];
let target: TargetFollower;
let seq: number;
beforeEach(() => {
  roles.clear();
  for (const role of [plain, sited]) roles.set(role.name, role);
  broker = new FakeBroker();
  broker.isNew = true;
  devices = [];
  seq = 0;
  target = open();
});

const fleet = {
  lastSeq: () => Promise.resolve(seq),
  listDevices: () => Promise.resolve({ items: devices, nextCursor: null }),
  findAlert: () => Promise.resolve(undefined),
  listAuthorities: () => Promise.resolve([]),
  listRevoked: () => Promise.resolve([]),
  findDevice: (id: DeviceId) => Promise.resolve(devices.find((one) => one.id === id)),
  findCertificate: () => Promise.resolve(undefined),
  listCertificatesOf: () => Promise.resolve([]),
};

function open(exclusive = true): TargetFollower {
  return createTargetFollower({
    target: createDynsecTarget({ name: 'embedded', client: broker }),
    ...{ roles, types, fleet, exclusive },
  });
}

function put(id: string, labels: Labels, type = 'sited'): void {
  devices = devices.filter((one) => one.id !== id);
  devices.push({
    ...{ id: id as DeviceId, type, batch: null, labels, state: 'active', version: 1 },
    ...{ createdAt: 0, updatedAt: 0, serial: null, notAfter: null },
    ...{ entry: null, admission: null, predecessor: null },
  });
}

async function follow(id: string, kind = 'device-enrolled'): Promise<void> {
  const data = { kind, device: id, type: 'sited', state: 'active', role: 'sited', serial: '01' };
  seq += 1;
  await target.apply([
    { seq, at: 0, actor: 'test', data: { ...data, notAfter: 1 } as unknown as EntryData },
  ]);
}

const roleOf = (id: string): string => broker.clients.get(id)?.roles[0]?.rolename ?? 'none';
function topicsOf(id: string, acltype: string): string[] {
  const role = broker.roles.get(roleOf(id)) as { acls: { acltype: string; topic: string }[] };
  return role.acls.filter((one) => one.acltype === acltype).map(({ topic }) => topic);
}

describe('on a broker that fills names in', () => {
  it('is one role for all with the same values, with %u left to the broker', async () => {
    put('p1', { site: 'north' });
    put('p2', { site: 'north', hall: '3' });
    put('p3', { site: 'south' });
    for (const id of ['p1', 'p2', 'p3']) await follow(id);
    expect(roleOf('p1')).toMatch(/^sited~[0-9a-f]{24}$/);
    expect(roleOf('p2')).toBe(roleOf('p1'));
    expect(roleOf('p3')).not.toBe(roleOf('p1'));
    expect(topicsOf('p1', 'publishClientSend')).toEqual([
      'devices/%u/up',
      'sites/north/devices/%u',
    ]);
    expect(topicsOf('p1', 'subscribePattern')).toEqual([
      'sites/north/config',
      '$share/workers/jobs/sited/#',
    ]);
    // MQTT 5 §4.8.2: what is shared is sent under its own topic.
    expect(topicsOf('p1', 'publishClientReceive')).toEqual(['sites/north/config', 'jobs/sited/#']);
  });

  it('gives nothing by a label that is missing, or that would be more than one level', async () => {
    for (const [id, site] of [
      ['p1', undefined],
      ['p2', '#'],
      ['p3', '+'],
      ['p4', 'a/b'],
      ['p5', '%u'],
    ] as const) {
      put(id, site === undefined ? {} : { site });
      await follow(id);
      expect(topicsOf(id, 'publishClientSend')).toEqual(['devices/%u/up']);
      expect(topicsOf(id, 'publishClientReceive')).toEqual(['jobs/sited/#']);
    }
    // None of the roles that ca-config names has a topic that was not filled.
    expect(JSON.stringify([...broker.roles.values()])).not.toContain('%{');
  });

  it('follows a label that changes, by whatever entry says so, and forgets the role that nobody has any more', async () => {
    put('p1', { site: 'north' });
    await follow('p1');
    const before = roleOf('p1');
    put('p1', { site: 'south' });
    await follow('p1', 'device-changed');
    expect(topicsOf('p1', 'publishClientSend')).toContain('sites/south/devices/%u');
    expect(broker.roles.has(before)).toBe(true);
    expect(await target.reconcile()).toMatchObject({ changed: 0, missing: 0 });
    expect(broker.roles.has(before)).toBe(false);
    expect(broker.roles.has(roleOf('p1'))).toBe(true);
  });

  it('is put right at a comparison: another role, another content of it, a role that is gone', async () => {
    for (const id of ['p1', 'p2', 'p3']) {
      put(id, { site: id });
      await follow(id);
    }
    await target.reconcile();
    const [own, widened, gone] = [roleOf('p1'), roleOf('p2'), roleOf('p3')];
    broker.clients.get('p1')!.roles = [{ rolename: 'sited', priority: -1 }];
    broker.roles.set(widened, {
      rolename: widened,
      acls: [{ acltype: 'publishClientSend', topic: '#', allow: true, priority: 0 }],
    });
    broker.roles.delete(gone);
    expect(await target.reconcile()).toMatchObject({ changed: 1, roles: 2 });
    expect(roleOf('p1')).toBe(own);
    expect(topicsOf('p2', 'publishClientSend')).not.toContain('#');
    expect(broker.roles.has(gone)).toBe(true);
    expect(await target.reconcile()).toMatchObject({ changed: 0, roles: 0 });
  });

  it('follows the role itself when ca-config gives another', async () => {
    put('p1', { site: 'north' });
    await follow('p1');
    roles.set('sited', { ...sited, publish: ['halls/%{label:site}'] });
    expect(await target.reconcile()).toMatchObject({ changed: 1 });
    expect(topicsOf('p1', 'publishClientSend')).toEqual(['halls/north']);
    roles.set('sited', { ...plain, name: 'sited' });
    await target.reconcile();
    expect(roleOf('p1')).toBe('sited');
  });

  it('leaves the roles of others alone where the broker is not Keyline’s alone', async () => {
    const name = `sited~${'0'.repeat(24)}`;
    for (const rolename of [name, 'of-others', 'of~others'])
      broker.roles.set(rolename, { rolename });
    const stranger = { username: 'stranger', disabled: false, groups: [] };
    broker.clients.set('stranger', { ...stranger, roles: [{ rolename: name, priority: -1 }] });
    await open(false).reconcile();
    expect([...broker.roles.keys()]).toContain(name);
    await open(true).reconcile();
    expect([...broker.roles.keys()]).not.toContain(name);
    expect([...broker.roles.keys()]).toEqual(expect.arrayContaining(['of-others', 'of~others']));
  });
});

describe('on a Mosquitto', () => {
  beforeEach(() => {
    broker.knowsSerials = false;
  });

  it('is a role for each whose topics name it beside a label: nothing but its acl_file fills names in there', async () => {
    put('p1', { site: 'north' });
    put('p2', { site: 'north' });
    for (const id of ['p1', 'p2']) await follow(id);
    expect(roleOf('p2')).not.toBe(roleOf('p1'));
    // "devices/%u/up" is in the acl_file.
    expect(topicsOf('p1', 'publishClientSend')).toEqual(['sites/north/devices/p1']);
    expect(topicsOf('p2', 'publishClientSend')).toEqual(['sites/north/devices/p2']);
    expect(compileAclFile(roles)).not.toContain('%{');
    expect(compileAclFile(roles)).toContain('pattern write devices/%u/up');
  });

  it('has them also in the file that an empty broker begins with', async () => {
    put('p1', { site: 'north' });
    const admins = ['keyline@service'];
    const clock = { now: () => 0 };
    const document = JSON.parse(
      await exportDynamicSecurity({ fleet, roles, types, admins, clock }),
    ) as {
      clients: { username: string; roles: { rolename: string }[] }[];
      roles: { rolename: string }[];
    };
    const name = document.clients.find(({ username }) => username === 'p1')?.roles[0]?.rolename;
    expect(name).toMatch(/^sited~/);
    expect(document.roles.map(({ rolename }) => rolename)).toContain(name);
    await target.reconcile();
    expect(roleOf('p1')).toBe(name);
  });
});
