import type { Role } from '@keyline/access';
import { restoredAlertKey, type Alert, type Certificate, type Device } from '@keyline/fleet';
import type { EntryData, LedgerEntry } from '@keyline/ledger';
import { FakeClock, isKeylineError, type DeviceId, type SerialHex } from '@keyline/kernel';
import { beforeEach, describe, expect, it } from 'vitest';
import { compileRole } from '../src/dynsec/compile-role.ts';
import {
  compileAclFile,
  createDynsecTarget,
  createTargetFollower,
  exportDynamicSecurity,
  type TargetFollower,
} from '../src/index.ts';
import { FakeBroker } from './fake-broker.ts';

const device: Role = {
  name: 'device',
  description: 'd',
  publish: ['devices/%u/telemetry'],
  subscribe: ['devices/%u/commands/#'],
};
const gateway: Role = { name: 'gateway', description: 'g', publish: ['g/%u/#'], subscribe: [] };
const roles = new Map([device, gateway].map((role) => [role.name, role]));

const types = new Map(
  [
    { name: 'default', description: '', profile: 'device-client', role: 'device' },
    { name: 'gateway', description: '', profile: 'device-client', role: 'gateway' },
  ].map((type) => [type.name, type]),
);

let restoredAlert: Alert | undefined;
const restoredAlertOf = ({ resolvedAt }: Pick<Alert, 'resolvedAt'>): Alert => ({
  ...{ key: restoredAlertKey, severity: 'critical', summary: '', count: 1, examples: [] },
  ...{ firstAt: 0, lastAt: 0, resolvedAt },
});
let broker: FakeBroker;
/** What the fleet says, for comparisons. */
let devices: Device[];
let revoked: {
  serial: SerialHex;
  revokedAt: number;
  reason: 'keyCompromise' | 'certificateHold';
}[];
let certificates: Map<string, Certificate[]>;
/** Serial → owner. */
let onRecord: Map<string, string>;
let target: TargetFollower;
let clock: FakeClock;
let seq: number;

beforeEach(() => {
  roles.set('device', device);
  broker = new FakeBroker();
  clock = new FakeClock(1_000_000);
  seq = 0;
  devices = [];
  certificates = new Map();
  onRecord = new Map();
  revoked = [];
  target = createTarget();
});

function createTarget(options: { exclusive?: boolean } = {}): TargetFollower {
  return createTargetFollower({
    target: createDynsecTarget({ name: 'embedded', client: broker }),
    roles,
    types,
    clock,
    fleet: {
      lastSeq: () => Promise.resolve(seq),
      listDevices: ({ limit, cursor }) => {
        const start = Number(cursor ?? 0);
        const end = start + limit;
        return Promise.resolve({
          items: devices.slice(start, end),
          nextCursor: end < devices.length ? String(end) : null,
        });
      },
      findAlert: () => Promise.resolve(restoredAlert),
      listAuthorities: () =>
        Promise.resolve([
          {
            id: 'issuing-1',
            state: 'ready',
            certificate: null,
            root: null,
            crlShards: [],
            createdAt: 0,
            revokedAt: null,
            reason: null,
          },
        ]),
      listRevoked: () => Promise.resolve(revoked),
      findDevice: (id) => Promise.resolve(devices.find((one) => one.id === id)),
      findCertificate: (serial) => {
        const owner = onRecord.get(serial);
        return Promise.resolve(
          owner === undefined ? undefined : ({ serial, owner } as Certificate),
        );
      },
      listCertificatesOf: (id) => Promise.resolve(certificates.get(id) ?? []),
    },
    ...options,
  });
}

function deviceRow(id: string, state: Device['state'] = 'active', type = 'default'): Device {
  return {
    id: id as DeviceId,
    type,
    state,
    batch: null,
    labels: {},
    version: 1,
    createdAt: 0,
    updatedAt: 0,
    serial: null,
    notAfter: 10 ** 12,
    entry: null,
    admission: null,
    predecessor: null,
  };
}

function entry(data: EntryData): LedgerEntry {
  seq++;
  return { seq, at: clock.now(), actor: 'test', data };
}

function issued(
  id: string,
  kind: 'device-enrolled' | 'device-renewed' | 'device-reissued' = 'device-enrolled',
  role = 'device',
): LedgerEntry {
  const data = {
    device: id,
    type: 'default',
    state: 'active',
    role,
    serial: '01',
    notAfter: 1,
  } as const;
  return entry({ kind, ...data });
}

