import { Duration, parseDeviceId } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeDeviceState,
  enroll,
  renew,
  revokeCertificate,
  type Certificate,
  type DeviceChanged,
  type DeviceState,
  type StateChange,
} from '../src/index.ts';
import {
  codeOf,
  csrOf,
  kinds,
  openTestFleet,
  operator,
  tokenOf,
  type TestFleet,
} from './test-fleet.ts';

const d1 = parseDeviceId('d1');
let fleet: TestFleet;
let first: Certificate;
beforeEach(async () => {
  fleet = await openTestFleet();
  const { tokenHash } = await tokenOf(fleet, { type: 'sensor' });
  first = (await enroll(fleet, { csr: await csrOf('d1'), tokenHash })).certificate;
});
afterEach(() => fleet.close());

const change = (what: StateChange, reason?: RevocationReason): Promise<DeviceChanged> =>
  changeDeviceState(fleet, { caller: operator, id: 'd1', change: what, reason });
const found = async (serial = first.serial): Promise<Certificate | undefined> =>
  fleet.store.findCertificate(serial);
const state = async (): Promise<DeviceState | undefined> =>
  (await fleet.store.findDevice(d1))?.state;
const renewed = async (): Promise<Certificate> =>
  (
    await renew(fleet, {
      caller: { role: 'device', name: 'd1', via: 'certificate', certificate: first },
      csr: await csrOf('d1'),
    })
  ).certificate;

describe('a device in a state', () => {
  const ways: Record<DeviceState, StateChange[]> = {
    registered: [],
    active: [],
    suspended: ['suspend'],
    revoked: ['revoke'],
    decommissioned: ['decommission'],
  };
  const next: Record<DeviceState, Record<StateChange, DeviceState | 'refused'>> = {
    registered: {
      revoke: 'revoked',
      suspend: 'refused',
      resume: 'refused',
      decommission: 'decommissioned',
    },
    active: {
      revoke: 'revoked',
      suspend: 'suspended',
      resume: 'active',
      decommission: 'decommissioned',
    },
    suspended: {
      revoke: 'revoked',
      suspend: 'suspended',
      resume: 'active',
      decommission: 'decommissioned',
    },
    revoked: {
      revoke: 'revoked',
      suspend: 'refused',
      resume: 'refused',
      decommission: 'decommissioned',
    },
    decommissioned: {
      revoke: 'refused',
      suspend: 'refused',
      resume: 'refused',
      decommission: 'decommissioned',
    },
  };
  const cases = Object.entries(next).flatMap(([from, changes]) =>
    Object.entries(changes).map(([what, to]) => [from, what, to] as const),
  );

  it.each(cases)('%s: %s makes it %s', async (from, what, to) => {
    if (from === 'registered') {
      await fleet.store.commit({
        writes: [
          {
            op: 'update-device',
            id: d1,
            expectVersion: 1,
            at: 1,
            state: 'registered',
            serial: null,
            notAfter: null,
          },
        ],
        entries: [],
      });
    }
    for (const way of ways[from as DeviceState]) await change(way);
    const seq = await fleet.store.lastSeq();
    if (to === 'refused') {
      expect(await codeOf(change(what as StateChange))).toBe('DEVICE_STATE_FORBIDS');
      expect(await state()).toBe(from);
      expect(await fleet.store.lastSeq()).toBe(seq);
      return;
    }
    const { changed, device } = await change(what as StateChange);
    expect(changed).toBe(from !== to);
    expect(device).toEqual(await fleet.store.findDevice(d1));
    expect(await state()).toBe(to);
    // One entry for a change, none for a state that holds already.
    expect(await fleet.store.lastSeq()).toBe(changed ? seq + 1 : seq);
  });

  it('answers a repeat with the entry that brought it there, not with a later one', async () => {
    const { entry } = await change('revoke', 'keyCompromise');
    fleet.clock.advance(Duration.hours(1));
    expect((await change('revoke')).entry).toMatchObject({ seq: entry.seq, at: entry.at });
  });
});

it('is DEVICE_NOT_FOUND for nobody, DEVICE_ID_INVALID for what is no id', async () => {
  const other = (id: string) =>
    codeOf(changeDeviceState(fleet, { caller: operator, id, change: 'revoke' }));
  expect(await other('nobody')).toBe('DEVICE_NOT_FOUND');
  expect(await other('a/b')).toBe('DEVICE_ID_INVALID');
});

