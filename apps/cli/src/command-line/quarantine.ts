// The words of `keyline quarantine`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import { revocationReasonNames } from './device.ts';
import { example, withClientOptions } from './client-options.ts';
import type {
  AdoptOptions,
  ListQuarantineOptions,
  RevokeQuarantinedOptions,
} from '../operations/quarantine.ts';

export function addQuarantineCommands(program: Command, act: Act): void {
  const quarantine = example(
    program
      .command('quarantine')
      .description(
        'Certificates that our authorities signed and that are not on record: held until a person decides.',
      ),
    'keyline quarantine list',
  );
  example(
    withClientOptions(
      quarantine.command('list').description('List them, the oldest first.'),
    ).option('--all', 'those that were decided about, too'),
    'keyline quarantine list --all',
  ).action(
    act(async (context, options: ListQuarantineOptions) => {
      const { listQuarantine } = await import('../operations/quarantine.ts');
      await listQuarantine(context, options);
    }),
  );
  example(
    withClientOptions(
      quarantine
        .command('adopt <serial>')
        .description('Take one for ours: its device is on record from then on, and let in.'),
    )
      .option('--certificate <file>', 'the certificate, PEM, where only its serial is known so far')
      .option('--type <type>', 'type of a device that is not on record (default: default)'),
    'keyline quarantine adopt 4f2a09c1d3e8b7 --type sensor',
  ).action(
    act(async (context, serial: string, options: AdoptOptions) => {
      const { adopt } = await import('../operations/quarantine.ts');
      await adopt(context, serial, options);
    }),
  );
  example(
    withClientOptions(
      quarantine.command('revoke <serial>').description('Revoke one, for good, on the CRL.'),
    )
      .addOption(new Option('--reason <reason>', 'why').choices(revocationReasonNames))
      .option('--authority <name>', 'which authority signed it, where that is not known'),
    'keyline quarantine revoke 4f2a09c1d3e8b7 --reason keyCompromise',
  ).action(
    act(async (context, serial: string, options: RevokeQuarantinedOptions) => {
      const { revokeHeld } = await import('../operations/quarantine.ts');
      await revokeHeld(context, serial, options);
    }),
  );
}