function renewed(id: string, serial: string): LedgerEntry {
  const data = { device: id, type: 'default', state: 'active', role: 'device' } as const;
  return entry({ kind: 'device-renewed', ...data, serial, notAfter: 1 });
}

/** What the fleet says is the newest certificate of a device, and which may be used in its place. */
function inForce(id: string, serial: string, predecessor: string | null = null): void {
  devices = [
    ...devices.filter((one) => one.id !== id),
    {
      ...deviceRow(id),
      serial: serial as SerialHex,
      predecessor: predecessor as SerialHex | null,
    },
  ];
}

function used(id: string, serial: string, predecessor: string): LedgerEntry {
  const data = { device: id, type: 'default', state: 'active', role: 'device' } as const;
  return entry({ kind: 'certificate-used', ...data, serial, predecessor });
}

function changed(
  id: string,
  change: 'suspended' | 'resumed' | 'revoked' | 'decommissioned',
  serials: string[] = [],
): LedgerEntry {
  return entry({
    kind: `device-${change}`,
    device: id,
    type: 'default',
    state: change === 'resumed' ? 'active' : change,
    role: 'device',
    reason: change === 'suspended' ? 'certificateHold' : 'keyCompromise',
    serials,
  });
}

const rolesOf = (id: string): string[] | undefined =>
  broker.clients.get(id)?.roles.map(({ rolename }) => rolename);

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isKeylineError(error)) return error.code;
    throw error;
  }
  return 'none';
}

describe('compileRole', () => {
  it('gives a subscriber both rights it needs, and keeps %u for the broker', () => {
    expect(compileRole(device, { fillsNames: true, limitsRates: true })).toEqual({
      rolename: 'device',
      acls: [
        { acltype: 'publishClientSend', topic: 'devices/%u/telemetry', priority: 0, allow: true },
        { acltype: 'subscribePattern', topic: 'devices/%u/commands/#', priority: 0, allow: true },
        {
          acltype: 'publishClientReceive',
          topic: 'devices/%u/commands/#',
          priority: 0,
          allow: true,
        },
      ],
    });
  });
});

describe('preparing a broker', () => {
  it('makes roles and default rights once, and changes nothing that is right already', async () => {
    await target.prepare();
    expect(broker.commands).toEqual([
      'getDetails',
      'revokeCertificates',
      'getDefaultACLAccess',
      'getRole',
      'getRole',
      'setDefaultACLAccess',
      'createRole',
      'createRole',
    ]);
    broker.payloads.length = 0;
    await target.prepare();
    expect(broker.commands.slice(2)).toEqual(['getDefaultACLAccess', 'getRole', 'getRole']);
  });

  it('modifies only the role that differs', async () => {
    await target.prepare();
    broker.roles.set('gateway', { rolename: 'gateway', acls: [] });
    broker.payloads.length = 0;
    await target.prepare();
    expect(broker.payloads.at(-1)).toEqual([
      { command: 'modifyRole', ...compileRole(gateway, { fillsNames: true, limitsRates: true }) },
    ]);
  });
});