it('suspends with a hold on the certificates (RFC 5280 §5.3.1), and keeps the reason that was given in the ledger', async () => {
  const { entry } = await change('suspend', 'privilegeWithdrawn');
  expect(await found()).toMatchObject({ state: 'revoked', reason: 'certificateHold' });
  const [written] = await fleet.store.readEntries(entry.seq - 1, 1);
  expect(written?.data).toMatchObject({ kind: 'device-suspended', reason: 'privilegeWithdrawn' });
});

describe('revoking', () => {
  it('ends every certificate that has not ended, and says which, in one entry', async () => {
    const second = await renewed();
    const { entry } = await change('revoke', 'keyCompromise');
    for (const serial of [first.serial, second.serial]) {
      expect(await found(serial)).toMatchObject({
        state: 'revoked',
        reason: 'keyCompromise',
        revokedAt: fleet.clock.now(),
      });
    }
    const [written] = await fleet.store.readEntries(entry.seq - 1, 1);
    expect(written).toMatchObject({
      actor: 'operator:operator@works',
      data: { kind: 'device-revoked', state: 'revoked', role: 'sensor', reason: 'keyCompromise' },
    });
    expect(written?.data).toHaveProperty(
      'serials',
      expect.toSatisfy(
        (serials: string[]) =>
          serials.length === 2 && new Set(serials).isSupersetOf(new Set([first.serial])),
      ),
    );
  });

  it('leaves a certificate alone that could not even renew any more', async () => {
    fleet.clock.advance(Duration.days(41));
    await change('revoke');
    expect((await found())?.state).toBe('active');
  });

  it('can be done when the device’s type is in the configuration no more', async () => {
    fleet.types.delete('sensor');
    for (const what of ['suspend', 'revoke', 'decommission'] as const) {
      expect((await change(what)).changed).toBe(true);
    }
    expect((await found())?.state).toBe('revoked');
  });

  it('beside other changes at once, ends in one of the states asked for, with all certificates ended', async () => {
    const tries = (['revoke', 'suspend', 'decommission'] as const).flatMap((what) =>
      Array.from({ length: 7 }, () => codeOf(change(what))),
    );
    const codes = new Set(await Promise.all(tries));
    codes.delete('done');
    codes.delete('DEVICE_STATE_FORBIDS');
    expect([...codes]).toEqual([]);
    expect(await state()).toBe('decommissioned');
    expect(await found()).toMatchObject({ state: 'revoked' });
    expect((await found())?.reason).not.toBe('certificateHold');
  });
});

describe('suspending', () => {
  it('puts the certificate on hold, whatever reason is given, and resuming lifts it', async () => {
    await change('suspend', 'keyCompromise');
    expect(await found()).toMatchObject({ state: 'revoked', reason: 'certificateHold' });
    await change('resume');
    expect(await found()).toMatchObject({ state: 'active', reason: null, revokedAt: null });
    expect(kinds(await fleet.store.listEntriesOf('d1', 9))).toEqual([
      'device-resumed',
      'device-suspended',
      'device-enrolled',
    ]);
  });

  it.each([
    ['revoke', 'unspecified'],
    ['decommission', 'cessationOfOperation'],
  ] as const)('and then %s makes the hold final', async (what, reason) => {
    await change('suspend');
    fleet.clock.advance(5000);
    const { entry } = await change(what);
    expect(await found()).toMatchObject({
      state: 'revoked',
      reason,
      revokedAt: fleet.clock.now(),
    });
    const [written] = await fleet.store.readEntries(entry.seq - 1, 1);
    expect(written?.data).toMatchObject({ serials: [first.serial] });
  });

  it('and resuming lift nothing that was revoked for another reason', async () => {
    await revokeCertificate(fleet, {
      caller: operator,
      serial: first.serial,
      reason: 'keyCompromise',
    });
    await change('suspend');
    await change('resume');
    expect(await found()).toMatchObject({ state: 'revoked', reason: 'keyCompromise' });
  });

  it('and resuming give a superseded certificate back as superseded', async () => {
    const second = await renewed();
    await change('suspend');
    await change('resume');
    expect((await found())?.state).toBe('superseded');
    expect((await found(second.serial))?.state).toBe('active');
  });

  it('and resuming after the certificate’s end lifts its hold, so that it can renew in its grace', async () => {
    await change('suspend');
    fleet.clock.advance(Duration.days(11));
    await change('resume');
    expect((await found())?.state).toBe('active');
  });

  it('and resuming need the type: without it the device stays suspended', async () => {
    await change('suspend');
    fleet.types.delete('sensor');
    expect(await codeOf(change('resume'))).toBe('DEVICE_TYPE_UNKNOWN');
    expect(await state()).toBe('suspended');
  });
});
