// Does jobs: writes down which devices each is for, then changes them in small groups at the job's rate. A device is changed and its result
// written in one unit of work that demands the lease, so a kill at any moment does nothing twice and loses nothing.
import { isKeylineError, messageOf, type ErrorCode, type SerialHex } from '@keyline/kernel';
import type { Hold } from '@keyline/ledger';
import { entryBy, type Caller } from './caller.ts';
import type { FleetContext } from './context.ts';
import { changeDeviceState, statesFor, type DeviceChanged } from './device-state.ts';
import type { Job, JobCaller, JobResult } from './job-model.ts';
import { leftOf, saidOf } from './jobs.ts';
import { labelDevice } from './label-device.ts';
import type { Write } from './ports.ts';

/** Devices of a page of the selection, and of a group that is changed at once: what others wait for is that long. */
const selectAtOnce = 500;
const changeAtOnce = 25;
/** Refusals that are the device's own; anything else is tried again later. */
const ofDevice: readonly ErrorCode[] = [
  'DEVICE_NOT_FOUND',
  'DEVICE_ID_INVALID',
  'DEVICE_STATE_FORBIDS',
  'DEVICE_TYPE_UNKNOWN',
  'DEVICE_CHANGED',
  'REQUEST_INVALID',
];

export interface JobRunnerLog {
  warn(context: Readonly<Record<string, unknown>>, message: string): void;
}

export interface JobRunner {
  /** Something may have come to do. */
  wake(): void;
  /** Ends after what is under way. */
  stop(): Promise<void>;
}

