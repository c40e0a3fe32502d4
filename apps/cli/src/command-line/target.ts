// The words of `keyline target`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import type { TargetFilesOptions } from '../operations/target-files.ts';
import { example, withClientOptions, type ClientOptions } from './client-options.ts';

export function addTargetCommands(program: Command, act: Act): void {
  const target = example(
    program.command('target').description('Brokers that identities and rights are pushed to.'),
    'keyline target list',
  );
  example(
    withClientOptions(
      target.command('list').description('List brokers, how far they are, and what differed.'),
    ),
    'keyline target list',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { listTargets } = await import('../operations/targets.ts');
      await listTargets(context, options);
    }),
  );
  example(
    withClientOptions(
      target
        .command('compare')
        .description('Compare a broker with the fleet now, and repair what differs.')
        .argument('<name>', 'the broker'),
    ),
    'keyline target compare broker',
  ).action(
    act(async (context, name: string, options: ClientOptions) => {
      const { compareTarget } = await import('../operations/targets.ts');
      await compareTarget(context, name, options);
    }),
  );
  example(
    withClientOptions(
      target
        .command('files')
        .description(
          'Write what a Mosquitto of your own begins with: dynamic-security.json, acl and ca.pem (docs/mosquitto.md).',
        ),
    )
      .requiredOption('--out <dir>', 'new folder')
      .option('--config <dir>', 'configuration with the roles (default: that of "keyline up")'),
    'keyline target files --out hall-3/',
  ).action(
    act(async (context, options: TargetFilesOptions) => {
      const { writeTargetFiles } = await import('../operations/target-files.ts');
      await writeTargetFiles(context, options);
    }),
  );
}
