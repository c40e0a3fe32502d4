// Batches: the work orders of a line, under which stations sign units.
import { Duration, KeylineError } from '@keyline/kernel';
import { actorOf, entryBy, type Caller } from './caller.ts';
import { commitOrThrow, getTypeDetails, type FleetContext } from './context.ts';
import { isReserved } from './issuance/admissions/name.ts';
import type { Batch, Labels } from './model.ts';

/** @throws {KeylineError} REQUEST_INVALID for a station that can't be, BATCH_EXISTS, DEVICE_TYPE_UNKNOWN, VALIDITY_NOT_ALLOWED */
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
  for (const station of command.stations) assertStationName(station);
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

/** What the name in a station's certificate can be (`POST /v1/certificates`). */
const stationName = /^[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9._@-]*$/;

/** A batch for a station that no certificate can name could never be signed for, and nobody would see why. */
function assertStationName(name: string): void {
  if (stationName.test(name) && name.length <= 64 && !isReserved(name)) return;
  throw new KeylineError(
    'REQUEST_INVALID',
    `No station can be called "${name}". It is the name in the station's certificate: letters, digits, ".", "_" and "-" with an "@" in it, for instance st1@line; not one of the service's own.`,
  );
}

/**
 * The same quota again is no error and no entry.
 * @throws {KeylineError} BATCH_NOT_FOUND, BATCH_CLOSED, BATCH_QUOTA_EXHAUSTED when more units are signed already
 */
export async function changeQuota(
  context: FleetContext,
  command: { readonly caller: Caller; readonly id: string; readonly quota: number },
): Promise<Batch> {
  const { id, quota } = command;
  const batch = await getBatch(context, id);
  if (batch.quota === quota) return batch;
  const at = context.clock.now();
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'change-quota', id, quota, at }],
      entries: [
        {
          at,
          ...entryBy(command.caller),
          data: { kind: 'batch-quota-changed', batch: id, quota },
        },
      ],
    },
    (failure) =>
      new KeylineError(
        failure.code,
        failure.code === 'BATCH_QUOTA_EXHAUSTED'
          ? `${String(failure.context['issued'])} units of the batch "${id}" are signed already, so its quota can't be ${String(quota)}. Set that many or more, or close it: keyline batch close ${id}.`
          : `The batch "${id}" is closed; its quota can't be changed any more. Open another one.`,
      ),
  );
  return getBatch(context, id);
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
