// A fleet and its ledger in memory: what a target reads, and what a follower follows.
import type { Certificate, Device } from '@keyline/fleet';
import { parseDeviceId, type SerialHex } from '@keyline/kernel';
import type { EntryData, LedgerEntry, LedgerStore } from '@keyline/ledger';
import type { FleetReader } from '../../src/desired-identity.ts';

type Change = 'suspended' | 'resumed' | 'revoked' | 'decommissioned';
const stateAfter = {
  suspended: 'suspended',
  resumed: 'active',
  revoked: 'revoked',
  decommissioned: 'decommissioned',
} as const;

export class MemoryFleet {
  readonly devices = new Map<string, Device>();
  readonly certificates = new Map<string, Certificate>();
  readonly entries: LedgerEntry[] = [];
  readonly #cursors = new Map<string, number>();
  readonly #listeners = new Set<(entries: readonly LedgerEntry[]) => void>();
  #serials = 0;

  /** @param type also its role */
  enroll(id: string, type = 'device'): string {
    const serial = this.#issue(id);
    this.#put({
      ...{ id: parseDeviceId(id), type, batch: null, labels: {}, state: 'active' },
      ...{ version: 1, createdAt: 0, updatedAt: 0, entry: null, admission: null },
      ...{ serial, notAfter: 10 ** 13, predecessor: null },
    });
    this.#add({ kind: 'device-enrolled', ...this.#about(id), serial, notAfter: 10 ** 13 });
    return serial;
  }

  renew(id: string): string {
    const device = this.get(id);
    const serial = this.#issue(id);
    this.#put({ ...device, predecessor: device.serial, serial });
    this.#add({ kind: 'device-renewed', ...this.#about(id), serial, notAfter: 10 ** 13 });
    return serial;
  }

  use(id: string): void {
    const device = this.get(id);
    const { serial, predecessor } = device;
    if (serial === null || predecessor === null) throw new Error(`"${id}" has no successor`);
    this.#put({ ...device, predecessor: null });
    this.#add({ kind: 'certificate-used', ...this.#about(id), serial, predecessor });
  }

  change(id: string, change: Change): void {
    const device = this.get(id);
    this.#put({ ...device, state: stateAfter[change] });
    const isEnd = change === 'revoked' || change === 'decommissioned';
    const own = [...this.certificates.values()].filter(({ owner }) => owner === id);
    const reason = change === 'suspended' ? 'certificateHold' : 'keyCompromise';
    if (isEnd) {
      for (const one of own)
        this.certificates.set(one.serial, { ...one, state: 'revoked', reason });
    }
    const serials = own.map(({ serial }) => serial);
    this.#add({ kind: `device-${change}`, ...this.#about(id), reason, serials });
  }

  get(id: string): Device {
    const device = this.devices.get(id);
    if (device === undefined) throw new Error(`no "${id}"`);
    return device;
  }

  get reader(): FleetReader {
    const page = (cursor: string | null | undefined, limit: number) => {
      const all = [...this.devices.values()];
      const start = Number(cursor ?? 0);
      const nextCursor = start + limit < all.length ? String(start + limit) : null;
      return { items: all.slice(start, start + limit), nextCursor };
    };
    return {
      lastSeq: () => Promise.resolve(this.entries.length),
      listDevices: ({ limit, cursor }) => Promise.resolve(page(cursor, limit)),
      findDevice: (id) => Promise.resolve(this.devices.get(id)),
      findCertificate: (serial) => Promise.resolve(this.certificates.get(serial)),
      listCertificatesOf: (owner) =>
        Promise.resolve([...this.certificates.values()].filter((one) => one.owner === owner)),
      findAlert: () => Promise.resolve(undefined),
      listAuthorities: () =>
        Promise.resolve([
          {
            ...{ id: 'issuing-1', state: 'ready', certificate: null, root: null, crlShards: [] },
            ...{ createdAt: 0, revokedAt: null, reason: null },
          },
        ]),
      listRevoked: ({ after = '' }) =>
        Promise.resolve(
          [...this.certificates.values()]
            .filter(({ state, serial }) => state === 'revoked' && serial > after)
            .map(({ serial }) => ({ serial, revokedAt: 0, reason: 'keyCompromise' as const })),
        ),
    };
  }

  /** As much of a store as a follower needs. */
  get ledger(): LedgerStore {
    return {
      commit: ({ writes }) => {
        for (const write of writes) {
          if (write.op === 'move-cursor') this.#cursors.set(write.follower, write.seq);
        }
        return Promise.resolve({ ok: true, entries: [] });
      },
      onCommit: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      readEntries: (after, limit) => Promise.resolve(this.entries.slice(after, after + limit)),
      findCursor: (follower) => Promise.resolve(this.#cursors.get(follower) ?? 0),
      findLease: () => Promise.resolve(undefined),
      lastSeq: () => Promise.resolve(this.entries.length),
    };
  }

  #put(device: Device): void {
    this.devices.set(device.id, device);
  }

  #issue(owner: string): SerialHex {
    this.#serials++;
    const serial = (0x100000 + this.#serials).toString(16) as SerialHex;
    this.certificates.set(serial, {
      ...{ serial, kind: 'device', owner, profile: 'device', authority: 'issuing-1' },
      ...{ notBefore: 0, notAfter: 10 ** 13, spkiSha256: '', der: new Uint8Array() },
      ...{ crlShard: null, state: 'active', revokedAt: null, reason: null, entry: null },
    });
    return serial;
  }

  #about(id: string) {
    const { type, state } = this.get(id);
    return { device: id, type, state, role: type };
  }

  #add(data: EntryData): void {
    const entry = { seq: this.entries.length + 1, at: 0, actor: 'test', data };
    this.entries.push(entry);
    for (const listener of this.#listeners) listener([entry]);
  }
}
