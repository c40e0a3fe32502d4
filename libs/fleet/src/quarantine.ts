// What a person decides about a certificate that is held: it is taken for one of ours, or revoked.
import { identityKindOf } from '@keyline/access';
import { isDeviceId, KeylineError, type DeviceId, type SerialHex } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import { shardNameOf, type RevocationReason } from '@keyline/pki';
import { parseCertificate, type ParsedCertificate } from '@keyline/x509';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, getTypeDetails, type FleetContext } from './context.ts';
import { endConflict } from './identity-conflict.ts';
import type { AuthorityRecord, Device, NewCertificate, QuarantinedCertificate } from './model.ts';
import type { Write } from './ports.ts';
import { signerOf } from './hold-stranger.ts';
import { revokedUnseen } from './unseen-certificate.ts';

export interface Decided {
  readonly quarantined: QuarantinedCertificate;
  readonly entry: { readonly seq: number; readonly at: number };
}

/**
 * Takes it for one that this Keyline issued: a device that is not on record is made, one that is goes on with the newest it has.
 * @param command.certificate DER, where nobody has presented it here yet
 * @param command.type of a device that is not on record
 * @throws {KeylineError} NOT_FOUND, REQUEST_INVALID, DEVICE_STATE_FORBIDS, DEVICE_TYPE_UNKNOWN, AUTHORITY_STATE_FORBIDS, CSR_KEY_IN_USE,
 * STORE_CONFLICT
 */
export async function adoptQuarantined(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly serial: SerialHex;
    readonly certificate?: Uint8Array | undefined;
    readonly type?: string | undefined;
  },
): Promise<Decided> {
  const { store, clock } = context;
  const { caller, serial } = command;
  const held = await getWaiting(context, serial);
  const now = clock.now();
  const { certificate, authority } = await judgeCertificate(context, held, command.certificate);
  const id = held.identity as DeviceId;
  const device = await store.findDevice(id);
  assertAdoptable(held, device, certificate, now);
  const typeName = device?.type ?? command.type ?? 'default';
  const details = getTypeDetails(context, typeName, identityKindOf(typeName));
  const current =
    device?.serial === undefined || device.serial === null
      ? undefined
      : await store.findCertificate(device.serial);
  const isNewest = current === undefined || current.notBefore <= certificate.notBefore;
  const row: NewCertificate = {
    ...{ serial, owner: id, kind: details.profile.kind, profile: details.profile.name, authority },
    ...{ notBefore: certificate.notBefore, notAfter: certificate.notAfter },
    ...{ spkiSha256: certificate.spkiSha256, der: certificate.der },
    crlShard: shardOf(certificate),
    ...{ state: isNewest ? 'active' : 'superseded', revokedAt: null, reason: null },
  };
  const by = { at: now, ...entryBy(caller) };
  const ended = await endAlertUnlessMore(context, held, now);
  const adopted: NewEntry = { ...by, data: { kind: 'quarantine-adopted', identity: id, serial } };
  const admitted: NewEntry = {
    ...by,
    data: {
      kind: device === undefined ? 'device-enrolled' : 'device-renewed',
      ...{ device: id, type: typeName, state: 'active', role: details.role.name },
      ...{ serial, notAfter: certificate.notAfter },
    },
  };
  const entry = await commitOrThrow(
    context,
    {
      writes: [
        ...(isNewest ? deviceWrites({ device, current, certificate, id, typeName, now }) : []),
        { op: 'claim-key', spkiSha256: certificate.spkiSha256, owner: id },
        { op: 'insert-certificate', certificate: row },
        { op: 'decide-quarantine', serial, state: 'adopted', by: caller.name, at: now },
        ...ended.writes,
      ],
      // Rows stand on the first: what brokers follow.
      entries: [...(isNewest ? [admitted, adopted] : [adopted]), ...ended.entries],
    },
    conflict,
  );
  return { quarantined: decided(held, 'adopted', caller, now), entry };
}

