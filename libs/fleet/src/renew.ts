// Renewal: a device proves its certificate and gets the next one, with the same key or a new one.
import { hash } from 'node:crypto';
import type { Role } from '@keyline/access';
import { KeylineError, type DeviceId } from '@keyline/kernel';
import { parseCsr, renewalWindowOf, type Profile } from '@keyline/pki';
import { keyAlgorithmOf, parseCertificate } from '@keyline/x509';
import { entryBy, type Caller } from './caller.ts';
import { findSuccession, refuseSuperseded } from './certificate-use.ts';
import { getEntry, getTypeDetails, type FleetContext } from './context.ts';
import type { Enrolled } from './issuance/admission.ts';
import { certificateRow } from './issuance/certificate-row.ts';
import { keyInUse, resolveDeviceId } from './issuance/device-id.ts';
import { conflictRow } from './identity-conflict.ts';
import type { NewEntry } from '@keyline/ledger';
import type { Certificate, Device } from './model.ts';
import type { Write } from './ports.ts';
import { admitRenewal, getRenewable } from './renewal-rules.ts';

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
export async function renew(context: FleetContext, command: RenewCommand): Promise<Enrolled> {
  // Two renewals at once: the second sees the first's row and decides anew; a third try would be a fault of ours.
  for (let attempt = 0; ; attempt++) {
    const renewed = await tryRenew(context, command);
    if (renewed !== undefined) return renewed;
    if (attempt === 2) {
      throw new KeylineError(
        'DEVICE_CHANGED',
        `"${command.caller.name}" is being changed by others at the same time; try again in a second.`,
      );
    }
  }
}

async function tryRenew(
  context: FleetContext,
  { caller, csr: csrInput, validity }: RenewCommand,
): Promise<Enrolled | undefined> {
  const now = context.clock.now();
  const id = caller.name as DeviceId;
  const device = await getRenewable(context, id);
  // Read after the device, so that whatever ends the certificate from here on has changed the device's version too.
  const asked = await context.store.findCertificate(caller.certificate.serial);
  if (asked?.state === 'revoked') {
    throw new KeylineError(
      'CERTIFICATE_NOT_ACCEPTED',
      `The certificate ${asked.serial} was revoked just now; it can't renew.`,
    );
  }
  const { type, role, profile } = getTypeDetails(context, device.type);
  const key = keyOf(caller.certificate, csrInput, id);
  const own = { ...caller.certificate, state: asked?.state ?? caller.certificate.state };
  const answered = await answerAgain(context, { device, role, profile, asked: own, ...key });
  if (answered !== undefined) return answered;
  const spkiSha256 = hash('sha256', key.spkiDer, 'hex');
  const replaced = await replaceUnused(context, {
    caller: { ...caller, certificate: own },
    spkiSha256,
    now,
  });
  const admitted = await admitRenewal(context, {
    id,
    profile,
    asked: own,
    changesKey: spkiSha256 !== own.spkiSha256,
    now,
  });
  const issued = await context.issuer.issue({
    profile: profile.name,
    id,
    type: type.name,
    batch: device.batch ?? undefined,
    labels: device.labels,
    ...key,
    now,
    validity,
  });
  const certificate = certificateRow(issued, {
    owner: id,
    profile: profile.name,
    kind: 'device',
  });
  const result = await context.store.commit({
    writes: [
      {
        op: 'update-device',
        id,
        expectVersion: device.version,
        at: now,
        state: device.state,
        serial: issued.serial,
        notAfter: issued.notAfter,
        // The one the device has for certain.
        predecessor: own.serial,
      },
      ...(csrInput === undefined
        ? []
        : [{ op: 'claim-key', spkiSha256: issued.spkiSha256, owner: id } as const]),
      { op: 'insert-certificate', certificate },
      // The old one stays valid until it ends: a device that loses this answer is not stranded.
      ...(device.serial === null
        ? []
        : [{ op: 'supersede-certificate', serial: device.serial } as const]),
      ...replaced.writes,
      ...admitted,
    ],
    entries: [
      {
        at: now,
        ...entryBy(caller),
        data: {
          kind: 'device-renewed',
          device: id,
          type: type.name,
          state: device.state,
          role: role.name,
          serial: issued.serial,
          notAfter: issued.notAfter,
        },
      },
      ...replaced.entries,
    ],
  });
  if (!result.ok) {
    if (result.code === 'CSR_KEY_IN_USE') throw keyInUse(id);
    if (result.code === 'DEVICE_CHANGED') return undefined;
    throw new KeylineError(result.code, `"${id}" could not be renewed; try again.`, {
      context: result.context,
    });
  }
  const [entry] = result.entries;
  if (entry === undefined) throw new KeylineError('INTERNAL', 'A renewal had no ledger entry.');
  const renewed: Device = {
    ...device,
    version: device.version + 1,
    updatedAt: now,
    serial: issued.serial,
    notAfter: issued.notAfter,
    entry: entry.seq,
    predecessor: own.serial,
  };
  return {
    device: renewed,
    certificate: { ...certificate, entry: entry.seq },
    role,
    entry,
    created: true,
  };
}

