// The words of `keyline alerts` and `keyline doctor`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { example, withClientOptions, type ClientOptions } from './client-options.ts';
import type { AlertOptions } from '../operations/alerts.ts';

export function addOperationCommands(program: Command, act: Act): void {
  const alerts = example(
    program.command('alerts').description('What needs attention before it breaks.'),
    'keyline alerts list',
  );
  example(
    withClientOptions(alerts.command('list').description('List alerts.')).option(
      '--all',
      'resolved ones too',
    ),
    'keyline alerts list --all',
  ).action(
    act(async (context, options: AlertOptions) => {
      const { listAlerts } = await import('../operations/alerts.ts');
      await listAlerts(context, options);
    }),
  );
  example(
    withClientOptions(
      alerts
        .command('acknowledge <key>')
        .description(
          'Closes an alert about something that has happened. Others close when what they are about is over.',
        ),
    ),
    'keyline alerts acknowledge identity:press-7:not-on-record',
  ).action(
    act(async (context, key: string, options: ClientOptions) => {
      const { acknowledgeAlert } = await import('../operations/alerts.ts');
      await acknowledgeAlert(context, key, options);
    }),
  );

  example(
    withClientOptions(
      program
        .command('doctor')
        .description(
          'Checks that everything is reachable, in date and in time, and says what to do about what is not.',
        ),
    ),
    'keyline doctor',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { runDoctor } = await import('../doctor/run-doctor.ts');
      return await runDoctor(context, options);
    }),
  );
}
