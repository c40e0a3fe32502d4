// The words of `keyline job`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { example, parseCount, withClientOptions, type ClientOptions } from './client-options.ts';
import type { StartJobOptions } from '../job/jobs.ts';

export function addJobCommands(program: Command, act: Act): void {
  const job = example(
    program
      .command('job')
      .description('Changes of many devices, which the service does one by one.'),
    'keyline job list',
  );

  example(
    withClientOptions(job.command('list').description('List jobs, the newest first.')),
    'keyline job list',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { listJobs } = await import('../job/jobs.ts');
      await listJobs(context, options);
    }),
  );

  for (const [name, description] of [
    ['show', 'How far a job is, and its result for each device.'],
    ['stop', 'Stop a job: no device is changed any more. It can be started again.'],
    ['wait', 'Wait until a job is done or stopped; Ctrl-C leaves it running.'],
  ] as const) {
    example(
      withClientOptions(job.command(name).argument('<id>').description(description)),
      `keyline job ${name} job_4f1c0a7b4f1c0a7b4f1c0a7b`,
    ).action(
      act(async (context, id: string, options: ClientOptions) => {
        const jobs = await import('../job/jobs.ts');
        if (name === 'show') return await jobs.showJob(context, id, options);
        return await (name === 'stop' ? jobs.stopJob : jobs.waitForJob)(context, id, options);
      }),
    );
  }

  example(
    withClientOptions(
      job
        .command('start')
        .argument('<id>')
        .description('Start a job that waits or was stopped, and wait until it is done.'),
    ).requiredOption(
      '--expect <n>',
      'how many devices are left; otherwise nothing starts',
      parseCount,
    ),
    'keyline job start job_4f1c0a7b4f1c0a7b4f1c0a7b --expect 12',
  ).action(
    act(async (context, id: string, options: StartJobOptions) => {
      const { startJob } = await import('../job/jobs.ts');
      return await startJob(context, id, options);
    }),
  );
}
