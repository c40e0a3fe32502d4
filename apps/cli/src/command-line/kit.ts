// The words of `keyline kit`, and of the options that other commands have for kits.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { example, withLocationOptions } from './client-options.ts';
import type { MakeKitOptions } from '../kit/make-kit.ts';

export function addKitCommand(program: Command, act: Act): void {
  example(
    withLocationOptions(
      program
        .command('kit')
        .argument('<id>')
        .description(
          'Make a connect kit of a device or service that has its certificate: ID.key, ID.crt with its chain, trust.pem, broker.json, and settings for mosquitto_pub, MQTT.js, paho (Python, C, Java), ESP-IDF, Node-RED and Telegraf.',
        ),
    )
      .requiredOption('--dir <dir>', 'folder with ID.key and ID.crt')
      .requiredOption('--out <place>', 'new folder, or a new file that ends in .zip')
      .option(...brokerOption)
      .option('--json', 'print the answer as JSON'),
    'keyline kit pump-17 --dir pump-17/ --out pump-17-kit.zip',
  ).action(
    act(async (context, id: string, options: MakeKitOptions) => {
      const { makeConnectKit } = await import('../kit/make-kit.ts');
      await makeConnectKit(context, id, options);
    }),
  );
}

const brokerOption = [
  '--broker <name>',
  'broker it is to use, as in targets.yaml (default: that of its type)',
] as const;

/** For commands that make a key and get it a certificate. */
export function withKitOptions(command: Command): Command {
  return command
    .option(
      '--kit <place>',
      'new folder, or a new file that ends in .zip, for a connect kit: the files, and settings for clients',
    )
    .option(...brokerOption);
}
