// What the fleet says of an identity, and how that compares with what a broker has.
import type { DeviceTypes, Role, Roles, TopicValues } from '@keyline/access';
import type { Device, Store } from '@keyline/fleet';
import { Duration, KeylineError } from '@keyline/kernel';
import { brokerRoleOf } from './broker-role.ts';
import type {
  ActualIdentity,
  AdmittedCertificate,
  Capabilities,
  DesiredIdentity,
} from './target.ts';

export type FleetReader = Pick<
  Store,
  | 'listDevices'
  | 'findDevice'
  | 'findCertificate'
  | 'findAlert'
  | 'listCertificatesOf'
  | 'lastSeq'
  | 'listRevoked'
  | 'listAuthorities'
>;

const devicesPerPage = 1000;
/** The broker's clock may be behind. */
const endsLater = Duration.days(1);

/** What ca-config says, and how a broker takes it. */
export interface RightsRules {
  readonly types: DeviceTypes;
  readonly roles: Roles;
  readonly fillsNames: boolean;
}

/** What ca-config gives to identities of a type. Undefined: it has that type, or its role, no more. */
export function roleOfType(
  { types, roles }: Pick<RightsRules, 'types' | 'roles'>,
  type: string,
): Role | undefined {
  const name = types.get(type)?.role;
  return name === undefined ? undefined : roles.get(name);
}

/** The rights of an identity as its broker is to have them. */
export function rightsOf(
  role: Role,
  device: TopicValues,
  rules: Pick<RightsRules, 'fillsNames'>,
): Pick<DesiredIdentity, 'role' | 'rights'> {
  const rights = brokerRoleOf(role, device, rules);
  return rights === role ? { role: role.name } : { role: rights.name, rights };
}

/** @throws {KeylineError} DEVICE_TYPE_UNKNOWN for an active one: what it may is not known */
export function desiredOf(device: Device, rules: RightsRules): DesiredIdentity {
  const role = roleOfType(rules, device.type);
  if (role === undefined && device.state === 'active') {
    throw new KeylineError(
      'DEVICE_TYPE_UNKNOWN',
      `"${device.id}" is of the type "${device.type}", which ca-config has no more. Bring it back, or decommission "${device.id}".`,
    );
  }
  return {
    device: device.id,
    state: device.state,
    ...(role === undefined ? { role: '' } : rightsOf(role, device, rules)),
    restarts: false,
    serials: listOf(device),
  };
}

/** Certificates that a device may come with: the newest, after the one that may be used in its place. */
export function listOf({ serial, predecessor }: Pick<Device, 'serial' | 'predecessor'>): string[] {
  return [predecessor, serial].filter((one) => one !== null);
}

export function admittedOf({
  device: username,
  serials = [],
}: Pick<DesiredIdentity, 'device' | 'serials'>): AdmittedCertificate | undefined {
  const serial = serials.at(-1);
  if (serial === undefined) return undefined;
  return { username, serial, predecessor: serials.at(-2) ?? null };
}

/** Whether a list has the certificate in force and none from before its predecessor. What the broker ended by itself stays ended. */
export function isListRight(desired: DesiredIdentity, listed: readonly string[]): boolean {
  const admitted = admittedOf(desired);
  if (admitted === undefined) return true;
  const at = listed.indexOf(admitted.serial);
  return at >= 0 && listed.slice(0, at).every((serial) => serial === admitted.predecessor);
}

export interface Verdict {
  readonly kind: 'same' | 'missing' | 'changed' | 'stale';
  readonly isRight: boolean;
}

/** @param actual undefined: the broker does not know it */
export function compare(
  desired: DesiredIdentity,
  actual: ActualIdentity | undefined,
  { deniesUnknown, refusesSerials }: Capabilities,
): Verdict {
  const { state, isOver = false } = desired;
  if (state === 'active') {
    if (actual === undefined) return { kind: 'missing', isRight: false };
    if (actual.access !== 'granted' || actual.role !== desired.role) {
      return { kind: 'changed', isRight: false };
    }
    // A certificate that was issued while the broker was being listed is no drift.
    return { kind: 'same', isRight: !refusesSerials || isListRight(desired, actual.serials) };
  }
  const isEnded = state === 'revoked' || state === 'decommissioned';
  const mayBeUnknown = state === 'registered' || deniesUnknown || isOver;
  const mayBeDenied = state === 'suspended' || (isEnded && !mayBeUnknown);
  const isRight = actual === undefined ? mayBeUnknown : mayBeDenied && actual.access === 'denied';
  // Forgetting one that is over is no repair.
  if (isRight || isOver) return { kind: 'same', isRight };
  if (actual === undefined) return { kind: 'missing', isRight };
  return { kind: isEnded ? 'stale' : 'changed', isRight };
}

/** Whether a device that was let go of could show no certificate any more, so that a broker may forget it. */
export async function isOverFor(
  fleet: Pick<FleetReader, 'listCertificatesOf'>,
  { id, state, notAfter }: Device,
  now: number,
): Promise<boolean> {
  const ended = state === 'revoked' || state === 'decommissioned';
  if (!ended || (notAfter !== null && now < notAfter + endsLater)) return false;
  // An earlier one may have been made for longer than the newest.
  const certificates = await fleet.listCertificatesOf(id);
  return certificates.every((certificate) => now >= certificate.notAfter + endsLater);
}

export async function* devicePages(
  fleet: Pick<FleetReader, 'listDevices'>,
): AsyncGenerator<readonly Device[]> {
  let cursor: string | undefined;
  do {
    const page = await fleet.listDevices({ limit: devicesPerPage, cursor });
    yield page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}
