// The line: batches (work orders) and the signing of their units, idempotent per device id.
import { Duration, KeylineError, type DeviceId } from '@keyline/kernel';
import { parseCsr, type Csr } from '@keyline/pki';
import { actorOf, entryBy, type Caller } from './caller.ts';
import {
  assertNotInOtherCase,
  commitOrThrow,
  getTypeDetails,
  idRuleOf,
  isOver,
  type FailedCommit,
  type FleetContext,
} from './context.ts';
import { certificateRow, findOrphaned, keyInUse, resolveDeviceId } from './enroll.ts';
import { matchesGlob } from './glob.ts';
import type { Batch, Certificate, Device, Labels } from './model.ts';
import type { Write } from './ports.ts';

/** @throws {KeylineError} BATCH_EXISTS, DEVICE_TYPE_UNKNOWN, VALIDITY_NOT_ALLOWED */
export async function openBatch(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly id: string;
    readonly type: string;
    readonly quota: number;
    readonly idPattern: string | null;
    readonly stations: readonly string[];
    readonly labels: Labels;
    readonly rework: boolean;
    /** Milliseconds. */
    readonly lifetime: number;
  },
): Promise<Batch> {
  getTypeDetails(context, command.type);
  if (command.lifetime < Duration.seconds(1)) {
    throw new KeylineError('VALIDITY_NOT_ALLOWED', 'A batch must be open for at least a second.');
  }
  const now = context.clock.now();
  const batch: Batch = {
    id: command.id,
    type: command.type,
    quota: command.quota,
    issued: 0,
    idPattern: command.idPattern,
    stations: command.stations,
    labels: command.labels,
    rework: command.rework,
    state: 'open',
    endsAt: now + command.lifetime,
    createdAt: now,
    createdBy: actorOf(command.caller),
  };
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'insert-batch', batch }],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'batch-opened', batch: batch.id, quota: batch.quota },
        },
      ],
    },
    (failure) =>
      new KeylineError(
        failure.code,
        `The batch "${batch.id}" exists already. Choose another id, or look at it: keyline batch show ${batch.id}.`,
      ),
  );
  return batch;
}

/** @throws {KeylineError} BATCH_NOT_FOUND */
export async function closeBatch(
  context: FleetContext,
  command: { readonly caller: Caller; readonly id: string },
): Promise<Batch> {
  const batch = await getBatch(context, command.id);
  if (batch.state === 'closed') return batch;
  const now = context.clock.now();
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'close-batch', id: batch.id }],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'batch-closed', batch: batch.id, quota: batch.quota },
        },
      ],
    },
    (failure) => new KeylineError(failure.code, `The batch "${batch.id}" could not be closed.`),
  );
  return { ...batch, state: 'closed' };
}

/** @throws {KeylineError} BATCH_NOT_FOUND */
export async function getBatch(context: FleetContext, id: string): Promise<Batch> {
  const batch = await context.store.findBatch(id);
  if (batch === undefined) {
    throw new KeylineError('BATCH_NOT_FOUND', `There is no batch "${id}".`);
  }
  return batch;
}

export interface SignedUnit {
  readonly device: string;
  readonly certificate: Certificate;
  /** False: this very unit was signed before. */
  readonly created: boolean;
}

/**
 * Signs one unit of a batch. The same id with the same key gives the certificate that was signed before and takes no quota.
 * The batch is handed in by the caller, who read it once for a whole stream: quota, end and state are conditions of the commit.
 * @throws {KeylineError} CSR_*, BATCH_*, DEVICE_STATE_FORBIDS, CSR_KEY_IN_USE
 */
