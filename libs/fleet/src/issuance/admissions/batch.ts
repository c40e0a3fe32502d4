// Let in by a batch: a station signs the units of a work order, idempotent per device id.
import { KeylineError, type DeviceId } from '@keyline/kernel';
import { parseCsr } from '@keyline/pki';
import { entryBy, type Caller } from '../../caller.ts';
import {
  getTypeDetails,
  idRuleOf,
  isOver,
  type FailedCommit,
  type FleetContext,
} from '../../context.ts';
import { matchesGlob } from '../../glob.ts';
import type { Batch, Device } from '../../model.ts';
import type { StoreReader } from '../../ports.ts';
import type {
  Admission,
  DeviceCase,
  DeviceHolder,
  Enrolled,
  ProvedKey,
  Standing,
  Words,
} from '../admission.ts';
import { decide, isAnsweredAgain } from '../decide.ts';
import { keyInUse, nameOwner, resolveDeviceId } from '../device-id.ts';
import { issue } from '../issue.ts';
import { nothingStands, readStanding } from '../standing.ts';

export interface SignCommand {
  readonly caller: Caller;
  readonly batch: Batch;
  /** Absent: the CSR's CN. */
  readonly id?: string | undefined;
  /** PEM text or DER bytes, untrusted. */
  readonly csr: string | Uint8Array;
}

/**
 * Signs one unit of a batch. The same id with the same key gives the certificate that was signed before and takes no quota.
 * The batch is handed in by the caller, who read it once for a whole stream: quota, end and state are conditions of the commit.
 * @throws {KeylineError} CSR_*, BATCH_*, DEVICE_ID_INVALID, DEVICE_EXISTS, DEVICE_STATE_FORBIDS, CSR_KEY_IN_USE
 */
export async function signUnit(context: FleetContext, command: SignCommand): Promise<Enrolled> {
  const { batch, caller } = command;
  assertStation(batch, caller);
  const csr = parseCsr(command.csr, { maxBytes: context.csrBytes });
  const id = resolveDeviceId(command.id, csr);
  if (batch.idPattern !== null && !matchesGlob(batch.idPattern, id)) {
    throw new KeylineError(
      'BATCH_PATTERN_MISMATCH',
      `The batch "${batch.id}" is for device ids like "${batch.idPattern}", not for "${id}".`,
    );
  }
  try {
    return await issue(context, admitByBatch(context, { batch, caller, id, key: csr }));
  } catch (error) {
    throw nameOwner(error, caller);
  }
}

function admitByBatch(
  context: FleetContext,
  given: {
    readonly batch: Batch;
    readonly caller: Caller;
    readonly id: DeviceId;
    readonly key: ProvedKey;
  },
): Admission<DeviceCase, DeviceHolder> {
  const { batch, caller, id, key } = given;
  const { distinctIgnoringCase } = idRuleOf(context);
  const noted = {
    batch: batch.id,
    ...(caller.role === 'station' ? { station: caller.name } : {}),
  };
  return {
    async read(store, now) {
      const details = getTypeDetails(context, batch.type);
      const device = await store.findDevice(id);
      const isUnit = device?.batch === batch.id;
      // A reworked unit took its quota the first time.
      const units = device?.state === 'active' ? 0 : 1;
      return {
        admitted: {
          id,
          key,
          details,
          batch: batch.id,
          labels: batch.labels,
          by: entryBy(caller),
          noted,
          knows: isUnit,
          otherKey: isUnit && batch.rework ? 'replace' : 'refuse',
          before: 'end',
          conditions: [{ op: 'take-quota', id: batch.id, at: now, units }],
          words: wordsOf(id, batch),
        },
        standing:
          device === undefined
            ? nothingStands
            : await readUnit(context, store, { device, key, isUnit, now }),
        distinctIgnoringCase,
      };
    },
    decide,
  };
}

async function readUnit(
  context: FleetContext,
  store: StoreReader,
  given: {
    readonly device: Device;
    readonly key: ProvedKey;
    readonly isUnit: boolean;
    readonly now: number;
  },
): Promise<Standing> {
  const { device, key, isUnit, now } = given;
  const { spkiSha256 } = key;
  const standing = await readStanding(store, device, { spkiSha256, rescues: isUnit });
  if (isAnsweredAgain({ knows: isUnit }, standing, key)) return standing;
  const certificates = await store.listCertificatesOf(device.id);
  const ending = certificates.filter(
    (one) => one.state !== 'revoked' && !isOver(context, one, now),
  );
  return { ...standing, ending };
}

function assertStation(batch: Batch, caller: Caller): void {
  if (caller.role !== 'station' || batch.stations.length === 0) return;
  if (!batch.stations.includes(caller.name)) {
    throw new KeylineError(
      'BATCH_STATION_NOT_ALLOWED',
      `The station "${caller.name}" may not sign for the batch "${batch.id}". Its stations: ${batch.stations.join(', ')}.`,
    );
  }
}

function wordsOf(id: DeviceId, batch: Batch): Words {
  return {
    exists: (device) =>
      device.batch === batch.id
        ? new KeylineError(
            'BATCH_KEY_DIFFERS',
            `The unit "${id}" was signed with another key. A duplicate id, or a unit that made a new key? To allow it, open the batch with rework, or decommission the device.`,
          )
        : new KeylineError(
            'DEVICE_EXISTS',
            `The device "${id}" exists already, from ${device.batch === null ? 'an enrollment' : `the batch "${device.batch}"`}.`,
          ),
    stateForbids: ({ state }) =>
      new KeylineError(
        'DEVICE_STATE_FORBIDS',
        `The device "${id}" is ${state}; it can't be signed for a batch.`,
      ),
    keyWasHeld: () => keyInUse(id, id),
    explain: (failure) => explain(failure, batch, id),
  };
}

function explain(failure: FailedCommit, batch: Batch, id: DeviceId): KeylineError {
  switch (failure.code) {
    case 'BATCH_QUOTA_EXHAUSTED':
      return new KeylineError(
        failure.code,
        `The batch "${batch.id}" has a quota of ${String(batch.quota)} units and all are signed; "${id}" was not. Open another batch for more.`,
      );
    case 'BATCH_CLOSED':
      return new KeylineError(
        failure.code,
        `The batch "${batch.id}" is closed or past its end; "${id}" was not signed.`,
      );
    case 'CSR_KEY_IN_USE':
      return keyInUse(id, failure.context['owner']);
    case 'DEVICE_EXISTS':
    case 'DEVICE_CHANGED':
      return new KeylineError(
        'DEVICE_CHANGED',
        `"${id}" is being changed by others; send it again.`,
      );
    default:
      return new KeylineError(
        failure.code,
        `"${id}" could not be signed just now; send it again.`,
        { context: failure.context },
      );
  }
}