/** @param options.pause milliseconds between looks while there is nothing to do; default 1000 */
export function startJobRunner(options: {
  readonly context: FleetContext;
  readonly hold: Hold;
  readonly log: JobRunnerLog;
  readonly pause?: number;
}): JobRunner {
  const { context, hold, log, pause = 1000 } = options;
  const { store } = context;
  /** When each job may go on, by the clock of `performance.now`. */
  const due = new Map<string, number>();
  let stopped = false;
  let wakeUp: (() => void) | undefined;
  let isAwake = false;

  async function step(job: Job): Promise<void> {
    const begun = performance.now();
    if (job.state === 'selecting') {
      await selectSome(context, hold, job);
      due.set(job.id, begun);
      return;
    }
    const done = await changeSome(context, hold, job);
    due.set(job.id, Math.max(begun, due.get(job.id) ?? 0) + (done / job.rate) * 1000);
  }

  /** @returns milliseconds until there is something to do */
  async function round(): Promise<number> {
    const jobs = await store.listOpenJobs();
    for (const id of due.keys()) if (!jobs.some((job) => job.id === id)) due.delete(id);
    for (const job of jobs) {
      if (stopped || !hold.isHeld()) return pause;
      if ((due.get(job.id) ?? 0) > performance.now()) continue;
      try {
        await step(job);
      } catch (error) {
        due.set(job.id, performance.now() + pause);
        if (!isOver(error)) {
          log.warn(
            { job: job.id },
            `The job ${job.id} does not get on, and is tried again: ${messageOf(error)}`,
          );
        }
      }
    }
    const next = jobs.map(({ id }) => (due.get(id) ?? 0) - performance.now());
    return Math.max(0, Math.min(pause, ...next));
  }

  async function goOn(): Promise<void> {
    while (!stopped) {
      let wait = pause;
      try {
        isAwake = false;
        wait = await round();
      } catch (error) {
        log.warn({}, `Jobs do not get on, and are tried again: ${messageOf(error)}`);
      }
      // Also after a full round everybody else has a turn.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, isAwake || stopped ? 0 : wait);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  const going = goOn();
  return {
    wake() {
      isAwake = true;
      wakeUp?.();
    },
    async stop() {
      stopped = true;
      wakeUp?.();
      await going;
    },
  };
}

/** It was stopped, or another service has the lease: whoever goes on sees to it. */
function isOver(error: unknown): boolean {
  return isKeylineError(error) && ['LEASE_LOST', 'JOB_STATE_FORBIDS'].includes(error.code);
}

async function selectSome({ store }: FleetContext, hold: Hold, job: Job): Promise<void> {
  const { state, ...select } = job.input.select ?? {};
  const page = await store.listDevices({
    ...select,
    ...(state === undefined ? {} : { state }),
    kind: select.type?.startsWith('service:') === true ? 'service' : 'device',
    limit: selectAtOnce,
    ...(job.cursor === null ? {} : { cursor: job.cursor }),
  });
  const from = job.action === 'label' ? undefined : statesFor(job.action);
  const devices = page.items
    .filter((device) => from === undefined || from.includes(device.state))
    .map(({ id }) => id);
  const cursor = page.nextCursor;
  await store.commit({
    writes: [
      hold.condition(),
      {
        ...{ op: 'select-for-job', job: job.id, devices, cursor },
        state: cursor === null ? 'waiting' : 'selecting',
      },
    ],
    entries: [],
  });
}

/** @returns how many devices have a result now that had none */
async function changeSome(context: FleetContext, hold: Hold, job: Job): Promise<number> {
  const { store, clock } = context;
  const lost = await whyNotAllowed(context, job.caller);
  const end = async (to: 'done' | 'stopped', note?: string): Promise<void> => {
    const at = clock.now();
    await store.commit({
      writes: [
        hold.condition(),
        {
          op: 'change-job',
          id: job.id,
          from: ['running'],
          to,
          at,
          ...(note === undefined ? {} : { note }),
        },
      ],
      entries: [{ at, ...entryBy('keyline'), data: { kind: `job-${to}`, ...saidOf(job) } }],
    });
  };
  if (lost !== undefined) {
    await end('stopped', lost);
    return 0;
  }
  const atOnce = Math.max(1, Math.min(changeAtOnce, Math.ceil(job.rate / 4)));
  const devices = await store.listJobPending(job.id, atOnce);
  if (devices.length === 0) {
    if (leftOf(job) === 0) await end('done');
    return 0;
  }
  const outcomes = await Promise.allSettled(
    devices.map((id) => changeOne(context, hold, { job, id })),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return devices.length;
}

async function changeOne(
  context: FleetContext,
  hold: Hold,
  { job, id }: { readonly job: Job; readonly id: string },
): Promise<void> {
  const result = (found: Pick<JobResult, 'status' | 'code' | 'detail'>): readonly Write[] => [
    hold.condition(),
    { op: 'note-job-result', job: job.id, device: id, at: context.clock.now(), ...found },
  ];
  const alone = async (found: Pick<JobResult, 'status' | 'code' | 'detail'>): Promise<void> => {
    await context.store.commit({ writes: result(found), entries: [] });
  };
  const changed = result({ status: 'changed', code: null, detail: null });
  let answer: DeviceChanged;
  try {
    answer = await change(context, { job, id, alongside: changed });
  } catch (error) {
    if (!isKeylineError(error) || !ofDevice.includes(error.code)) throw error;
    await alone({ status: 'failed', code: error.code, detail: error.detail });
    return;
  }
  if (!answer.changed) await alone({ status: 'unchanged', code: null, detail: null });
}

function change(
  context: FleetContext,
  given: { readonly job: Job; readonly id: string; readonly alongside: readonly Write[] },
): Promise<DeviceChanged> {
  const { job, id, alongside } = given;
  const { action, input } = job;
  const caller: Caller = { ...job.caller };
  const how = { caller, id, job: job.id, alongside };
  if (action !== 'label') {
    return changeDeviceState(context, { ...how, change: action, reason: input.reason });
  }
  return labelDevice(context, {
    ...how,
    change: { set: input.set ?? {}, remove: input.remove ?? [] },
  });
}

/** Why whoever started a job may not have it go on: the certificate or the token by which that right was proved is revoked. */
async function whyNotAllowed(
  { store }: FleetContext,
  { via, name, serial }: JobCaller,
): Promise<string | undefined> {
  const isGone =
    via === 'token'
      ? (await store.findApiToken(name))?.revokedAt !== null
      : serial !== undefined &&
        (await store.findCertificate(serial as SerialHex))?.state === 'revoked';
  if (!isGone) return undefined;
  return `The ${via} of "${name}", who started it, was revoked. Somebody else may start it again.`;
}
