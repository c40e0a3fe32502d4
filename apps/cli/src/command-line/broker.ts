// The words of `keyline broker`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { example } from './client-options.ts';

export function addBrokerCommands(program: Command, act: Act): void {
  const broker = program
    .command('broker')
    .description('The broker by itself; "keyline up" runs one beside the issuing CA.');
  example(
    broker
      .command('serve')
      .summary('serve until it is stopped; --help shows all options')
      // They are keyline-broker's, which also explains them.
      .helpOption(false)
      .allowUnknownOption()
      .argument('[options...]'),
    'keyline broker serve --help',
  ).action(
    act(async (context, options: readonly string[]) => {
      const { serveBroker } = await import('../broker/serve-broker.ts');
      return await serveBroker(context, options);
    }),
  );
  example(broker, 'keyline broker serve --engine mosquitto --help');
}