export async function signUnit(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly batch: Batch;
    readonly id?: string | undefined;
    readonly csr: string | Uint8Array;
  },
): Promise<SignedUnit> {
  const { batch, caller } = command;
  assertStation(batch, caller);
  const csr = parseCsr(command.csr);
  const id = resolveDeviceId(command.id, csr);
  if (batch.idPattern !== null && !matchesGlob(batch.idPattern, id)) {
    throw new KeylineError(
      'BATCH_PATTERN_MISMATCH',
      `The batch "${batch.id}" is for device ids like "${batch.idPattern}", not for "${id}".`,
    );
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    const earlier = await context.store.findDevice(id);
    const isOrphaned =
      earlier?.batch === batch.id && (await findOrphaned(context, earlier, csr)) !== undefined;
    const answered =
      earlier === undefined || isOrphaned
        ? undefined
        : await answerAgain(context, { batch, device: earlier, csr });
    if (answered !== undefined) return answered;
    const signed = await trySign(context, { caller, batch, id, csr, earlier, isOrphaned });
    if (signed !== undefined) return signed;
  }
  throw new KeylineError('DEVICE_CHANGED', `"${id}" is being changed by others; send it again.`);
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

/** The certificate of a unit that was signed before; undefined when a new one may be signed (rework, or a decommissioned id). */
async function answerAgain(
  context: FleetContext,
  given: { batch: Batch; device: Device; csr: Csr },
): Promise<SignedUnit | undefined> {
  const { batch, device, csr } = given;
  if (device.state === 'decommissioned' || device.state === 'registered') return undefined;
  if (device.state !== 'active') {
    throw new KeylineError(
      'DEVICE_STATE_FORBIDS',
      `The device "${device.id}" is ${device.state}; it can't be signed for a batch.`,
    );
  }
  if (device.batch !== batch.id) {
    throw new KeylineError(
      'DEVICE_EXISTS',
      `The device "${device.id}" exists already, from ${device.batch === null ? 'an enrollment' : `the batch "${device.batch}"`}.`,
    );
  }
  const current =
    device.serial === null ? undefined : await context.store.findCertificate(device.serial);
  if (current?.state === 'active' && current.spkiSha256 === csr.spkiSha256) {
    return { device: device.id, certificate: current, created: false };
  }
  if (!batch.rework) {
    throw new KeylineError(
      'BATCH_KEY_DIFFERS',
      `The unit "${device.id}" was signed with another key. A duplicate id, or a unit that made a new key? To allow it, open the batch with rework, or decommission the device.`,
    );
  }
  return undefined;
}

async function trySign(
  context: FleetContext,
  given: {
    caller: Caller;
    batch: Batch;
    id: DeviceId;
    csr: Csr;
    earlier: Device | undefined;
    /** Its authority was revoked: it gets another certificate for the key it has. */
    isOrphaned: boolean;
  },
): Promise<SignedUnit | undefined> {
  const { caller, batch, id, csr, earlier, isOrphaned } = given;
  const now = context.clock.now();
  const { type, role, profile } = getTypeDetails(context, batch.type);
  const replaced = earlier === undefined ? [] : await context.store.listCertificatesOf(id);
  if (!isOrphaned && replaced.some(({ spkiSha256 }) => spkiSha256 === csr.spkiSha256)) {
    throw keyInUse(id);
  }
  const ending = replaced.filter((one) => one.state !== 'revoked' && !isOver(context, one, now));
  const issued = await context.issuer.issue({
    profile: profile.name,
    id,
    type: type.name,
    batch: batch.id,
    labels: batch.labels,
    spkiDer: csr.spkiDer,
    algorithm: csr.algorithm,
    now,
  });
  const certificate = certificateRow(issued, {
    owner: id,
    profile: profile.name,
    kind: 'device',
  });
  const rework = earlier?.state === 'active';
  const writes: Write[] = [
    // The device first: when the same unit comes twice at once, the second meets the device, not a quota that is used up.
    earlier === undefined
      ? {
          op: 'insert-device',
          ...idRuleOf(context),
          device: {
            id,
            type: type.name,
            batch: batch.id,
            labels: batch.labels,
            state: 'active',
            version: 1,
            createdAt: now,
            updatedAt: now,
            serial: issued.serial,
            notAfter: issued.notAfter,
            predecessor: null,
          },
        }
      : {
          op: 'update-device',
          id,
          expectVersion: earlier.version,
          at: now,
          state: 'active',
          serial: issued.serial,
          notAfter: issued.notAfter,
          admits: true,
          type: type.name,
          batch: batch.id,
          labels: batch.labels,
        },
    // A reworked unit took its quota the first time.
    { op: 'take-quota', id: batch.id, at: now, units: rework ? 0 : 1 },
    { op: 'claim-key', spkiSha256: issued.spkiSha256, owner: id },
    { op: 'insert-certificate', certificate },
    ...ending.map(
      ({ serial }, n) =>
        ({
          op: 'revoke-certificate',
          serial,
          at: now,
          reason: 'superseded',
          entry: 1 + n,
        }) as const,
    ),
  ];
  const result = await context.store.commit({
    writes,
    entries: [
      {
        at: now,
        ...entryBy(caller),
        data: {
          kind: earlier === undefined ? 'device-enrolled' : 'device-reissued',
          device: id,
          type: type.name,
          state: 'active',
          role: role.name,
          serial: issued.serial,
          notAfter: issued.notAfter,
          batch: batch.id,
          ...(caller.role === 'station' ? { station: caller.name } : {}),
        },
      },
      ...ending.map(({ serial }) => ({
        at: now,
        ...entryBy(caller),
        data: { kind: 'certificate-revoked', owner: id, serial, reason: 'superseded' } as const,
      })),
    ],
  });
  if (result.ok) {
    const entry = result.entries[0]?.seq ?? null;
    return { device: id, certificate: { ...certificate, entry }, created: true };
  }
  assertNotInOtherCase(result, id);
  if (result.code === 'DEVICE_EXISTS' || result.code === 'DEVICE_CHANGED') return undefined;
  throw signFailure(result, batch, id);
}

function signFailure(failure: FailedCommit, batch: Batch, id: DeviceId): KeylineError {
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
      return keyInUse(id);
    default:
      return new KeylineError(
        failure.code,
        `"${id}" could not be signed just now; send it again.`,
        {
          context: failure.context,
        },
      );
  }
}
