// The words of `keyline batch`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import {
  collect,
  collectLabel,
  example,
  parseCount,
  withClientOptions,
  type ClientOptions,
} from './client-options.ts';
import type { CreateBatchOptions, QuotaOptions } from '../batch/batches.ts';
import type { SignBatchOptions } from '../batch/sign-batch.ts';

export function addBatchCommands(program: Command, act: Act): void {
  const batch = example(
    program.command('batch').description('Batches (work orders): sign on the manufacturing line.'),
    'keyline batch sign wo-2031 --csr-dir csrs/ --out certs/',
  );

  example(
    withClientOptions(batch.command('create').argument('<id>').description('Open a batch.'))
      .requiredOption('--quota <n>', 'how many units at most', parseCount)
      .option('--type <type>', 'device type of the units')
      .option('--id-pattern <glob>', 'only unit ids like this: line1-*')
      .option(
        '--station <name>',
        'a station that may sign; may be repeated (default: any)',
        collect,
      )
      .option('--label <name=value>', 'label for every unit', collectLabel)
      .option('--rework', 'a unit may come again with a new key')
      .option('--ends-in <duration>', 'for instance 14d (default: 30d)'),
    'keyline batch create wo-2031 --quota 500 --type sensor --id-pattern "s-*" --ends-in 14d',
  ).action(
    act(async (context, id: string, options: CreateBatchOptions) => {
      const { createBatch } = await import('../batch/batches.ts');
      await createBatch(context, id, options);
    }),
  );

  example(
    withClientOptions(batch.command('list').description('List batches.')),
    'keyline batch list',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { listBatches } = await import('../batch/batches.ts');
      await listBatches(context, options);
    }),
  );

  for (const [name, description] of [
    ['show', 'One batch, with how much of its quota is used.'],
    ['close', 'Close a batch: nothing is signed for it any more.'],
  ] as const) {
    example(
      withClientOptions(batch.command(name).argument('<id>').description(description)),
      `keyline batch ${name} wo-2031`,
    ).action(
      act(async (context, id: string, options: ClientOptions) => {
        const { closeBatch, showBatch } = await import('../batch/batches.ts');
        await (name === 'show' ? showBatch : closeBatch)(context, id, options);
      }),
    );
  }

  example(
    withClientOptions(
      batch
        .command('quota')
        .argument('<id>')
        .description('Change how many units a batch is for; what is signed already counts.'),
    ).requiredOption('--set <n>', 'how many units at most, from now on', parseCount),
    'keyline batch quota wo-2031 --set 600',
  ).action(
    act(async (context, id: string, options: QuotaOptions) => {
      const { changeQuota } = await import('../batch/batches.ts');
      await changeQuota(context, id, options);
    }),
  );

  example(
    withClientOptions(
      batch
        .command('sign')
        .argument('<id>')
        .description(
          'Sign a folder of CSRs named <unit id>.csr (or .pem, .req, .p10, .der) as one stream. Every other file is named, and makes the exit code 3. May be called again at any time: units that were signed before get the same certificate.',
        ),
    )
      .requiredOption('--csr-dir <dir>', 'folder with the CSRs, PEM or DER')
      .requiredOption(
        '--out <dir>',
        'folder for <unit id>.crt and ca.pem (created when it is missing)',
      ),
    'keyline batch sign wo-2031 --csr-dir csrs/ --out certs/',
  ).action(
    act(async (context, id: string, options: SignBatchOptions) => {
      const { signBatch } = await import('../batch/sign-batch.ts');
      return await signBatch(context, id, options);
    }),
  );
}
