// What every use case is given.
import {
  identityKindOf,
  type DeviceType,
  type DeviceTypes,
  type IdentityKind,
  type Role,
  type Roles,
} from '@keyline/access';
import { KeylineError, parseDuration, type Clock } from '@keyline/kernel';
import type { IssueRequest, IssuedCertificate, Profile, Profiles } from '@keyline/pki';
import type { LedgerEntry } from '@keyline/ledger';
import type { Certificate } from './model.ts';
import type { CommitResult, Store, StoreReader, UnitOfWork } from './ports.ts';

/** The issuing authorities as the use cases see them: which one signs is the profile's matter. */
export interface IssuerPort {
  issue(request: IssueRequest): Promise<IssuedCertificate>;
}

export interface FleetContext {
  readonly store: Store;
  readonly issuer: IssuerPort;
  readonly clock: Clock;
  readonly profiles: Profiles;
  readonly types: DeviceTypes;
  readonly roles: Roles;
  readonly renewals: RenewalRules;
  /** Whether an id that differs from another in case alone is refused. Absent: no. */
  readonly distinctIgnoringCase?: boolean;
  /** Bytes of a CSR as it arrives, PEM or DER. Absent: `parseCsr`'s own bound. */
  readonly csrBytes?: number;
}

/** What bounds renewals, besides the windows of the profiles. */
export interface RenewalRules {
  /** Whether a device may renew before its window with the key it has, without an operator's word. */
  readonly earlyWithSameKey: boolean;
  /** Certificates a device may get in 24 hours. */
  readonly perDay: number;
}

export interface TypeDetails {
  readonly type: DeviceType;
  readonly role: Role;
  readonly profile: Profile;
}

/**
 * @param kind of identity that is to be of the type: what admits devices makes no service
 * @throws {KeylineError} DEVICE_TYPE_UNKNOWN
 */
export function getTypeDetails(
  context: FleetContext,
  name: string,
  kind: IdentityKind = 'device',
): TypeDetails {
  const type = identityKindOf(name) === kind ? context.types.get(name) : undefined;
  const role = type && context.roles.get(type.role);
  const profile = type && context.profiles.get(type.profile);
  if (type === undefined || role === undefined || profile === undefined) {
    if (kind === 'service') {
      throw new KeylineError(
        'DEVICE_TYPE_UNKNOWN',
        `There is no role for services as "${name}" names it. Bring its file back in ca-config/roles, with "kind: service".`,
      );
    }
    const ofDevices = [...context.types.keys()].filter((one) => identityKindOf(one) === kind);
    const known = ofDevices.join(', ');
    throw new KeylineError(
      'DEVICE_TYPE_UNKNOWN',
      `There is no device type "${name}". Known types: ${known}. Add one in ca-config/types.yaml.`,
    );
  }
  return { type, role, profile };
}

/**
 * Whether a certificate is good for nothing any more. One that ended may still renew for the grace its profile gives: a device that was
 * let go of must not come back by it.
 */
export function isOver(
  { profiles }: Pick<FleetContext, 'profiles'>,
  certificate: Certificate,
  now: number,
): boolean {
  const profile = profiles.get(certificate.profile);
  const grace = profile === undefined ? 0 : parseDuration(profile.renewal.grace);
  return now > certificate.notAfter + grace;
}

export type FailedCommit = Extract<CommitResult, { ok: false }>;

/** Commits a unit of which exactly one entry is of interest; `undefined` never comes back. */
export async function commitOrThrow(
  context: Pick<FleetContext, 'store'>,
  unit: UnitOfWork,
  explain: (failure: FailedCommit) => KeylineError,
): Promise<LedgerEntry> {
  const result = await context.store.commit(unit);
  if (!result.ok) throw explain(result);
  const [entry] = result.entries;
  if (entry === undefined)
    throw new KeylineError('INTERNAL', 'A unit of work had no ledger entry.');
  return entry;
}

/** The entry that a row stands on. @throws {KeylineError} INTERNAL where there is none */
export async function getEntry(
  store: Pick<StoreReader, 'readEntries'>,
  row: { readonly name: string; readonly entry: number | null },
): Promise<LedgerEntry> {
  const [entry] = row.entry === null ? [] : await store.readEntries(row.entry - 1, 1);
  if (entry === undefined) throw new KeylineError('INTERNAL', `"${row.name}" has no ledger entry.`);
  return entry;
}

/** The sentence for conditions that a caller may simply meet again by retrying. */
export function conflict(failure: FailedCommit): KeylineError {
  return new KeylineError(
    failure.code,
    `Not done: ${failure.code.toLowerCase().replaceAll('_', ' ')}. It was changed at the same time; send the request again.`,
    { context: failure.context },
  );
}

/** What `insert-device` is to see to. */
export function idRuleOf({ distinctIgnoringCase = false }: FleetContext): {
  readonly distinctIgnoringCase: boolean;
} {
  return { distinctIgnoringCase };
}

/** Whether a new device was refused for an id that differs from another in case alone. */
export function isInOtherCase({ code, context }: FailedCommit): boolean {
  return code === 'DEVICE_EXISTS' && context['inOtherCase'] !== undefined;
}

/** What whoever asked for such an id is told; undefined where that is not why it was refused. */
export function inOtherCase(failure: FailedCommit, id: string): KeylineError | undefined {
  if (!isInOtherCase(failure)) return undefined;
  return new KeylineError(
    'DEVICE_EXISTS',
    `There is a device whose id differs from "${id}" in capital and small letters alone. Use that id, or another one (devices.distinctIgnoringCase in ca-config/service.yaml).`,
  );
}
