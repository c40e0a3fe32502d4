// `keyline device revoke|suspend|resume|decommission|label` of many: counts them, has the number confirmed, and lets the service do it.
import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import type { JobView } from '@keyline/api';
import type { ApiClient, RouteInput } from '@keyline/client';
import { readText } from '@keyline/files';
import { exitCodes, KeylineError } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import type { LabelWords } from '../device/label-device.ts';
import { openClient } from '../find-service.ts';
import { followJob } from './jobs.ts';

type CreateJob = RouteInput<'createJob'>['body'];

export interface ManyOptions extends ClientOptions {
  readonly batch?: string;
  readonly type?: string;
  readonly label?: string;
  readonly ids?: string;
  readonly rate?: number;
  readonly yes?: boolean;
  readonly expect?: number;
  readonly detach?: boolean;
  readonly reason?: string;
}

/** Ids of one request. */
const idsAtOnce = 800;
const pace = 100;

/** Whether many are meant rather than one. @throws {KeylineError} USAGE for both, or neither */
export function isOfMany(id: string | undefined, options: ManyOptions): boolean {
  const { batch, type, label, ids } = options;
  const isSelected = [batch, type, label, ids].some((value) => value !== undefined);
  if (isSelected && id !== undefined) {
    throw new KeylineError('USAGE', `Name one device ("${id}"), or say which: not both.`);
  }
  if (!isSelected && id === undefined) {
    throw new KeylineError(
      'USAGE',
      'Say which: a device by its id, or --batch, --type, --label or --ids FILE for many.',
    );
  }
  if (ids !== undefined && [batch, type, label].some((value) => value !== undefined)) {
    throw new KeylineError(
      'USAGE',
      '--ids names the devices; --batch, --type and --label do not go with it.',
    );
  }
  if (isSelected && options.yes === true && options.expect === undefined) {
    throw new KeylineError('USAGE', '--yes needs --expect N: how many devices it is to be.');
  }
  return isSelected;
}

export async function changeMany(
  context: CliContext,
  given: {
    readonly action: CreateJob['action'];
    readonly options: ManyOptions;
    readonly labels?: LabelWords;
  },
): Promise<number> {
  const { action, options, labels } = given;
  const { batch, type, label, rate, reason } = options;
  const ids = options.ids === undefined ? undefined : await readIds(context, options.ids);
  const client = await openClient(context, options);
  try {
    let job = await client.call('createJob', {
      body: {
        action,
        ...(rate === undefined ? {} : { rate }),
        ...(reason === undefined ? {} : { reason: reason as NonNullable<CreateJob['reason']> }),
        ...(labels === undefined ? {} : { set: { ...labels.set }, remove: [...labels.remove] }),
        ...(ids === undefined
          ? {
              select: {
                ...(batch === undefined ? {} : { batch }),
                ...(type === undefined ? {} : { type }),
                ...(label === undefined ? {} : { label }),
              },
            }
          : { ids: ids.slice(0, idsAtOnce) }),
      },
    });
    for (let from = idsAtOnce; from < (ids?.length ?? 0); from += idsAtOnce) {
      const body = { ids: ids?.slice(from, from + idsAtOnce) ?? [] };
      job = await client.call('addToJob', { params: { id: job.id }, body });
    }
    while (job.state === 'selecting') {
      await sleep(pace);
      job = await client.call('getJob', { params: { id: job.id } });
    }
    const expect = await confirm(context, client, { job, options });
    await client.call('startJob', { params: { id: job.id }, body: { expect } });
    if (options.detach !== true) return await followJob(context, client, { id: job.id, options });
    if (options.json === true) printJson(context, { job, items: [] });
    else context.terminal.out(`${job.id}\n`);
    return exitCodes.ok;
  } finally {
    client.close();
  }
}

/** @returns the number that was confirmed @throws {KeylineError} USAGE, NOT_FOUND, JOB_COUNT_DIFFERS; the job is stopped then */
async function confirm(
  context: CliContext,
  client: ApiClient,
  { job, options }: { readonly job: JobView; readonly options: ManyOptions },
): Promise<number> {
  const count = String(job.total);
  const giveUp = async (error: KeylineError): Promise<never> => {
    await client.call('stopJob', { params: { id: job.id }, body: {} });
    throw error;
  };
  if (job.total === 0) {
    return giveUp(
      new KeylineError(
        'DEVICE_NOT_FOUND',
        `No device is like that and can be told to ${job.action}.`,
      ),
    );
  }
  if (options.expect !== undefined) {
    if (options.expect === job.total && options.yes === true) return job.total;
    if (options.expect !== job.total) {
      return giveUp(
        new KeylineError(
          'JOB_COUNT_DIFFERS',
          `It would be ${count} devices, not ${String(options.expect)}. Nothing was done.`,
        ),
      );
    }
  }
  if (!context.terminal.canAsk) {
    return giveUp(
      new KeylineError(
        'USAGE',
        `It would be ${count} devices, and nobody is here to be asked. Nothing was done; say so with --yes --expect ${count}.`,
      ),
    );
  }
  context.terminal.err(`${job.action}: ${count} devices. Type that number to go on: `);
  const typed = await readLine(context.stdin);
  if (typed === count) return job.total;
  return giveUp(new KeylineError('USAGE', 'That is another number. Nothing was done.'));
}

async function readLine(stdin: CliContext['stdin']): Promise<string> {
  let text = '';
  for await (const part of stdin) {
    text += typeof part === 'string' ? part : Buffer.from(part).toString('utf8');
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0]?.trim() ?? '';
}

/** An id a line; empty lines and those that begin with "#" are left out. */
async function readIds(context: CliContext, file: string): Promise<string[]> {
  const text = await readText(resolve(context.cwd, file), 'the ids', 64_000_000);
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const ids = [...new Set(lines.filter((line) => line !== '' && !line.startsWith('#')))];
  if (ids.length === 0) throw new KeylineError('USAGE', `${file} names no device: an id a line.`);
  return ids;
}
