// Let in by the certificate it has: a device proves that in TLS and gets the next one, with the same key or a new one.
import { identityKindOf } from '@keyline/access';
import { KeylineError, type DeviceId } from '@keyline/kernel';
import { parseCsr, type Csr } from '@keyline/pki';
import { keyAlgorithmOf, readSubjectPublicKeyInfo } from '@keyline/x509';
import { entryBy, type Caller } from '../../caller.ts';
import { refusalOfSuperseded } from '../../certificate-use.ts';
import { getTypeDetails, type FailedCommit, type FleetContext } from '../../context.ts';
import { conflictRow } from '../../identity-conflict.ts';
import type { Certificate, Device } from '../../model.ts';
import type { StoreReader, UnitOfWork } from '../../ports.ts';
import { getRenewable, readRenewalRules } from '../../renewal-rules.ts';
import type {
  Admission,
  Admitted,
  DeviceCase,
  DeviceHolder,
  Enrolled,
  ProvedKey,
  Standing,
  Words,
} from '../admission.ts';
import { decide, isAnsweredAgain } from '../decide.ts';
import { keyInUse, resolveDeviceId } from '../device-id.ts';
import { issue } from '../issue.ts';

export interface RenewCommand {
  readonly caller: Caller & { readonly certificate: Certificate };
  /** Absent: the key stays. */
  readonly csr?: string | Uint8Array | undefined;
  readonly validity?: number | undefined;
}

/**
 * @throws {KeylineError} DEVICE_NOT_FOUND, DEVICE_STATE_FORBIDS, CERTIFICATE_NOT_ACCEPTED, RENEWAL_TOO_EARLY, RENEWAL_LIMIT, CSR_*,
 *   VALIDITY_NOT_ALLOWED, DEVICE_CHANGED
 */
export function renew(context: FleetContext, command: RenewCommand): Promise<Enrolled> {
  return issue(context, admitByCertificate(context, command));
}

function admitByCertificate(
  context: FleetContext,
  { caller, csr, validity }: RenewCommand,
): Admission<DeviceCase, DeviceHolder> {
  const id = caller.name as DeviceId;
  let key: ProvedKey | undefined;
  return {
    async read(store, now) {
      const device = await getRenewable(store, id);
      const asked = await getGood(store, caller.certificate);
      assertOfThisLife(device, asked);
      const details = getTypeDetails(context, device.type, identityKindOf(device.type));
      key ??= provedKeyOf(
        asked,
        csr === undefined ? undefined : parseCsr(csr, { maxBytes: context.csrBytes }),
        id,
      );
      const { standing, knows } = await readSuccessor(store, device, asked);
      const admitted: Admitted = {
        id,
        key,
        validity,
        details,
        batch: device.batch,
        labels: device.labels,
        by: entryBy(caller),
        noted: {},
        asked,
        knows,
        otherKey: 'replace',
        before: 'supersede',
        conditions: [],
        words: wordsOf(id),
      };
      // Otherwise there is nothing to ask for.
      const more = isAnsweredAgain({ knows }, standing, key)
        ? {}
        : await readRules(context, store, { admitted, asked, device, standing, caller, now });
      return { admitted: { ...admitted, ...more }, standing, distinctIgnoringCase: false };
    },
    decide,
  };
}

/** Those that were revoked meanwhile admit to nothing; the commit asks again. */
async function getGood(
  store: Pick<StoreReader, 'findCertificate'>,
  { serial }: Certificate,
): Promise<Certificate> {
  const found = await store.findCertificate(serial);
  if (found !== undefined && found.state !== 'revoked') return found;
  throw new KeylineError(
    'CERTIFICATE_NOT_ACCEPTED',
    `The certificate ${serial} was revoked just now; it can't renew.`,
  );
}

/**
 * One that had ended for good when its device was decommissioned or reworked was left as it was. It belongs to nobody now, also where the
 * clock was set back or the grace of its profile is longer than it was.
 */
function assertOfThisLife({ id, serial }: Device, asked: Certificate): void {
  if (asked.state === 'superseded' || asked.serial === serial) return;
  throw new KeylineError(
    'CERTIFICATE_NOT_ACCEPTED',
    `The certificate ${asked.serial} had ended before "${id}" was let in anew; it can't renew. Use the newest one.`,
    { context: { owner: id } },
  );
}

