// The words of `keyline login` and `keyline context`.
import type { Command } from 'commander';
import type { JsonOption } from '../context.ts';
import type { Act } from './act.ts';
import { example, withClientOptions, type ClientOptions } from './client-options.ts';

export function addLoginCommands(program: Command, act: Act): void {
  example(
    withClientOptions(
      program
        .command('login')
        .argument('[name]', 'what to call this connection', 'default')
        .description(
          'Tries a connection and saves it (a context) in ~/.config/keyline/contexts.json, so that other commands find the service and the caller by themselves. An API token is copied into that file, a key stays where it is.',
        ),
    ),
    'keyline login plant-1 --api https://ca.example.org:8443 --ca trust.pem --token-file api.token',
    'keyline login trial --endpoints .keyline/endpoints.json',
  ).action(
    act(async (context, name: string, options: ClientOptions) => {
      const { login } = await import('../login/login.ts');
      await login(context, name, options);
    }),
  );

  const contexts = example(
    program.command('context').description('Saved connections: which there are, which is used.'),
    'keyline context list',
  );
  example(
    contexts
      .command('list')
      .description('List saved connections; the one in use has a star.')
      .option('--json', 'print the answer as JSON'),
    'keyline context list',
  ).action(
    act(async (context, options: JsonOption) => {
      const { listContexts } = await import('../login/contexts.ts');
      await listContexts(context, options);
    }),
  );
  for (const [name, description] of [
    ['use', 'Use a saved connection from now on.'],
    ['delete', 'Delete a saved connection, with the token in it.'],
  ] as const) {
    example(
      contexts
        .command(name)
        .argument('<name>', 'as "keyline context list" shows it')
        .description(description)
        .option('--json', 'print the answer as JSON'),
      `keyline context ${name} plant-1`,
    ).action(
      act(async (context, which: string, options: JsonOption) => {
        const { deleteContext, useContext } = await import('../login/contexts.ts');
        await (name === 'use' ? useContext : deleteContext)(context, which, options);
      }),
    );
  }
}
