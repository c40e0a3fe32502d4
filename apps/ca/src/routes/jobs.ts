// Jobs: one change of many devices. What does them is started in start-jobs.ts.
import type { JobView } from '@keyline/api';
import { addToJob, createJob, getJob, leftOf, startJob, stopJob, type Job } from '@keyline/fleet';
import { formatInstant } from '@keyline/kernel';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { optionalInstant } from '../views.ts';
import type { Register } from './register.ts';

const defaultRate = 100;

export function registerJobs(register: Register, service: ServiceContext): void {
  const { fleet, jobs } = service;

  register('createJob', async ({ body, request }) => {
    const { action, reason, set, remove, rate = defaultRate, select, ids } = body;
    const job = await createJob(fleet, {
      ...{ caller: requireCaller(request.caller), action, reason, rate, select, ids },
      labels:
        set === undefined && remove === undefined
          ? undefined
          : { set: set ?? {}, remove: remove ?? [] },
    });
    jobs.wake();
    return viewJob(job);
  });

  register('addToJob', async ({ params, body }) =>
    viewJob(await addToJob(fleet, { id: params.id, ids: body.ids })),
  );

  register('startJob', async ({ params, body, request }) => {
    const caller = requireCaller(request.caller);
    const job = await startJob(fleet, { caller, id: params.id, expect: body.expect });
    jobs.wake();
    return viewJob(job);
  });

  register('stopJob', async ({ params, request }) =>
    viewJob(await stopJob(fleet, { caller: requireCaller(request.caller), id: params.id })),
  );

  register('listJobs', async ({ query }) => {
    const page = await fleet.store.listJobs(pageOf(query, service.limits));
    return { items: page.items.map(viewJob), nextCursor: page.nextCursor };
  });

  register('getJob', async ({ params }) => viewJob(await getJob(fleet, params.id)));

  register('listJobResults', async ({ params, query }) => {
    const job = await getJob(fleet, params.id);
    const page = await fleet.store.listJobResults({
      ...{ job: job.id, status: query.status },
      ...pageOf(query, service.limits),
    });
    return {
      items: page.items.map((one) => ({ ...one, at: optionalInstant(one.at) })),
      nextCursor: page.nextCursor,
    };
  });
}

function viewJob(job: Job): JobView {
  const { id, action, state, total, changed, unchanged, failed, rate, caller, note } = job;
  return {
    ...{ id, action, state, total, left: leftOf(job), changed, unchanged, failed, rate },
    by: `${caller.role}:${caller.name}`,
    createdAt: formatInstant(job.createdAt),
    startedAt: optionalInstant(job.startedAt),
    endedAt: optionalInstant(job.endedAt),
    note,
  };
}
