// Let in by the word of an administrator or operator: a service (an application), with a role that no device can have.
import { identityKindOf, serviceTypeOf } from '@keyline/access';
import { KeylineError, parseDeviceId, type DeviceId } from '@keyline/kernel';
import { parseCsr } from '@keyline/pki';
import { entryBy, type Caller } from '../../caller.ts';
import {
  getTypeDetails,
  idRuleOf,
  type FailedCommit,
  type FleetContext,
  type TypeDetails,
} from '../../context.ts';
import type { Labels } from '../../model.ts';
import type { Admission, DeviceCase, DeviceHolder, Enrolled, Words } from '../admission.ts';
import { decide } from '../decide.ts';
import { keyInUse, resolveDeviceId } from '../device-id.ts';
import { issue } from '../issue.ts';
import { nothingStands, readStanding } from '../standing.ts';

export interface CreateServiceCommand {
  readonly caller: Caller;
  readonly name: string;
  /** A role with `kind: service`. */
  readonly role: string;
  readonly labels: Labels;
  /** PEM text or DER bytes, untrusted. */
  readonly csr: string | Uint8Array;
  /** Asked-for validity in milliseconds. */
  readonly validity?: number | undefined;
}

/**
 * The same name with the same role and key again is answered by what stands.
 * @throws {KeylineError} FORBIDDEN, ROLE_UNKNOWN, CSR_*, DEVICE_ID_INVALID, DEVICE_EXISTS, DEVICE_STATE_FORBIDS, CSR_KEY_IN_USE,
 *   VALIDITY_NOT_ALLOWED
 */
export function createService(
  context: FleetContext,
  command: CreateServiceCommand,
): Promise<Enrolled> {
  const { caller } = command;
  if (caller.role !== 'admin' && caller.role !== 'operator') {
    throw new KeylineError(
      'FORBIDDEN',
      `Services are made by administrators and operators; "${caller.name}" is ${caller.role}.`,
    );
  }
  return issue(context, admitByOperator(context, command));
}

function admitByOperator(
  context: FleetContext,
  command: CreateServiceCommand,
): Admission<DeviceCase, DeviceHolder> {
  const { validity, labels, caller } = command;
  const name = parseDeviceId(command.name);
  const details = getServiceDetails(context, command.role);
  const csr = parseCsr(command.csr, { maxBytes: context.csrBytes });
  const id = resolveDeviceId(name, csr);
  const { spkiSha256 } = csr;
  return {
    async read(store, now) {
      const device = await store.findDevice(id);
      return {
        admitted: {
          id,
          key: csr,
          validity,
          details,
          batch: null,
          labels,
          by: entryBy(caller),
          noted: {},
          // A retry whose answer was lost. One whose certificate ended renews, or is decommissioned and made anew.
          knows:
            device?.type === details.type.name &&
            isSame(device.labels, labels) &&
            device.notAfter !== null &&
            now < device.notAfter,
          otherKey: 'refuse',
          before: 'supersede',
          conditions: [],
          words: wordsOf(id),
        },
        standing:
          device === undefined
            ? nothingStands
            : await readStanding(store, device, { spkiSha256, rescues: true }),
        ...idRuleOf(context),
      };
    },
    decide,
  };
}

/** @throws {KeylineError} ROLE_UNKNOWN */
function getServiceDetails(context: FleetContext, role: string): TypeDetails {
  if (context.types.has(serviceTypeOf(role))) {
    return getTypeDetails(context, serviceTypeOf(role), 'service');
  }
  const forDevices = context.roles.has(role);
  const known = [...context.types.values()]
    .filter((type) => identityKindOf(type.name) === 'service')
    .map((type) => type.role);
  throw new KeylineError(
    'ROLE_UNKNOWN',
    `${
      forDevices
        ? `The role "${role}" is for devices; a service can't have it.`
        : `There is no role "${role}".`
    } Roles for services: ${known.length === 0 ? 'none' : known.join(', ')}. One more is a file in ca-config/roles with "kind: service".`,
  );
}

function isSame(a: Labels, b: Labels): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function wordsOf(id: DeviceId): Words {
  return {
    exists: (device) =>
      new KeylineError(
        'DEVICE_EXISTS',
        `The service "${id}" exists already${
          device.type.startsWith(serviceTypeOf('')) ? ` (${device.type})` : ''
        }, with another key, role or labels. It renews with its certificate (keyline service renew); to make it anew, decommission it first (keyline service decommission ${id}).`,
      ),
    stateForbids: ({ state }) =>
      new KeylineError(
        'DEVICE_STATE_FORBIDS',
        `The service "${id}" is ${state}. ${
          state === 'suspended'
            ? `Resume it: keyline service resume ${id}.`
            : `To make it anew, decommission it first: keyline service decommission ${id}.`
        }`,
      ),
    keyWasHeld: () =>
      new KeylineError(
        'CSR_KEY_IN_USE',
        `The key was used before by the service "${id}", which was decommissioned since. Make a new key pair.`,
      ),
    explain: (failure) => explain(failure, id),
  };
}

function explain({ code, context }: FailedCommit, id: DeviceId): KeylineError {
  if (code === 'CSR_KEY_IN_USE') return keyInUse(id, context['owner']);
  return new KeylineError(
    code,
    `The service "${id}" could not be made just now; send the same request again.`,
    { context },
  );
}
