// Which certificate of a device is in use. One that was superseded stays good, so that a device that lost the answer is not stranded;
// from the first use of its successor on it is good for nothing but to fetch that.
import { KeylineError, type DeviceId } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import { entryBy, type Caller } from './caller.ts';
import type { FleetContext } from './context.ts';
import { conflictRow } from './identity-conflict.ts';
import type { Certificate, Device } from './model.ts';
import type { Refusal } from './issuance/admission.ts';
import type { Store, StoreReader } from './ports.ts';

type Context = Pick<FleetContext, 'store' | 'clock' | 'types'>;

/** How a superseded certificate stands to the one that took its place. */
interface Succession {
  /** The device's newest certificate. */
  readonly current: Certificate;
  /** Whether the superseded one may still be used in its place: it was the last before it, and nobody has used the new one. */
  readonly isOpen: boolean;
}

/** @returns undefined when there is nothing that took its place */
async function findSuccession(
  store: Pick<Store, 'findDevice' | 'findCertificate'>,
  superseded: Pick<Certificate, 'owner' | 'serial'>,
): Promise<Succession | undefined> {
  const device = await store.findDevice(superseded.owner as DeviceId);
  if (device === undefined || device.serial === null) return undefined;
  if (device.serial === superseded.serial) return undefined;
  const current = await store.findCertificate(device.serial);
  return current && { current, isOpen: device.predecessor === superseded.serial };
}

/**
 * A device was seen with a certificate: over the API, or by a broker that reports it. The first use of a successor is on record, and on
 * its way to every broker, before anything else is done; a superseded certificate whose successor was used is refused, with an alert when
 * it is another key.
 * @param caller the device, with the certificate it proved
 * @throws {KeylineError} CERTIFICATE_NOT_ACCEPTED, DEVICE_CHANGED
 */
export async function noteUse(
  context: Context,
  caller: Caller & { readonly certificate: Certificate },
): Promise<void> {
  const { kind } = caller.certificate;
  if (kind !== 'device' && kind !== 'service') return;
  const { owner, serial } = caller.certificate;
  // A renewal, or another use at the same time, comes first: then it is decided anew.
  for (let attempt = 0; attempt < 5; attempt++) {
    const device = await context.store.findDevice(owner as DeviceId);
    if (device?.serial === serial) {
      if (device.predecessor === null) return;
      if (await endPredecessor(context, { ...caller, device })) return;
      continue;
    }
    const certificate = await context.store.findCertificate(serial);
    if (certificate?.state !== 'superseded') return;
    const succession = await findSuccession(context.store, certificate);
    if (succession === undefined || succession.isOpen) return;
    const { error, unit } = await refusalOfSuperseded(context.store, {
      old: certificate,
      current: succession.current,
      by: { at: context.clock.now(), ...entryBy(caller) },
    });
    if (unit !== undefined) await context.store.commit(unit);
    throw error;
  }
  throw new KeylineError(
    'DEVICE_CHANGED',
    `"${owner}" is being changed by others at the same time; try again in a second.`,
  );
}

async function endPredecessor(
  { store, clock, types }: Context,
  { device, ...caller }: Caller & { readonly device: Device },
): Promise<boolean> {
  const { id, serial, predecessor, type, state } = device;
  if (serial === null || predecessor === null) return true;
  const { ok } = await store.commit({
    writes: [{ op: 'end-predecessor', device: id, serial }],
    entries: [
      {
        at: clock.now(),
        ...entryBy(caller),
        data: {
          kind: 'certificate-used',
          device: id,
          type,
          state,
          role: types.get(type)?.role ?? '',
          serial,
          predecessor,
        },
      },
    ],
  });
  return ok;
}

/**
 * What is said to a superseded certificate whose successor was used, and what is written down of it: another key than that of the
 * certificate in force means two holders.
 */
export async function refusalOfSuperseded(
  store: Pick<StoreReader, 'findAlert'>,
  given: {
    readonly old: Certificate;
    readonly current: Certificate;
    /** Of the key that is asked for; absent: the certificate's own. */
    readonly spkiSha256?: string | undefined;
    readonly by: Omit<NewEntry, 'data'>;
  },
): Promise<Refusal> {
  const { old, current, by } = given;
  const isOther =
    old.spkiSha256 !== current.spkiSha256 ||
    (given.spkiSha256 ?? old.spkiSha256) !== current.spkiSha256;
  const noted = isOther
    ? await conflictRow(store, {
        identity: old.owner,
        old: old.serial,
        current: current.serial,
        answered: false,
        by,
      })
    : undefined;
  return {
    verdict: 'refused',
    error: new KeylineError(
      'CERTIFICATE_NOT_ACCEPTED',
      `The client certificate ${old.serial} was superseded by ${current.serial}, which is in use. Use that one; with the old one it can only be fetched again, by renewing with its key.`,
      { context: { owner: old.owner } },
    ),
    unit: noted?.entries.length === 0 ? undefined : noted,
  };
}
