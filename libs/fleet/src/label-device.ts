// Labels of a device or service, changed after it was enrolled: an entry like others, which brokers follow where rights name labels.
import { identityKindOf } from '@keyline/access';
import { KeylineError, parseDeviceId } from '@keyline/kernel';
import { entryBy, type Caller } from './caller.ts';
import { conflict, getEntry, type FleetContext } from './context.ts';
import type { DeviceChanged } from './device-state.ts';
import type { Device, Labels } from './model.ts';
import type { Write } from './ports.ts';

const mostLabels = 32;

/** What is put on and taken off; a name in both is a mistake. */
export interface LabelChange {
  readonly set: Labels;
  readonly remove: readonly string[];
}

/** @throws {KeylineError} REQUEST_INVALID for a change of nothing, or one that says two things of a label */
export function assertLabelChange({ set, remove }: LabelChange): void {
  if (Object.keys(set).length === 0 && remove.length === 0) {
    throw new KeylineError('REQUEST_INVALID', 'Say which labels to set or to remove.');
  }
  const both = remove.find((name) => Object.hasOwn(set, name));
  if (both === undefined) return;
  throw new KeylineError('REQUEST_INVALID', `The label "${both}" is to be set and to be removed.`);
}

/**
 * Idempotent: a device that has these labels already answers with the entry that it stands on.
 * @throws {KeylineError} DEVICE_NOT_FOUND, REQUEST_INVALID (too many labels, or a change of nothing), DEVICE_CHANGED
 */
export async function labelDevice(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly id: string;
    readonly change: LabelChange;
    /** The job that does it, and what is to be written with the change or not at all. */
    readonly job?: string | undefined;
    readonly alongside?: readonly Write[] | undefined;
  },
): Promise<DeviceChanged> {
  const { caller, change, job, alongside = [] } = command;
  const id = parseDeviceId(command.id);
  assertLabelChange(change);
  for (let attempt = 0; attempt < 5; attempt++) {
    const device = await context.store.findDevice(id);
    if (device === undefined) {
      throw new KeylineError('DEVICE_NOT_FOUND', `There is no device or service "${id}".`);
    }
    const labels = labelsAfter(device, change);
    if (isSame(labels, device.labels)) {
      const entry = await getEntry(context.store, { name: id, entry: device.entry });
      return { device, entry, changed: false };
    }
    const now = context.clock.now();
    const result = await context.store.commit({
      writes: [
        {
          op: 'update-device',
          id,
          expectVersion: device.version,
          at: now,
          state: device.state,
          serial: device.serial,
          notAfter: device.notAfter,
          labels,
        },
        ...alongside,
      ],
      entries: [
        {
          at: now,
          ...entryBy(caller),
          data: {
            kind: 'device-labelled',
            device: id,
            type: device.type,
            state: device.state,
            role: context.types.get(device.type)?.role ?? '',
            labels,
            ...(job === undefined ? {} : { job }),
          },
        },
      ],
    });
    const [entry] = result.ok ? result.entries : [];
    if (entry !== undefined) {
      const { seq } = entry;
      const version = device.version + 1;
      return {
        device: { ...device, labels, version, updatedAt: now, entry: seq },
        entry,
        changed: true,
      };
    }
    if (!result.ok && result.code !== 'DEVICE_CHANGED') throw conflict(result);
  }
  throw new KeylineError(
    'DEVICE_CHANGED',
    `"${id}" is being changed by others at the same time; send the request again.`,
  );
}

/** In the order of their names, so that the same labels are the same row. */
function labelsAfter({ id, type, labels }: Device, { set, remove }: LabelChange): Labels {
  const after = new Map(Object.entries({ ...labels, ...set }));
  for (const name of remove) after.delete(name);
  if (after.size > mostLabels) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `The ${identityKindOf(type)} "${id}" would have ${String(after.size)} labels; it may have ${String(mostLabels)}. Remove some.`,
    );
  }
  return Object.fromEntries([...after].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isSame(a: Labels, b: Labels): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