/**
 * A renewal whose answer was lost, or that was asked for twice at once: a certificate that has a successor with the wanted key gets
 * that one again, until the successor's own time to renew has come.
 */
async function answerAgain(
  context: FleetContext,
  given: {
    readonly device: Device;
    readonly role: Role;
    readonly profile: Profile;
    readonly asked: Certificate;
    readonly spkiDer: Uint8Array;
  },
): Promise<Enrolled | undefined> {
  const { device, role, profile, asked } = given;
  if (device.serial === null || device.serial === asked.serial) return undefined;
  const certificate = await context.store.findCertificate(device.serial);
  if (
    certificate?.state !== 'active' ||
    certificate.spkiSha256 !== hash('sha256', given.spkiDer, 'hex')
  ) {
    return undefined;
  }
  const { start } = renewalWindowOf(profile, certificate);
  // A superseded one is good for no other answer, whatever the time.
  if (asked.state !== 'superseded' && context.clock.now() >= start) return undefined;
  const entry = await getEntry(context.store, { name: device.id, entry: certificate.entry });
  return { device, certificate, role, entry, created: false };
}

/**
 * What goes with an answer to a superseded certificate that asks for another key than its successor's. Where nobody has used the
 * successor, the device may have lost it with its key, and gets another in its place, which ends. Anything else means two holders.
 * @throws {KeylineError} CERTIFICATE_NOT_ACCEPTED
 */
async function replaceUnused(
  context: FleetContext,
  given: {
    readonly caller: Caller & { readonly certificate: Certificate };
    readonly spkiSha256: string;
    readonly now: number;
  },
): Promise<{ readonly writes: readonly Write[]; readonly entries: readonly NewEntry[] }> {
  const { caller, spkiSha256, now } = given;
  const old = caller.certificate;
  const succession =
    old.state === 'superseded' ? await findSuccession(context.store, old) : undefined;
  if (succession === undefined) return { writes: [], entries: [] };
  const { current, isOpen } = succession;
  if (!isOpen) throw await refuseSuperseded(context, { caller, current, spkiSha256 });
  // The same holder goes on from the key that both have, or in place of one that was revoked by itself.
  if (current.spkiSha256 === old.spkiSha256 || current.state !== 'active') {
    return { writes: [], entries: [] };
  }
  const by = { at: now, ...entryBy(caller) };
  const { owner, serial } = current;
  const noted = await conflictRow(context.store, {
    identity: owner,
    old: old.serial,
    current: serial,
    answered: true,
    by,
  });
  return {
    writes: [
      { op: 'revoke-certificate', serial, at: now, reason: 'superseded', entry: 1 },
      ...noted.writes,
    ],
    entries: [
      { ...by, data: { kind: 'certificate-revoked', owner, serial, reason: 'superseded' } },
      ...noted.entries,
    ],
  };
}

function keyOf(
  current: Certificate,
  csrInput: string | Uint8Array | undefined,
  id: DeviceId,
): Pick<Parameters<FleetContext['issuer']['issue']>[0], 'spkiDer' | 'algorithm'> {
  if (csrInput === undefined) {
    const { spkiDer } = parseCertificate(current.der);
    return { spkiDer, algorithm: keyAlgorithmOf(spkiDer) };
  }
  const csr = parseCsr(csrInput);
  resolveDeviceId(id, csr);
  return { spkiDer: csr.spkiDer, algorithm: csr.algorithm };
}
