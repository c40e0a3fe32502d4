// Jobs as people ask for them: made, told which devices, started by saying how many there are, stopped. Doing them is job-runner.ts.
import { createId, KeylineError } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import type { RevocationReason } from '@keyline/pki';
import { entryBy, type Caller } from './caller.ts';
import type { FailedCommit, FleetContext } from './context.ts';
import { statesFor } from './device-state.ts';
import type { Job, JobAction, JobCaller, JobSelection } from './job-model.ts';
import { assertLabelChange, type LabelChange } from './label-device.ts';
import type { Write } from './ports.ts';

type Context = Pick<FleetContext, 'store' | 'clock'>;

export interface CreateJobCommand {
  readonly caller: Caller;
  readonly action: JobAction;
  readonly reason?: RevocationReason | undefined;
  /** Of a job that changes labels, and of no other. */
  readonly labels?: LabelChange | undefined;
  readonly rate: number;
  /** By what they are, or by name; one of the two. */
  readonly select?: JobSelection | undefined;
  readonly ids?: readonly string[] | undefined;
}

/** Nothing is done until it is started. @throws {KeylineError} REQUEST_INVALID */
export async function createJob(context: Context, command: CreateJobCommand): Promise<Job> {
  const { caller, action, reason, labels, rate, select, ids } = command;
  if ((action === 'label') !== (labels !== undefined)) {
    throw invalid('Labels to set or remove are of a job "label", and of no other.');
  }
  if (labels !== undefined) assertLabelChange(labels);
  if ((select === undefined) === (ids === undefined)) {
    throw invalid('Say which devices: either "select" with what they are, or "ids".');
  }
  if (select !== undefined && Object.values(select).every((value) => value === undefined)) {
    throw invalid('Say which devices: by batch, type, label, state, or a part of the id.');
  }
  assertSelection(action, select);
  const job: Job = {
    id: createId('job'),
    action,
    input: {
      ...(reason === undefined ? {} : { reason }),
      ...(labels === undefined ? {} : { set: labels.set, remove: labels.remove }),
      select: select ?? null,
    },
    caller: callerOf(caller),
    state: select === undefined ? 'waiting' : 'selecting',
    rate,
    ...{ cursor: null, total: 0, changed: 0, unchanged: 0, failed: 0 },
    createdAt: context.clock.now(),
    ...{ startedAt: null, endedAt: null, note: null },
  };
  const added: Write[] =
    ids === undefined
      ? []
      : [{ op: 'select-for-job', job: job.id, devices: ids, cursor: null, state: 'waiting' }];
  await commit(context, job.id, [{ op: 'insert-job', job }, ...added]);
  return getJob(context, job.id);
}

/** Adds devices by name to a job that waits; one that is in it already is no error. @throws {KeylineError} JOB_NOT_FOUND, JOB_STATE_FORBIDS */
export async function addToJob(
  context: Context,
  command: { readonly id: string; readonly ids: readonly string[] },
): Promise<Job> {
  const job = await getJob(context, command.id);
  if (job.input.select !== null) {
    throw new KeylineError(
      'JOB_STATE_FORBIDS',
      `The job ${job.id} chose its devices by what they are; make another one for devices by name.`,
    );
  }
  const { id } = job;
  await commit(context, id, [
    { op: 'select-for-job', job: id, devices: command.ids, cursor: null, state: 'waiting' },
  ]);
  return getJob(context, id);
}

/**
 * @param command.expect how many devices are still to be done, as whoever starts it believes: another number starts nothing
 * @throws {KeylineError} JOB_NOT_FOUND, JOB_STATE_FORBIDS, JOB_COUNT_DIFFERS
 */
export async function startJob(
  context: Context,
  command: { readonly caller: Caller; readonly id: string; readonly expect: number },
): Promise<Job> {
  const { caller, id, expect } = command;
  const job = await getJob(context, id);
  const at = context.clock.now();
  await commit(
    context,
    id,
    [
      {
        ...{ op: 'change-job', id, from: ['waiting', 'stopped'], to: 'running', at, left: expect },
        // It goes on by the right of whoever started it last.
        caller: callerOf(caller),
      },
    ],
    [{ at, ...entryBy(caller), data: { kind: 'job-started', ...saidOf(job) } }],
  );
  return getJob(context, id);
}

/** What was done stays done; stopping twice is no error. @throws {KeylineError} JOB_NOT_FOUND, JOB_STATE_FORBIDS for one that is done */
export async function stopJob(
  context: Context,
  command: { readonly caller: Caller; readonly id: string },
): Promise<Job> {
  const job = await getJob(context, command.id);
  if (job.state === 'stopped') return job;
  const at = context.clock.now();
  await commit(
    context,
    job.id,
    [
      {
        op: 'change-job',
        id: job.id,
        from: ['selecting', 'waiting', 'running'],
        to: 'stopped',
        at,
      },
    ],
    // Of one that was never started there is nothing to tell.
    job.state === 'running'
      ? [{ at, ...entryBy(command.caller), data: { kind: 'job-stopped', ...saidOf(job) } }]
      : [],
  );
  return getJob(context, job.id);
}

/** @throws {KeylineError} JOB_NOT_FOUND */
export async function getJob({ store }: Pick<Context, 'store'>, id: string): Promise<Job> {
  const job = await store.findJob(id);
  if (job === undefined) {
    throw new KeylineError('JOB_NOT_FOUND', `There is no job "${id}". See: keyline job list`);
  }
  return job;
}

export function leftOf({ total, changed, unchanged, failed }: Job): number {
  return total - changed - unchanged - failed;
}

/** What an entry says of a job. */
export function saidOf({ id, action, total, failed }: Job) {
  return { job: id, action, devices: total, failed };
}

function callerOf({ role, name, via, certificate, address }: Caller): JobCaller {
  return {
    ...{ role, name, via },
    ...(certificate === undefined ? {} : { serial: certificate.serial }),
    ...(address === undefined ? {} : { address }),
  };
}

/** A state from which nothing of the kind can be done selects nothing, and says so. */
function assertSelection(action: JobAction, select: JobSelection | undefined): void {
  const from = action === 'label' ? undefined : statesFor(action);
  const state = select?.state;
  if (state === undefined || from === undefined || from.includes(state)) return;
  throw invalid(
    `Devices that are ${state} can't be told to ${action}; it is for ${from.join(' or ')}.`,
  );
}

async function commit(
  { store }: Context,
  id: string,
  writes: readonly Write[],
  entries: readonly NewEntry[] = [],
): Promise<void> {
  const result = await store.commit({ writes, entries });
  if (!result.ok) throw explain(result, id);
}

function explain({ code, context }: FailedCommit, id: string): KeylineError {
  if (code === 'JOB_COUNT_DIFFERS') {
    return new KeylineError(
      code,
      `The job ${id} is for ${String(context['left'])} devices, not for the number that was expected. Nothing was done; look at it (keyline job show ${id}), and start it with that number.`,
      { context },
    );
  }
  return new KeylineError(
    code,
    code === 'JOB_STATE_FORBIDS'
      ? `The job ${id} is ${String(context['state'])}, so this can't be done with it.`
      : `There is no job "${id}".`,
    { context },
  );
}

function invalid(detail: string): KeylineError {
  return new KeylineError('REQUEST_INVALID', detail);
}
