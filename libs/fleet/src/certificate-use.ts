// Which certificate of a device is in use. One that was superseded stays good, so that a device that lost the answer is not stranded;
// from the first use of its successor on it is good for nothing but to fetch that.
import { KeylineError, type DeviceId } from '@keyline/kernel';
import { entryBy, type Caller } from './caller.ts';
import type { FleetContext } from './context.ts';
import { conflictRow } from './identity-conflict.ts';
import type { Certificate } from './model.ts';
import type { Store } from './ports.ts';

type Context = Pick<FleetContext, 'store' | 'clock'>;

/** How a superseded certificate stands to the one that took its place. */
export interface Succession {
  /** The device's newest certificate. */
  readonly current: Certificate;
  /** Whether the superseded one may still be used in its place: it was the last before it, and nobody has used the new one. */
  readonly isOpen: boolean;
}

/** @returns undefined when there is nothing that took its place */
export async function findSuccession(
  store: Pick<Store, 'findDevice' | 'listCertificatesOf'>,
  superseded: Pick<Certificate, 'owner' | 'serial'>,
): Promise<Succession | undefined> {
  const device = await store.findDevice(superseded.owner as DeviceId);
  if (device?.serial === null || device === undefined) return undefined;
  const all = await store.listCertificatesOf(superseded.owner);
  const current = all.find(({ serial }) => serial === device.serial);
  if (current === undefined || current.serial === superseded.serial) return undefined;
  const last = all.find(({ state }) => state === 'superseded');
  return { current, isOpen: last?.serial === superseded.serial && current.usedAt === null };
}

/**
 * A device was seen with a certificate: over the API, or by a broker that reports it. Marks a successor as used; refuses a superseded
 * one whose successor was used, with an alert when it is another key.
 * @param caller the device, with the certificate it proved
 * @throws {KeylineError} CERTIFICATE_NOT_ACCEPTED
 */
export async function noteUse(
  context: Context,
  caller: Caller & { readonly certificate: Certificate },
): Promise<void> {
  const { certificate } = caller;
  if (certificate.kind !== 'device') return;
  const { serial, usedAt, state } = certificate;
  if (state === 'active') {
    if (usedAt !== null) return;
    await context.store.commit({
      writes: [{ op: 'mark-certificate-used', serial, at: context.clock.now() }],
      entries: [],
    });
    return;
  }
  if (state !== 'superseded') return;
  const succession = await findSuccession(context.store, certificate);
  if (succession === undefined || succession.isOpen) return;
  throw await refuseSuperseded(context, { caller, current: succession.current });
}

/** Another key than that of the certificate in force means two holders. */
export async function refuseSuperseded(
  context: Context,
  given: {
    readonly caller: Caller & { readonly certificate: Certificate };
    readonly current: Certificate;
    /** Of the key that is asked for; absent: the certificate's own. */
    readonly spkiSha256?: string | undefined;
  },
): Promise<KeylineError> {
  const { caller, current } = given;
  const old = caller.certificate;
  const isOther =
    old.spkiSha256 !== current.spkiSha256 ||
    (given.spkiSha256 ?? old.spkiSha256) !== current.spkiSha256;
  if (isOther) {
    const row = await conflictRow(context.store, {
      identity: old.owner,
      old: old.serial,
      current: current.serial,
      answered: false,
      by: { at: context.clock.now(), ...entryBy(caller) },
    });
    if (row.entries.length > 0) await context.store.commit(row);
  }
  return new KeylineError(
    'CERTIFICATE_NOT_ACCEPTED',
    `The client certificate ${old.serial} was superseded by ${current.serial}, which is in use. Use that one; with the old one it can only be fetched again, by renewing with its key.`,
    { context: { owner: old.owner } },
  );
}