/** Whatever signed it: it is on the next CRL, and refused everywhere. @throws {KeylineError} NOT_FOUND, REQUEST_INVALID, STORE_CONFLICT */
export async function revokeQuarantined(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly serial: SerialHex;
    readonly reason?: RevocationReason | undefined;
    /** Which authority signed it, where nobody has presented it and there are several. */
    readonly authority?: string | undefined;
  },
): Promise<Decided> {
  const { clock } = context;
  const { caller, serial, reason = 'unspecified' } = command;
  if (reason === 'certificateHold') {
    throw new KeylineError(
      'REQUEST_INVALID',
      'It is held already. To end it for good give another reason, or none.',
    );
  }
  const held = await getWaiting(context, serial);
  const now = clock.now();
  const record = pickAuthority(await readyAuthorities(context), held, command.authority);
  const certificate = held.der === null ? undefined : parseCertificate(held.der);
  const issuer = parseCertificate(record.certificate);
  const unseen = revokedUnseen({
    ...{ serial, owner: held.identity, reason, revokedAt: now },
    authority: { id: record.id, notAfter: issuer.notAfter },
    shard:
      certificate === undefined
        ? shardOfSerial(serial, record)
        : (shardOf(certificate) ?? undefined),
  });
  const ended = await endAlertUnlessMore(context, held, now);
  const by = { at: now, ...entryBy(caller) };
  const entry = await commitOrThrow(
    context,
    {
      writes: [
        {
          op: 'insert-certificate',
          evenIfRevoked: true,
          certificate:
            certificate === undefined
              ? unseen
              : {
                  ...unseen,
                  ...{ notBefore: certificate.notBefore, notAfter: certificate.notAfter },
                  ...{ spkiSha256: certificate.spkiSha256, der: certificate.der },
                },
        },
        { op: 'decide-quarantine', serial, state: 'revoked', by: caller.name, at: now },
        ...ended.writes,
      ],
      entries: [
        { ...by, data: { kind: 'certificate-revoked', owner: held.identity, serial, reason } },
        { ...by, data: { kind: 'quarantine-revoked', identity: held.identity, serial } },
        ...ended.entries,
      ],
    },
    conflict,
  );
  return { quarantined: decided(held, 'revoked', caller, now), entry };
}

async function getWaiting(
  { store }: Pick<FleetContext, 'store'>,
  serial: SerialHex,
): Promise<QuarantinedCertificate> {
  const held = await store.findQuarantined(serial);
  if (held?.state === 'waiting') return held;
  throw new KeylineError(
    'NOT_FOUND',
    held === undefined
      ? `No certificate ${serial} is held. "keyline quarantine list" shows those that are.`
      : `It was decided about ${serial} already: it was ${held.state} by ${held.decidedBy ?? 'somebody'}. Revoke a certificate that is on record with "keyline certificate revoke" or its device.`,
  );
}

async function judgeCertificate(
  context: FleetContext,
  held: QuarantinedCertificate,
  given: Uint8Array | undefined,
): Promise<{ certificate: ParsedCertificate; authority: string }> {
  const der = held.der ?? given;
  if (der === undefined) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `Only the serial ${held.serial} is known so far. Give the certificate (--certificate device.crt), or let the device call this service once with it: a renewal, or any other call; then adopt it.`,
    );
  }
  const certificate = parseCertificate(der);
  if (certificate.serial !== held.serial || certificate.commonName !== held.identity) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `This is the certificate ${certificate.serial} of "${certificate.commonName ?? ''}", not ${held.serial} of "${held.identity}".`,
    );
  }
  const ready = await readyAuthorities(context);
  const authority = signerOf(
    certificate,
    ready.map(({ id, certificate: bytes }) => ({ id, certificate: parseCertificate(bytes) })),
  );
  if (authority !== undefined) return { certificate, authority };
  throw new KeylineError('REQUEST_INVALID', `None of our authorities signed ${held.serial}.`);
}

type Ready = AuthorityRecord & { readonly certificate: Uint8Array };

