// `keyline job list|show|start|stop|wait`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobResultList, JobView } from '@keyline/api';
import type { ApiClient } from '@keyline/client';
import { exitCodes } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { formatFacts, formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

/** Milliseconds between two looks. */
const pace = 250;

export interface StartJobOptions extends ClientOptions {
  readonly expect: number;
}

async function withClient<Answer>(
  context: CliContext,
  options: ClientOptions,
  work: (client: ApiClient) => Promise<Answer>,
): Promise<Answer> {
  const client = await openClient(context, options);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

export async function listJobs(context: CliContext, options: ClientOptions): Promise<void> {
  const { items, nextCursor } = await withClient(context, options, (client) =>
    client.call('listJobs', { query: { limit: 100 } }),
  );
  if (options.json === true) {
    printJson(context, { items, nextCursor });
    return;
  }
  if (items.length === 0) {
    context.terminal.err('There is no job. "keyline device revoke --batch wo-1" makes one.\n');
    return;
  }
  const now = context.clock.now();
  context.terminal.out(
    formatTable(
      ['ID', 'ACTION', 'STATE', 'DEVICES', 'LEFT', 'FAILED', 'BY', 'MADE (UTC)'],
      items.map(({ id, action, state, total, left, failed, by, createdAt }) => [
        ...[id, action, state, total, left, failed, by],
        formatTimeAndDistance(createdAt, now),
      ]),
    ),
  );
}

export function showJob(context: CliContext, id: string, options: ClientOptions): Promise<number> {
  return withClient(context, options, async (client) =>
    printJob(context, client, { job: await client.call('getJob', { params: { id } }), options }),
  );
}

export function stopJob(context: CliContext, id: string, options: ClientOptions): Promise<number> {
  return withClient(context, options, async (client) => {
    const job = await client.call('stopJob', { params: { id }, body: {} });
    if (options.json === true) printJson(context, job);
    else context.terminal.out(formatJob(context, job));
    return exitCodes.ok;
  });
}

export function waitForJob(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<number> {
  return withClient(context, options, (client) => followJob(context, client, { id, options }));
}

export function startJob(
  context: CliContext,
  id: string,
  options: StartJobOptions,
): Promise<number> {
  return withClient(context, options, async (client) => {
    await client.call('startJob', { params: { id }, body: { expect: options.expect } });
    return followJob(context, client, { id, options });
  });
}

/** Until it is done or stopped; then a line for each device. */
export async function followJob(
  context: CliContext,
  client: ApiClient,
  { id, options }: { readonly id: string; readonly options: ClientOptions },
): Promise<number> {
  let job = await client.call('getJob', { params: { id } });
  if (job.state === 'running') {
    context.terminal.err(
      `The service does the job ${id}. Ctrl-C leaves it running; keyline job stop ${id} ends it.\n`,
    );
  }
  const bar = createProgressBar(context.terminal, job.total);
  while (job.state === 'running') {
    bar.advanceTo(job.total - job.left);
    await sleep(pace);
    job = await client.call('getJob', { params: { id } });
  }
  bar.clear();
  return printJob(context, client, { job, options });
}

async function printJob(
  context: CliContext,
  client: ApiClient,
  { job, options }: { readonly job: JobView; readonly options: ClientOptions },
): Promise<number> {
  const all: JobResultList['items'] = [];
  let cursor: string | null = null;
  if (options.json !== true) context.terminal.out(`${formatJob(context, job)}\n`);
  do {
    const page: JobResultList = await client.call('listJobResults', {
      params: { id: job.id },
      query: { limit: 1000, ...(cursor === null ? {} : { cursor }) },
    });
    if (options.json === true) all.push(...page.items);
    else {
      const lines = page.items.map(
        ({ device, status, code, detail }) =>
          `${device}  ${status}${code === null ? '' : `  ${detail ?? ''} [${code}]`}\n`,
      );
      context.terminal.out(lines.join(''));
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  if (options.json === true) printJson(context, { job, items: all });
  if (job.failed > 0) return exitCodes.refused;
  return job.left > 0 && job.state !== 'waiting' ? exitCodes.pending : exitCodes.ok;
}

function formatJob(context: CliContext, job: JobView): string {
  const now = context.clock.now();
  const { id, action, state, total, changed, unchanged, failed, left, by, note } = job;
  return formatFacts([
    ['job', id],
    ['state', note === null ? state : `${state}: ${note}`],
    ['does', `${action}, ${String(job.rate)} devices a second at most`],
    ['devices', String(total)],
    ['changed', String(changed)],
    ['were so already', String(unchanged)],
    ['failed', String(failed)],
    ['left', String(left)],
    ['by', by],
    ['made', formatTimeAndDistance(job.createdAt, now)],
    ['ended', job.endedAt === null ? undefined : formatTimeAndDistance(job.endedAt, now)],
  ]);
}
