// Revoke, suspend, resume, decommission: one unit of work each; the followers carry it everywhere.
import { identityKindOf } from '@keyline/access';
import { KeylineError, parseDeviceId, type SerialHex } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import { entryBy, type Caller } from './caller.ts';
import { conflict, getEntry, getTypeDetails, isOver, type FleetContext } from './context.ts';
import { endConflict } from './identity-conflict.ts';
import type { Certificate, Device, DeviceState } from './model.ts';
import type { Write } from './ports.ts';

export type StateChange = 'revoke' | 'suspend' | 'resume' | 'decommission';

interface Transition {
  readonly from: readonly DeviceState[];
  readonly to: DeviceState;
  readonly kind: 'device-revoked' | 'device-suspended' | 'device-resumed' | 'device-decommissioned';
  readonly defaultReason: RevocationReason;
}

const transitions: Record<StateChange, Transition> = {
  revoke: {
    from: ['registered', 'active', 'suspended'],
    to: 'revoked',
    kind: 'device-revoked',
    defaultReason: 'unspecified',
  },
  suspend: {
    from: ['active'],
    to: 'suspended',
    kind: 'device-suspended',
    defaultReason: 'certificateHold',
  },
  resume: {
    from: ['suspended'],
    to: 'active',
    kind: 'device-resumed',
    defaultReason: 'unspecified',
  },
  decommission: {
    from: ['registered', 'active', 'suspended', 'revoked'],
    to: 'decommissioned',
    kind: 'device-decommissioned',
    defaultReason: 'cessationOfOperation',
  },
};

/** The states from which a change can be made. */
export function statesFor(change: StateChange): readonly DeviceState[] {
  return transitions[change].from;
}

export interface DeviceChanged {
  readonly device: Device;
  /** The entry this state stands on: a new one, or the one of the last change when it held already. */
  readonly entry: { readonly seq: number; readonly at: number };
  readonly changed: boolean;
}

/**
 * Idempotent: a device already in the wanted state answers with the entry that it stands on.
 * @throws {KeylineError} DEVICE_NOT_FOUND, DEVICE_STATE_FORBIDS, DEVICE_CHANGED
 */
export async function changeDeviceState(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly id: string;
    readonly change: StateChange;
    readonly reason?: RevocationReason | undefined;
    /** The job that does it, and what is to be written with the change or not at all. */
    readonly job?: string | undefined;
    readonly alongside?: readonly Write[] | undefined;
  },
): Promise<DeviceChanged> {
  const id = parseDeviceId(command.id);
  const transition = transitions[command.change];
  // A renewal may come between the read and the commit; its certificate must end too, so decide anew.
  for (let attempt = 0; attempt < 5; attempt++) {
    const device = await context.store.findDevice(id);
    if (device === undefined) {
      throw new KeylineError('DEVICE_NOT_FOUND', `There is no device or service "${id}".`);
    }
    if (device.state === transition.to) {
      const entry = await getEntry(context.store, { name: id, entry: device.entry });
      return { device, entry, changed: false };
    }
    if (!transition.from.includes(device.state)) {
      throw new KeylineError(
        'DEVICE_STATE_FORBIDS',
        `The ${identityKindOf(device.type)} "${id}" is ${device.state}; ${command.change} is for ${identityKindOf(device.type)}s that are ${transition.from.join(' or ')}.`,
      );
    }
    const now = context.clock.now();
    const reason =
      command.change === 'suspend'
        ? 'certificateHold'
        : (command.reason ?? transition.defaultReason);
    const certificates = await context.store.listCertificatesOf(id);
    const writes = certificates.flatMap((certificate) =>
      certificateWrites(certificate, {
        change: command.change,
        current: device.serial,
        at: now,
        reason,
        isOver: isOver(context, certificate, now),
      }),
    );
    // Whatever is decided about the device: two holders are no open question any more.
    const ended = await endConflict(context.store, id, now);
    const result = await context.store.commit({
      writes: [
        ...ended.writes,
        {
          op: 'update-device',
          id,
          expectVersion: device.version,
          at: now,
          state: transition.to,
          serial: device.serial,
          notAfter: device.notAfter,
        },
        ...writes,
        ...(command.alongside ?? []),
      ],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: {
            kind: transition.kind,
            device: id,
            type: device.type,
            state: transition.to,
            role: roleName(context, device.type, transition.to),
            // The certificates of a suspended device are on hold whatever the reason, which the ledger keeps.
            reason: command.reason ?? transition.defaultReason,
            serials: [
              ...new Set(
                writes.flatMap((write) =>
                  'serial' in write && write.serial !== null ? [write.serial] : [],
                ),
              ),
            ],
            ...(command.job === undefined ? {} : { job: command.job }),
          },
        },
        ...ended.entries,
      ],
    });
    if (result.ok) {
      const [entry] = result.entries;
      if (entry === undefined) throw new KeylineError('INTERNAL', 'A state change had no entry.');
      return {
        device: {
          ...device,
          state: transition.to,
          version: device.version + 1,
          updatedAt: now,
          entry: entry.seq,
        },
        entry,
        changed: true,
      };
    }
    // Not of the device: a job's lease, or its own row.
    if (isOfJob(result.code)) throw conflict(result);
  }
  throw new KeylineError(
    'DEVICE_CHANGED',
    `"${id}" is being changed by others at the same time; send the request again.`,
  );
}

const isOfJob = (code: string): boolean => code === 'LEASE_LOST' || code === 'JOB_STATE_FORBIDS';

/**
 * What the broker gives the device from now on. A device whose type was taken out of the configuration can still be stopped.
 * @throws {KeylineError} DEVICE_TYPE_UNKNOWN for a device that would come back
 */
function roleName(context: FleetContext, type: string, to: DeviceState): string {
  if (to === 'active') return getTypeDetails(context, type, identityKindOf(type)).role.name;
  return context.types.get(type)?.role ?? '';
}

function certificateWrites(
  certificate: Certificate,
  how: {
    readonly change: StateChange;
    readonly current: SerialHex | null;
    readonly at: number;
    readonly reason: RevocationReason;
    readonly isOver: boolean;
  },
): Write[] {
  const { serial } = certificate;
  const revoke = { op: 'revoke-certificate', serial, at: how.at, reason: how.reason } as const;
  const unhold = { op: 'unhold-certificate', serial } as const;
  const held = certificate.state === 'revoked' && certificate.reason === 'certificateHold';
  if (how.change === 'resume') {
    if (!held) return [];
    // Also one that ended meanwhile: it may still renew for the grace its profile gives.
    return serial === how.current ? [unhold] : [unhold, { op: 'supersede-certificate', serial }];
  }
  if (how.isOver) return [];
  // A hold that becomes final: lift it and revoke anew, with the new reason and time.
  if (held) return [unhold, revoke];
  return certificate.state === 'revoked' ? [] : [revoke];
}