async function readyAuthorities({ store }: Pick<FleetContext, 'store'>): Promise<Ready[]> {
  return (await store.listAuthorities()).filter((one): one is Ready => one.certificate !== null);
}

function pickAuthority(
  ready: readonly Ready[],
  held: QuarantinedCertificate,
  asked: string | undefined,
): Ready {
  const name = held.authority ?? asked;
  const found =
    name === undefined && ready.length === 1 ? ready[0] : ready.find(({ id }) => id === name);
  if (found !== undefined) return found;
  throw new KeylineError(
    'REQUEST_INVALID',
    `Which authority signed ${held.serial} is not known: on whose CRL it is to stand has to be said, with --authority (${ready.map(({ id }) => id).join(', ')}).`,
  );
}

function assertAdoptable(
  { identity, serial }: QuarantinedCertificate,
  device: Device | undefined,
  certificate: ParsedCertificate,
  now: number,
): void {
  if (
    !isDeviceId(identity) ||
    certificate.isCa ||
    !certificate.extendedKeyUsage.includes('clientAuth')
  ) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `${serial} is not the certificate of a device or service ("${identity}"). Revoke it (keyline quarantine revoke ${serial}), and issue a new one.`,
    );
  }
  if (now > certificate.notAfter) {
    throw new KeylineError('REQUEST_INVALID', `${serial} has expired. Enroll "${identity}" anew.`);
  }
  if (device !== undefined && device.state !== 'active' && device.state !== 'registered') {
    throw new KeylineError(
      'DEVICE_STATE_FORBIDS',
      `"${identity}" is ${device.state}. Resume it first if it is to be let in, or revoke ${serial}.`,
    );
  }
}

function deviceWrites(given: {
  readonly device: Device | undefined;
  readonly current: { readonly serial: SerialHex; readonly state: string } | undefined;
  readonly certificate: ParsedCertificate;
  readonly id: DeviceId;
  readonly typeName: string;
  readonly now: number;
}): Write[] {
  const { device, current, certificate, id, typeName, now } = given;
  const { serial, notAfter } = certificate;
  if (device === undefined) {
    return [
      {
        op: 'insert-device',
        device: {
          ...{ id, type: typeName, batch: null, labels: {}, state: 'active', version: 1 },
          ...{ createdAt: now, updatedAt: now, serial, notAfter, predecessor: null },
        },
      },
    ];
  }
  return [
    {
      ...{ op: 'update-device', id, expectVersion: device.version, at: now, state: 'active' },
      ...{ serial, notAfter, admits: device.state !== 'active' },
      ...(current?.state === 'active' ? { predecessor: current.serial } : {}),
    },
    ...(current === undefined
      ? []
      : [{ op: 'supersede-certificate', serial: current.serial } as const]),
  ];
}

/** The alert of an identity is over with the last of its certificates that was decided about. */
async function endAlertUnlessMore(
  { store }: FleetContext,
  { identity }: QuarantinedCertificate,
  now: number,
): ReturnType<typeof endConflict> {
  if ((await store.countQuarantined(identity)) > 1) return { writes: [], entries: [] };
  return endConflict(store, identity, now);
}

/** As its distribution point says (`…-3of16.crl`). */
function shardOf({ crlDistributionPoints }: ParsedCertificate): string | null {
  for (const url of crlDistributionPoints) {
    const shard = /-(\d+of\d+)\.crl$/.exec(url)?.[1];
    if (shard !== undefined) return shard;
  }
  return null;
}

function shardOfSerial(serial: SerialHex, { crlShards }: AuthorityRecord): string | undefined {
  const count = crlShards.at(-1) ?? 1;
  return count > 1 ? shardNameOf(Buffer.from(serial, 'hex'), count) : undefined;
}

function decided(
  held: QuarantinedCertificate,
  state: 'adopted' | 'revoked',
  { name }: Caller,
  at: number,
): QuarantinedCertificate {
  return { ...held, state, decidedBy: name, decidedAt: at };
}
