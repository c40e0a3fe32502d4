// What a run of ledger entries means for a broker: the last state of each device, and the certificates that ended.
import type { Role } from '@keyline/access';
import type { DeviceState } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';

export interface DeviceChange {
  readonly device: string;
  /** The last entry about the device in this run. */
  readonly seq: number;
  readonly state: DeviceState;
  readonly type: string;
  readonly role: string;
  /** What that role gives, where it was filled for the device. */
  readonly rights?: Role | undefined;
  /** False when only its certificate changed (renewed, or used for the first time): the broker knows it by name, and the name stays. */
  readonly touches: boolean;
  /** It ended in this run and came back: whoever is connected under its name must be cut. */
  readonly restarts: boolean;
  /** The certificate that it may come with; undefined: what the fleet says by now. */
  readonly serials: readonly string[] | undefined;
}

export interface FoldedEntries {
  readonly devices: readonly DeviceChange[];
  /** Hex serials that are to be refused for good. */
  readonly endedSerials: readonly string[];
  /** Entries that end a certificate alone, by owner, for the evidence. */
  readonly certificates: readonly { readonly owner: string; readonly seq: number }[];
}

export function foldEntries(entries: readonly LedgerEntry[]): FoldedEntries {
  const devices = new Map<string, DeviceChange>();
  const ended = new Set<string>();
  const certificates = new Map<string, number>();
  for (const { seq, data } of entries) {
    if ('device' in data) {
      const { device, state, type, role } = data;
      const earlier = devices.get(device);
      const isOfName = data.kind !== 'device-renewed' && data.kind !== 'certificate-used';
      const touches = isOfName || earlier?.touches === true;
      // A reissued device has another key; its sessions under the old one end.
      const restarts =
        state !== 'active' || data.kind === 'device-reissued' || earlier?.restarts === true;
      // With its first certificate there is none before it.
      const isFirst = data.kind === 'device-enrolled' || data.kind === 'device-reissued';
      const serials = isFirst ? [data.serial] : undefined;
      devices.set(device, { device, seq, state, type, role, touches, restarts, serials });
      // A hold (suspend) is not for good; the broker refuses a suspended device by its name.
      if (data.kind === 'device-revoked' || data.kind === 'device-decommissioned') {
        for (const serial of data.serials) ended.add(serial);
      }
    } else if (data.kind === 'certificate-revoked') {
      certificates.set(data.owner, seq);
      if (data.reason !== 'certificateHold') ended.add(data.serial);
    }
  }
  return {
    devices: [...devices.values()],
    endedSerials: [...ended],
    certificates: [...certificates].map(([owner, seq]) => ({ owner, seq })),
  };
}