describe('rates of a role', () => {
  const limited = { ...device, messagesPerSecond: 20, bytesPerSecond: 4096 };

  it('go to Keyline’s own broker, without its rights when only they differ', async () => {
    await target.prepare();
    roles.set('device', limited);
    broker.payloads.length = 0;
    await target.prepare();
    expect(broker.payloads.at(-1)).toEqual([
      { command: 'modifyRole', rolename: 'device', messagerate: 20, byterate: 4096 },
    ]);
    roles.set('device', { ...device, bytesPerSecond: 4096 });
    await target.prepare();
    expect(broker.payloads.at(-1)).toEqual([
      { command: 'modifyRole', rolename: 'device', messagerate: 0 },
    ]);
    const sent = broker.payloads.length;
    await target.prepare();
    expect(broker.payloads.slice(sent).flat()).not.toContainEqual(
      expect.objectContaining({ command: 'modifyRole' }),
    );
  });

  it('do not go to a Mosquitto, which has none', async () => {
    broker.knowsSerials = false;
    roles.set('device', limited);
    await target.prepare();
    expect(JSON.stringify(broker.payloads)).not.toMatch(/rate"/);
    const sent = broker.payloads.length;
    await target.prepare();
    expect(broker.payloads.slice(sent).flat()).not.toContainEqual(
      expect.objectContaining({ command: 'modifyRole' }),
    );
  });
});

describe('applying the ledger', () => {
  it('sends one small payload for an enrollment', async () => {
    await target.prepare();
    broker.payloads.length = 0;
    await target.apply([issued('d1')]);
    expect(broker.payloads).toEqual([
      [
        { command: 'createClient', username: 'd1', serials: ['01'] },
        { command: 'addClientRole', username: 'd1', rolename: 'device', priority: -1 },
      ],
    ]);
  });

  it('prepares by itself before the first push', async () => {
    await target.apply([issued('d1')]);
    expect(rolesOf('d1')).toEqual(['device']);
  });

  it('bounds a payload, and sends larger ones when the broker is quick', async () => {
    await target.prepare();
    broker.payloads.length = 0;
    await target.apply(Array.from({ length: 250 }, (_, n) => issued(`d${String(n)}`)));
    const sizes = broker.payloads.map(({ length }) => length);
    expect(sizes[0]).toBeLessThanOrEqual(32);
    expect(Math.max(...sizes)).toBeGreaterThan(sizes[0]!);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(400);
    expect(broker.clients.size).toBe(250);
  });

  it('does not kick a device when the same entries come again after a crash', async () => {
    const entries = [issued('d1'), issued('d2', 'device-enrolled', 'gateway')];
    await target.apply(entries);
    broker.kicked.length = 0;
    const restarted = createTarget();
    await restarted.apply(entries);
    expect(broker.kicked).toEqual([]);
    expect(restarted.acknowledgedAt('d2', 2)).toBe(clock.now());
  });

  it('replaces the role of a client that has another', async () => {
    await target.apply([issued('d1')]);
    const restarted = createTarget();
    await restarted.apply([issued('d1', 'device-enrolled', 'gateway')]);
    expect(rolesOf('d1')).toEqual(['gateway']);
  });

  it('puts a renewed certificate behind the old one on the list, kicks nobody, and acknowledges it', async () => {
    await target.apply([issued('d1')]);
    broker.payloads.length = 0;
    broker.kicked.length = 0;
    inForce('d1', '0c', '01');
    await target.apply([renewed('d1', '0c')]);
    expect(broker.payloads).toEqual([
      [
        {
          command: 'admitCertificates',
          certificates: [{ username: 'd1', serial: '0c', predecessor: '01' }],
        },
      ],
    ]);
    expect(broker.clients.get('d1')?.serials).toEqual(['01', '0c']);
    expect(broker.kicked).toEqual([]);
    expect(target.acknowledgedAt('d1', 2)).toBe(clock.now());
  });

  it('takes what was before a certificate from its list when that was used, wherever it was, and acknowledges it', async () => {
    await target.apply([issued('d1')]);
    inForce('d1', '0c', '01');
    await target.apply([renewed('d1', '0c')]);
    inForce('d1', '0c');
    broker.payloads.length = 0;
    broker.kicked.length = 0;
    await target.apply([used('d1', '0c', '01')]);
    expect(broker.commands).toEqual(['admitCertificates']);
    expect(broker.clients.get('d1')?.serials).toEqual(['0c']);
    expect(broker.kicked).toEqual([]);
    expect(target.acknowledgedAt('d1', 3)).toBe(clock.now());
  });

  it('makes a device that comes back with the list it had, not without one', async () => {
    inForce('d1', '0c', '01');
    await target.apply([changed('d1', 'suspended'), changed('d1', 'resumed')]);
    // So that the first use of the successor is seen there, too.
    expect(broker.clients.get('d1')?.serials).toEqual(['01', '0c']);
    broker.clients.delete('d1');
    inForce('d1', '0c');
    await target.apply([changed('d1', 'resumed')]);
    expect(broker.clients.get('d1')?.serials).toEqual(['0c']);
  });

  it('puts the certificate in force on a list, whatever an old entry says', async () => {
    await target.apply([issued('d1')]);
    inForce('d1', '0d', '01');
    await target.apply([renewed('d1', '0c')]);
    expect(broker.clients.get('d1')?.serials).toEqual(['01', '0d']);
  });

  it('tells a broker that missed two renewals what holds now', async () => {
    await target.apply([issued('d1')]);
    onRecord.set('01', 'd1');
    inForce('d1', '0d', '0c');
    await target.apply([renewed('d1', '0c'), used('d1', '0c', '01'), renewed('d1', '0d')]);
    expect(broker.clients.get('d1')?.serials).toEqual(['0c', '0d']);
    expect(await target.takeReports()).toEqual([]);
  });

  it.each(['following', 'comparing'])(
    'leaves a list alone, when %s, that has a certificate which is not on record, and reports it',
    async (how) => {
      await target.apply([issued('d1')]);
      // As after ca/keyline.db was brought back from an older day.
      broker.clients.get('d1')!.serials = ['0f'];
      inForce('d1', '0d', '0c');
      onRecord.set('0f', 'd2');
      if (how === 'following') await target.apply([renewed('d1', '0d')]);
      else await target.reconcile();
      expect(broker.clients.get('d1')?.serials).toEqual(['0f']);
      expect(await target.takeReports()).toEqual([
        { kind: 'unlisted', device: 'd1', serial: '0f', address: '' },
      ]);
      expect(await target.takeReports()).toEqual([]);
    },
  );

  it('says nothing of a renewal, nor of its use, to a broker that keeps no lists', async () => {
    broker.knowsSerials = false;
    await target.apply([issued('d1')]);
    broker.payloads.length = 0;
    inForce('d1', '0c');
    await target.apply([renewed('d1', '0c')]);
    inForce('d1', '0c');
    await target.apply([used('d1', '0c', '01')]);
    expect(broker.payloads).toEqual([]);
    expect(target.acknowledgedAt('d1', 3)).toBe(clock.now());
    expect(await target.takeReports()).toEqual([]);
  });

  it.each([
    { before: ['01'], after: ['01', '0c'] },
    { before: ['00', '01'], after: ['01', '0c'] },
    { before: ['00', '01', '0c'], after: ['01', '0c'] },
    // What the broker ended by itself stays ended.
    { before: ['0c'], after: ['0c'] },
    { before: ['01', '0c'], after: ['01', '0c'] },
    { before: ['00'], after: ['01', '0c'] },
    { before: undefined, after: ['01', '0c'] },
  ])('brings a list from $before up to date, which is no drift', async ({ before, after }) => {
    await target.apply([issued('d1')]);
    broker.clients.get('d1')!.serials = before;
    inForce('d1', '0c', '01');
    for (const serial of ['00', '01', '0c']) onRecord.set(serial, 'd1');
    const found = await target.reconcile();
    expect(found).toMatchObject({ changed: 0, missing: 0, stale: 0 });
    expect(broker.clients.get('d1')?.serials).toEqual(after);
    broker.payloads.length = 0;
    await target.reconcile();
    expect(broker.commands).not.toContain('admitCertificates');
  });

  it('settles with a broker the uses that are on record', async () => {
    await target.prepare();
    await target.settleUses([
      { kind: 'used', device: 'd1', serial: '0c', address: '::1' },
      { kind: 'unlisted', device: 'd2', serial: '0d', address: '' },
    ]);
    expect(broker.settled).toEqual([{ username: 'd1', serial: '0c' }]);
    broker.payloads.length = 0;
    await target.settleUses([]);
    expect(broker.payloads).toEqual([]);
  });

  it('tells each report of the broker once, also after the broker began to count anew', async () => {
    await target.prepare();
    const report = (serial: string) => ({
      n: 1,
      kind: 'unlisted',
      username: 'd1',
      serial,
      address: '::1',
    });
    broker.reports = [report('0a'), { kind: 'nonsense' }];
    expect(await target.takeReports()).toEqual([
      { kind: 'unlisted', device: 'd1', serial: '0a', address: '::1' },
    ]);
    expect(await target.takeReports()).toEqual([]);
    broker.start = 'second';
    broker.reports = [report('0b')];
    expect((await target.takeReports()).map(({ serial }) => serial)).toEqual(['0b']);
    expect(await target.takeReports()).toEqual([]);
  });

  it('suspends by disabling and taking the rights away in one payload, and resumes', async () => {
    await target.apply([issued('d1')]);
    broker.payloads.length = 0;
    await target.apply([changed('d1', 'suspended', ['0a'])]);
    expect(broker.payloads).toEqual([
      [
        { command: 'disableClient', username: 'd1' },
        { command: 'modifyClient', username: 'd1', roles: [], groups: [] },
      ],
    ]);
    expect(broker.revoked.size).toBe(0);
    await target.apply([changed('d1', 'resumed', ['0a'])]);
    expect(broker.clients.get('d1')).toMatchObject({ disabled: false });
    expect(rolesOf('d1')).toEqual(['device']);
  });

  it.each(['revoked', 'decommissioned'] as const)(
    'lets go of a device that is %s, with its certificates, in one payload',
    async (change) => {
      await target.apply([issued('d1')]);
      broker.payloads.length = 0;
      await target.apply([changed('d1', change, ['0a', '0b'])]);
      expect(broker.payloads).toEqual([
        [
          { command: 'revokeCertificates', serials: ['0a', '0b'] },
          { command: 'deleteClient', username: 'd1' },
        ],
      ]);
      clock.advance(5000);
      expect(target.acknowledgedAt('d1', 2)).toBe(1_000_000);
      expect(target.acknowledgedAt('d1', 3)).toBeUndefined();
    },
  );

  it('takes a device that the broker never knew for gone', async () => {
    await target.apply([changed('d9', 'revoked'), changed('d8', 'suspended')]);
    expect(target.acknowledgedAt('d9', 1)).toBeDefined();
  });

  it('cuts the old session of a device that was revoked and enrolled again in one run', async () => {
    await target.apply([issued('d1')]);
    broker.kicked.length = 0;
    await target.apply([changed('d1', 'revoked', ['0a']), issued('d1', 'device-reissued')]);
    expect(broker.kicked).toContain('d1');
    expect(rolesOf('d1')).toEqual(['device']);
    expect([...broker.revoked]).toEqual(['0a']);
  });

  it('revokes a single certificate, and does not ask a broker without that extension', async () => {
    const revoke = (serial: string): LedgerEntry =>
      entry({ kind: 'certificate-revoked', owner: 'd1', serial, reason: 'superseded' });
    await target.apply([revoke('0a')]);
    expect([...broker.revoked]).toEqual(['0a']);
    broker.knowsSerials = false;
    const other = createTarget();
    await other.apply([revoke('0b')]);
    await other.apply([revoke('0c')]);
    expect([...broker.revoked]).toEqual(['0a']);
    expect(other.acknowledgedAt('d1', 3)).toBeDefined();
  });

  it('ignores entries that no broker needs to know', async () => {
    await target.apply([entry({ kind: 'crl-published', authority: 'a', list: 'a', number: 1 })]);
    expect(broker.payloads).toEqual([]);
  });
});

describe('failures', () => {
  it('says TARGET_UNREACHABLE, and prepares anew when the broker is back', async () => {
    await target.prepare();
    broker.reachable = false;
    const entries = [issued('d1')];
    expect(await codeOf(target.apply(entries))).toBe('TARGET_UNREACHABLE');
    expect(target.acknowledgedAt('d1', 1)).toBeUndefined();
    broker.reachable = true;
    broker.roles.clear();
    await target.apply(entries);
    expect(rolesOf('d1')).toEqual(['device']);
  });

  it("gives a refusal in the broker's words, after every other device had its turn", async () => {
    broker.refuse.add('d1');
    const entries = Array.from({ length: 120 }, (_, n) => issued(`d${String(n)}`));
    const work = target.apply(entries);
    expect(await codeOf(work)).toBe('TARGET_REFUSED');
    await expect(work).rejects.toThrow(/createClient for "d1": Internal error/);
    expect(broker.clients.size).toBe(119);
    expect(target.acknowledgedAt('d0', 1)).toBeDefined();
    expect(target.acknowledgedAt('d1', 2)).toBeUndefined();
    broker.refuse.clear();
    broker.payloads.length = 0;
    await target.apply(entries);
    expect(broker.payloads.at(-1)?.map(({ username }) => username)).toEqual(['d1', 'd1']);
  });

  it('puts a role right that somebody deleted on the broker', async () => {
    await target.prepare();
    broker.roles.clear();
    const entries = [issued('d1')];
    expect(await codeOf(target.apply(entries))).toBe('TARGET_REFUSED');
    await target.apply(entries);
    expect(rolesOf('d1')).toEqual(['device']);
  });
});

describe('comparing and repairing', () => {
  it('fills an empty broker, with roles in one command where the broker can', async () => {
    broker.isNew = true;
    devices = Array.from({ length: 2500 }, (_, n) => deviceRow(`d${String(n)}`));
    const found = await target.reconcile();
    expect(found).toMatchObject({ devices: 2500, missing: 2500, changed: 0, stale: 0, foreign: 0 });
    expect(broker.clients.size).toBe(2500);
    expect(rolesOf('d2499')).toEqual(['device']);
    expect(broker.commands).not.toContain('addClientRole');
    expect((await target.reconcile()).missing).toBe(0);
  });

  it('repairs what somebody edited: lost, disabled, another role, a group, a way back in', async () => {
    devices = [
      deviceRow('lost'),
      deviceRow('disabled'),
      deviceRow('other', 'active', 'gateway'),
      deviceRow('grouped'),
      deviceRow('suspended', 'suspended'),
      deviceRow('revoked', 'revoked'),
      deviceRow('gone', 'decommissioned'),
      deviceRow('right'),
    ];
    const member = { rolename: 'device', priority: -1 };
    const put = (username: string, more: Partial<{ disabled: boolean; groups: unknown[] }> = {}) =>
      broker.clients.set(username, {
        username,
        disabled: false,
        roles: [member],
        groups: [],
        ...more,
      });
    put('disabled', { disabled: true });
    put('other');
    put('grouped', { groups: [{ groupname: 'g' }] });
    put('suspended');
    put('revoked');
    put('right');
    const found = await target.reconcile();
    expect(found).toMatchObject({ missing: 1, changed: 4, stale: 1, foreign: 0 });
    expect(rolesOf('lost')).toEqual(['device']);
    expect(broker.clients.get('disabled')?.disabled).toBe(false);
    expect(rolesOf('other')).toEqual(['gateway']);
    expect(broker.clients.get('suspended')).toMatchObject({ disabled: true, roles: [] });
    expect(broker.clients.has('revoked')).toBe(false);
    expect(broker.kicked).not.toContain('right');
  });

  it('gives nothing back that a broker denies or was told to forget, while nobody has seen to a database that was brought back', async () => {
    devices = [deviceRow('denied'), deviceRow('forgotten'), deviceRow('right')];
    const fill = () => {
      broker.clients.clear();
      const roles = [{ rolename: 'device', priority: -1 }];
      for (const [username, disabled] of [
        ['denied', true],
        ['right', false],
      ] as const) {
        broker.clients.set(username, {
          username,
          disabled,
          roles: disabled ? [] : roles,
          groups: [],
        });
      }
    };
    fill();
    restoredAlert = restoredAlertOf({ resolvedAt: null });
    expect(await target.reconcile()).toMatchObject({ withheld: 2, missing: 0, changed: 0 });
    expect(broker.clients.get('denied')?.disabled).toBe(true);
    expect(broker.clients.has('forgotten')).toBe(false);
    // A broker that remembers nothing is filled.
    broker.clients.clear();
    expect(await target.reconcile()).toMatchObject({ withheld: 0, missing: 3 });
    fill();
    restoredAlert = restoredAlertOf({ resolvedAt: 1 });
    expect(await target.reconcile()).toMatchObject({ withheld: 0, missing: 1, changed: 1 });
    expect(broker.clients.get('denied')?.disabled).toBe(false);
    restoredAlert = undefined;
  });

  it("removes strangers only from a broker that is Keyline's alone, and never a service", async () => {
    const put = (username: string) =>
      broker.clients.set(username, { username, disabled: false, roles: [], groups: [] });
    for (const name of ['stranger', 'ca@keyline']) put(name);
    expect((await target.reconcile()).foreign).toBe(1);
    expect(broker.clients.has('stranger')).toBe(true);
    await createTarget({ exclusive: true }).reconcile();
    expect([...broker.clients.keys()]).toEqual(['ca@keyline']);
  });

  it('tells the broker again which certificates ended, but not those on hold', async () => {
    revoked = [
      { serial: '0a' as SerialHex, revokedAt: 0, reason: 'keyCompromise' },
      { serial: '0b' as SerialHex, revokedAt: 0, reason: 'certificateHold' },
    ];
    await target.reconcile();
    expect([...broker.revoked]).toEqual(['0a']);
  });

  it('spares the ledger what it has brought already', async () => {
    const entries = [issued('d1'), issued('d2')];
    devices = [deviceRow('d1'), deviceRow('d2')];
    await target.reconcile();
    broker.payloads.length = 0;
    await target.apply(entries);
    expect(broker.payloads).toEqual([]);
    expect(target.acknowledgedAt('d1', 1)).toBe(clock.now());
  });
});

describe('what happens meanwhile', () => {
  it('lets a revocation pass between two payloads of a comparison, and does not give back what it took', async () => {
    devices = Array.from({ length: 100 }, (_, n) => deviceRow(`d${String(n).padStart(3, '0')}`));
    const gone = devices.map(({ id }) => id).filter((_, n) => n % 9 === 0);
    const order: string[] = [];
    let isRevoking = false;
    const send = broker.send.bind(broker);
    broker.send = (commands) => {
      if (commands.some(({ command }) => command === 'createClient') && !isRevoking) {
        isRevoking = true;
        devices = devices.map((one) =>
          gone.includes(one.id) ? deviceRow(one.id, 'revoked') : one,
        );
        void target
          .apply(gone.map((id) => changed(id, 'revoked')))
          .then(() => order.push('revoked'));
      }
      return send(commands);
    };
    await target.reconcile().then(() => order.push('compared'));
    expect(order).toEqual(['revoked', 'compared']);
    expect(broker.clients.size).toBe(100 - gone.length);
    for (const id of gone) expect(broker.clients.has(id)).toBe(false);
  });

  it('does not do again for an entry what the comparison under way has done', async () => {
    devices = Array.from({ length: 300 }, (_, n) => deviceRow(`d${String(n).padStart(3, '0')}`));
    const entries = devices.map(({ id }) => issued(id));
    const send = broker.send.bind(broker);
    let payloads = 0;
    broker.send = (commands) => {
      const gives = commands.some(({ command }) => command === 'createClient');
      if (gives && ++payloads === 3) void target.apply(entries);
      return send(commands);
    };
    await target.reconcile();
    await target.apply(entries);
    expect(broker.clients.size).toBe(300);
    const made = broker.payloads.flat().filter(({ command }) => command === 'createClient');
    expect(made).toHaveLength(300);
    for (const { id } of devices) expect(target.acknowledgedAt(id, 1)).toBeDefined();
  });

  it('cuts who holds the old key of a device that came back, though a comparison saw nothing of it', async () => {
    broker.knowsSerials = false;
    await target.apply([issued('d1'), issued('d2')]);
    devices = [deviceRow('d1'), deviceRow('d2')];
    const missed = [changed('d1', 'revoked'), changed('d1', 'decommissioned'), issued('d1')];
    await target.reconcile();
    broker.kicked.length = 0;
    for (const one of missed) await target.apply([one]);
    expect(broker.kicked).toContain('d1');
    expect(broker.kicked).not.toContain('d2');
    expect(rolesOf('d1')).toEqual(['device']);
  });

  it('compares all the others when the broker refuses one, and then says which', async () => {
    devices = ['a', 'b', 'c'].map((id) => deviceRow(id));
    broker.refuse.add('b');
    expect(await codeOf(target.reconcile())).toBe('TARGET_REFUSED');
    expect([...broker.clients.keys()]).toEqual(['a', 'c']);
  });

  it('leaves a device alone whose type ca-config has no more, and repairs the others', async () => {
    await target.apply([issued('a')]);
    devices = [deviceRow('a', 'active', 'gone'), deviceRow('b'), deviceRow('c', 'revoked', 'gone')];
    broker.clients.set('c', { username: 'c', disabled: false, roles: [], groups: [] });
    expect(await target.reconcile()).toMatchObject({ untyped: 1, missing: 1, stale: 1 });
    expect([...broker.clients.keys()]).toEqual(['a', 'b']);
  });

  it('gives an old entry the role that its type has by now', async () => {
    await target.apply([issued('a', 'device-enrolled', 'a-role-of-old')]);
    expect(rolesOf('a')).toEqual(['device']);
  });

  it('gives no rights by entries of long ago to a device that was revoked since', async () => {
    const old = issued('a');
    devices = [deviceRow('a', 'revoked')];
    seq += 5000;
    await target.apply([old]);
    expect(broker.clients.has('a')).toBe(false);
  });

  it('does not take a long way to the broker for slowness of the broker', async () => {
    const send = broker.send.bind(broker);
    broker.send = async (commands) => {
      await new Promise((done) => setTimeout(done, 30));
      return send(commands);
    };
    await target.apply(Array.from({ length: 60 }, (_, n) => issued(`d${String(n)}`)));
    expect(broker.payloads.at(-1)?.length).toBeGreaterThan(8);
  });
});

describe("a Mosquitto, whose acl_file has the rights in the device's own name", () => {
  beforeEach(() => {
    broker.knowsSerials = false;
  });

  it('gets no right that names the user by its roles, and a role that denies everything', async () => {
    await target.prepare();
    expect(broker.roles.get('device')).toEqual({ rolename: 'device', acls: [] });
    const denied = broker.roles.get('keyline-denied') as { acls: { allow: boolean }[] };
    expect(denied.acls.length).toBeGreaterThan(0);
    expect(denied.acls.every(({ allow }) => !allow)).toBe(true);
  });

  it.each(['suspended', 'revoked', 'decommissioned'] as const)(
    'keeps a device that is %s known and denied, also one it never knew',
    async (change) => {
      await target.apply([issued('d1')]);
      await target.apply([changed('d1', change, ['0a']), changed('new', change, ['0b'])]);
      for (const id of ['d1', 'new']) {
        expect(broker.clients.get(id)).toMatchObject({ disabled: true });
        expect(rolesOf(id)).toEqual(['keyline-denied']);
      }
      expect(target.acknowledgedAt('d1', 2)).toBeDefined();
      if (change === 'suspended') {
        await target.apply([changed('d1', 'resumed', ['0a'])]);
        expect(broker.clients.get('d1')?.disabled).toBe(false);
        expect(rolesOf('d1')).toEqual(['device']);
      }
    },
  );

  it('is repaired to the same form', async () => {
    devices = [deviceRow('a'), deviceRow('s', 'suspended'), deviceRow('r', 'revoked')];
    const found = await target.reconcile();
    expect(found).toMatchObject({ missing: 3, stale: 0 });
    expect(rolesOf('r')).toEqual(['keyline-denied']);
    expect((await target.reconcile()).missing).toBe(0);
  });

  it('forgets who was let go of once none of its certificates can be used any more', async () => {
    const day = 86_400_000;
    clock.advance(100 * day);
    devices = ['over', 'longer', 'young'].map((id) => ({
      ...deviceRow(id, 'revoked'),
      notAfter: clock.now() + (id === 'young' ? day : -2 * day),
    }));
    // An earlier certificate was made for longer than the newest.
    certificates.set('longer', [{ notAfter: clock.now() + day } as Certificate]);
    certificates.set('over', [{ notAfter: clock.now() - 2 * day } as Certificate]);
    for (const { id } of devices) await target.apply([changed(id, 'revoked')]);
    expect(broker.clients.size).toBe(3);
    expect(await target.reconcile()).toMatchObject({ stale: 0, changed: 0, missing: 0 });
    expect([...broker.clients.keys()]).toEqual(['longer', 'young']);
    // Nor is it made again.
    expect((await target.reconcile()).missing).toBe(0);
    expect(broker.clients.size).toBe(2);
  });

  it('has an acl_file with every topic that names the user, once', () => {
    expect(compileAclFile(roles).split('\n').slice(1)).toEqual([
      'pattern read devices/%u/commands/#',
      'pattern write devices/%u/telemetry',
      'pattern write g/%u/#',
      '',
    ]);
  });
});

describe('the state as a file', () => {
  it('has the admin, every device in its form, and clients in descending order', async () => {
    devices = [
      deviceRow('a'),
      deviceRow('b', 'active', 'gateway'),
      deviceRow('c', 'revoked'),
      { ...deviceRow('over', 'revoked'), notAfter: clock.now() - 2 * 86_400_000 },
    ];
    const document = JSON.parse(
      await exportDynamicSecurity({
        fleet: {
          listDevices: () => Promise.resolve({ items: devices, nextCursor: null }),
          listCertificatesOf: () => Promise.resolve([]),
        },
        roles,
        types,
        clock,
        admins: ['keyline@service'],
      }),
    );
    expect(document.clients).toEqual([
      { username: 'keyline@service', roles: [{ rolename: 'keyline-admin', priority: -1 }] },
      { username: 'c', disabled: true, roles: [{ rolename: 'keyline-denied', priority: 1000 }] },
      { username: 'b', roles: [{ rolename: 'gateway', priority: -1 }] },
      { username: 'a', roles: [{ rolename: 'device', priority: -1 }] },
    ]);
    expect(document.roles.map(({ rolename }: { rolename: string }) => rolename)).toEqual([
      'keyline-denied',
      'keyline-admin',
      'gateway',
      'device',
    ]);
    expect(document.defaultACLAccess).toMatchObject({ subscribe: false, unsubscribe: true });
  });
});
