// What the ledger tells of devices and certificates, and whether the rows tell the same.
import type { EntryData, LedgerEntry } from '@keyline/ledger';
import { expect } from 'vitest';
import { isOver } from '../src/context.ts';
import type { CertificateState, DeviceState, FleetContext } from '../src/index.ts';

interface ToldCertificate {
  readonly owner: string;
  state: CertificateState;
  held: boolean;
  entry: number;
}

interface ToldDevice {
  state: DeviceState;
  serial: string;
  entry: number;
  admission: number;
  batch: string | null;
}

export interface Story {
  readonly devices: ReadonlyMap<string, ToldDevice>;
  readonly certificates: ReadonlyMap<string, ToldCertificate>;
  /** How often each token was used. */
  readonly uses: ReadonlyMap<string, number>;
  /** How many units each batch has signed, rework aside. */
  readonly units: ReadonlyMap<string, number>;
}

export function tellStory(ledger: readonly LedgerEntry[]): Story {
  const devices = new Map<string, ToldDevice>();
  const certificates = new Map<string, ToldCertificate>();
  const uses = new Map<string, number>();
  const units = new Map<string, number>();
  const count = (counts: Map<string, number>, name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  const endCertificate = (serial: string, entry: number, held: boolean): void => {
    const found = certificates.get(serial);
    if (found === undefined)
      throw new Error(`entry ${String(entry)} ends ${serial}, which nobody issued`);
    Object.assign(found, { state: 'revoked', held, entry });
  };

  function issued(data: Extract<EntryData, { serial: string; device: string }>, seq: number): void {
    const { device, serial } = data;
    if (data.kind === 'certificate-used') return;
    if (certificates.has(serial)) throw new Error(`${serial} was issued twice`);
    const before = devices.get(device);
    const last = before && certificates.get(before.serial);
    if (data.kind === 'device-renewed' && last?.state === 'active') last.state = 'superseded';
    if (data.token !== undefined) count(uses, data.token);
    if (data.batch !== undefined && before?.state !== 'active') count(units, data.batch);
    certificates.set(serial, { owner: device, state: 'active', held: false, entry: seq });
    const isAdmission = data.kind !== 'device-renewed';
    devices.set(device, {
      state: data.state,
      serial,
      entry: seq,
      admission: isAdmission ? seq : (before?.admission ?? 0),
      batch: isAdmission ? (data.batch ?? null) : (before?.batch ?? null),
    });
  }

  for (const { seq, data } of ledger) {
    if ('serials' in data) {
      const device = devices.get(data.device);
      if (device === undefined) throw new Error(`entry ${String(seq)} changes an unknown device`);
      Object.assign(device, { state: data.state, entry: seq });
      for (const serial of data.serials) {
        const found = certificates.get(serial);
        if (data.kind !== 'device-resumed') {
          endCertificate(serial, seq, data.kind === 'device-suspended');
        } else if (found?.held === true) {
          const state = serial === device.serial ? 'active' : 'superseded';
          Object.assign(found, { state, held: false, entry: seq });
        }
      }
    } else if ('device' in data && 'serial' in data) issued(data, seq);
    else if (data.kind === 'certificate-revoked') endCertificate(data.serial, seq, false);
  }
  return { devices, certificates, uses, units };
}

/** Compares the rows with the ledger, column by column. */
export async function expectOneStory({
  store,
  clock,
  profiles,
}: Pick<FleetContext, 'store' | 'clock' | 'profiles'>): Promise<void> {
  const told = tellStory(await store.readEntries(0, 1_000_000));
  const { items } = await store.listDevices({ limit: 1000 });
  expect(
    items.map(({ id, state, serial, entry, admission, batch }) => [
      id,
      { state, serial, entry, admission, batch },
    ]),
  ).toEqual([...told.devices].sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const [serial, { owner, state, held, entry }] of told.certificates) {
    const row = await store.findCertificate(serial as never);
    expect(row).toMatchObject({ owner, state, entry });
    expect(row?.reason === 'certificateHold').toBe(held);
    expect(await store.findKeyOwner(row!.spkiSha256)).toBe(owner);
  }
  for (const { id, state, predecessor } of items) {
    const certificates = await store.listCertificatesOf(id);
    expect(certificates.filter(({ serial }) => !told.certificates.has(serial))).toEqual([]);
    // One that is good for nothing any more is left as it is, whatever becomes of its device.
    const now = clock.now();
    const good = certificates.filter(
      (one) => one.state === 'active' && !isOver({ profiles }, one, now),
    );
    expect(good.length).toBeLessThanOrEqual(state === 'active' ? 1 : 0);
    const before = certificates.find(({ serial }) => serial === predecessor);
    if (predecessor !== null) expect(before).toBeDefined();
  }
  for (const token of (await store.listTokens({ limit: 1000 })).items) {
    expect(token.uses).toBe(told.uses.get(token.id) ?? 0);
    expect(token.uses).toBeLessThanOrEqual(token.maxUses);
  }
  for (const batch of (await store.listBatches({ limit: 1000 })).items) {
    expect(batch.issued).toBe(told.units.get(batch.id) ?? 0);
    expect(batch.issued).toBeLessThanOrEqual(batch.quota);
  }
}