function provedKeyOf(current: Certificate, csr: Csr | undefined, id: DeviceId): ProvedKey {
  if (csr === undefined) {
    const spkiDer = readSubjectPublicKeyInfo(current.der);
    return { spkiDer, algorithm: keyAlgorithmOf(spkiDer), spkiSha256: current.spkiSha256 };
  }
  resolveDeviceId(id, csr);
  return csr;
}

/**
 * A renewal whose answer was lost, or that was asked for twice at once: a certificate that was superseded gets the one with the wanted key
 * again. It is good for no other answer, whatever the time.
 */
async function readSuccessor(
  store: Pick<StoreReader, 'findCertificate'>,
  device: Device,
  asked: Certificate,
): Promise<{ readonly standing: Standing; readonly knows: boolean }> {
  const standing = { device, isOrphaned: false, ending: [] };
  if (device.serial === null || device.serial === asked.serial) {
    return { standing: { ...standing, current: asked }, knows: false };
  }
  const current = await store.findCertificate(device.serial);
  return { standing: { ...standing, current }, knows: current !== undefined };
}

/** Why it may not renew now, or what goes with it. */
async function readRules(
  context: FleetContext,
  store: StoreReader,
  given: {
    readonly admitted: Admitted;
    readonly asked: Certificate;
    readonly device: Device;
    readonly standing: Standing;
    readonly caller: Caller;
    readonly now: number;
  },
): Promise<Pick<Admitted, 'refusal' | 'conditions' | 'besides'>> {
  const { admitted, asked, device, standing, caller, now } = given;
  const { id, details } = admitted;
  const { spkiSha256 } = admitted.key;
  const { current } = standing;
  const by = { at: now, ...entryBy(caller) };
  let besides: UnitOfWork | undefined;
  if (asked.state === 'superseded' && current !== undefined && current.serial !== asked.serial) {
    if (device.predecessor !== asked.serial) {
      const refusal = await refusalOfSuperseded(store, { old: asked, current, spkiSha256, by });
      return { refusal, conditions: [] };
    }
    besides = await replaceUnused(store, { old: asked, current, by });
  }
  const { refusal, conditions } = await readRenewalRules(context, store, {
    id,
    profile: details.profile,
    asked,
    changesKey: spkiSha256 !== asked.spkiSha256,
    now,
  });
  return {
    refusal: refusal && { verdict: 'refused', error: refusal },
    conditions,
    besides,
  };
}

/**
 * What goes with an answer to a superseded certificate that asks for another key than its successor's, which nobody has used: the device
 * may have lost it with its key, and gets another in its place, which ends.
 */
async function replaceUnused(
  store: Pick<StoreReader, 'findAlert'>,
  given: {
    readonly old: Certificate;
    readonly current: Certificate;
    readonly by: Pick<UnitOfWork['entries'][number], 'at' | 'actor' | 'address'>;
  },
): Promise<UnitOfWork | undefined> {
  const { old, current, by } = given;
  // The same holder goes on from the key that both have, or in place of one that was revoked by itself.
  if (current.spkiSha256 === old.spkiSha256 || current.state !== 'active') return undefined;
  const { owner, serial } = current;
  const noted = await conflictRow(store, {
    identity: owner,
    old: old.serial,
    current: serial,
    answered: true,
    by,
  });
  return {
    writes: [
      { op: 'revoke-certificate', serial, at: by.at, reason: 'superseded', entry: 1 },
      ...noted.writes,
    ],
    entries: [
      { ...by, data: { kind: 'certificate-revoked', owner, serial, reason: 'superseded' } },
      ...noted.entries,
    ],
  };
}

function wordsOf(id: DeviceId): Words {
  const stateForbids = ({ state }: Device): KeylineError =>
    new KeylineError('DEVICE_STATE_FORBIDS', `"${id}" is ${state} and can't renew.`);
  return {
    // Not met: only an active device has a certificate that admits it, with any key of its own.
    exists: stateForbids,
    stateForbids,
    keyWasHeld: () => keyInUse(id, id),
    explain: (failure) => explain(failure, id),
  };
}

function explain({ code, context }: FailedCommit, id: DeviceId): KeylineError {
  switch (code) {
    case 'CSR_KEY_IN_USE':
      return keyInUse(id, context['owner']);
    case 'DEVICE_CHANGED':
      return new KeylineError(
        code,
        `"${id}" is being changed by others at the same time; try again in a second.`,
      );
    default:
      return new KeylineError(code, `"${id}" could not be renewed; try again.`, { context });
  }
}
