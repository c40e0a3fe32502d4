// The words of `keyline device`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import {
  collect,
  example,
  parseCount,
  withClientOptions,
  withLocationOptions,
} from './client-options.ts';
import { withKitOptions } from './kit.ts';
import type { DeviceChange, ChangeOptions } from '../device/change-device.ts';
import type { EnrollOptions } from '../device/enroll-device.ts';
import type { LabelOptions } from '../device/label-device.ts';
import type { ManyOptions } from '../job/change-many.ts';
import type { DeviceListOptions } from '../device/list-devices.ts';
import type { RenewOptions } from '../device/renew-device.ts';
import type { AllowRenewalOptions } from '../device/allow-renewal.ts';
import type { ClientOptions } from './client-options.ts';

export const keyAlgorithmNames = [
  'ec-p256',
  'ec-p384',
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
];
export const revocationReasonNames = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
];

const changes = [
  [
    'revoke',
    'revoke a device: certificates, live session and broker rights, in one move',
    'keyline device revoke pump-17 --reason keyCompromise --wait',
  ],
  ['suspend', 'suspend a device until it is resumed', 'keyline device suspend pump-17 --wait'],
  ['resume', 'let a suspended device back in', 'keyline device resume pump-17'],
  [
    'decommission',
    'end the life of a device; its id may be enrolled anew with a new key',
    'keyline device decommission pump-17 --reason cessationOfOperation',
  ],
] as const satisfies readonly (readonly [DeviceChange, string, string])[];

export const stateNames = ['registered', 'active', 'suspended', 'revoked', 'decommissioned'];

export function addDeviceCommands(program: Command, act: Act): void {
  const device = example(
    program.command('device').description('Devices: find, enroll, renew, revoke.'),
    'keyline device list --state active --type sensor',
  );

  example(
    withClientOptions(device.command('list').description('List and search devices.'))
      .addOption(new Option('--state <state>', 'where they stand').choices(stateNames))
      .option('--type <type>', 'device type')
      .option('--batch <id>', 'signed for this batch')
      .option('--label <name=value>', 'carrying this label')
      .option(
        '--expires-before <time>',
        'newest certificate ends before: RFC 3339, or 30d from now',
      )
      .option('-q, --query <text>', 'id begins with')
      .option('--online', 'those that a broker has a connection of')
      .option(
        '--not-seen-since <time>',
        'without a connection since: RFC 3339, or 7d ago; also those that were never seen',
      )
      .option('--limit <n>', 'at most so many (default 100)', parseCount)
      .option('--all', 'all of them'),
    'keyline device list --expires-before 30d',
  ).action(
    act(async (context, options: DeviceListOptions) => {
      const { listDevices } = await import('../device/list-devices.ts');
      await listDevices(context, options);
    }),
  );

  example(
    withClientOptions(
      device
        .command('show')
        .argument('<id>')
        .description('One device, its certificates and its history.'),
    ),
    'keyline device show pump-17',
  ).action(
    act(async (context, id: string, options: ClientOptions) => {
      const { showDevice } = await import('../device/show-device.ts');
      await showDevice(context, id, options);
    }),
  );

  example(
    withClientOptions(
      device
        .command('history')
        .argument('<id>')
        .description('What happened to a device, newest first: each ledger entry with its data.'),
    ),
    'keyline device history pump-17 --json',
  ).action(
    act(async (context, id: string, options: ClientOptions) => {
      const { showHistory } = await import('../device/show-device.ts');
      await showHistory(context, id, options);
    }),
  );

  example(
    withKitOptions(
      withLocationOptions(
        device
          .command('enroll')
          .description(
            'Enroll a device with an enrollment token. The key is made here and never leaves; writes ID.key, ID.crt (leaf and chain), ca.pem and broker.json, or with --kit a connect kit. Calling it again after a lost answer is safe.',
          ),
      ),
    )
      .requiredOption('--id <id>', 'device id')
      .option('--out <dir>', 'folder for the files alone (created when it is missing)')
      .option(
        '--token-file <file>',
        'file (mode 600) with the token to present: an enrollment token; - for stdin',
      )
      .addOption(
        new Option('--token <->', 'read the enrollment token from stdin: --token -').hideHelp(),
      )
      .addOption(
        new Option('--algorithm <name>', 'kind of key')
          .choices(keyAlgorithmNames)
          .default('ec-p256'),
      )
      .option('--validity <duration>', 'ask for less than the profile gives, for instance 12h')
      .option('--json', 'print the answer as JSON'),
    'keyline device enroll --id pump-17 --token-file token.txt --out pump-17/',
    'keyline device enroll --id pump-18 --token-file token.txt --kit pump-18.zip',
  ).action(
    act(async (context, options: EnrollOptions) => {
      const { enrollDevice } = await import('../device/enroll-device.ts');
      await enrollDevice(context, options);
    }),
  );

  example(
    withLocationOptions(
      device
        .command('renew')
        .description(
          "Renew a device's certificate with the certificate it has. Files are swapped safely: an interrupted renewal is finished by the next one.",
        ),
    )
      .requiredOption('--id <id>', 'device id')
      .requiredOption('--dir <dir>', 'folder with ID.key and ID.crt')
      .option('--new-key', 'make a new key too')
      .option('--validity <duration>', 'ask for less than the profile gives, for instance 12h')
      .option('--json', 'print the answer as JSON'),
    'keyline device renew --id pump-17 --dir pump-17/ --new-key',
  ).action(
    act(async (context, options: RenewOptions) => {
      const { renewDevice } = await import('../device/renew-device.ts');
      await renewDevice(context, options);
    }),
  );

  example(
    withClientOptions(
      device
        .command('allow-renewal')
        .argument('<id>')
        .description('Let a device renew once before its window, with the key it has.')
        .option('--for <duration>', 'how long it holds, for instance 1h; a day when left out'),
    ),
    'keyline device allow-renewal pump-17 --for 1h',
  ).action(
    act(async (context, id: string, options: AllowRenewalOptions) => {
      const { allowRenewal } = await import('../device/allow-renewal.ts');
      await allowRenewal(context, id, options);
    }),
  );

  example(
    withManyOptions(
      device
        .command('label')
        .argument('[words...]', 'the id, then labels as name=value')
        .description(
          'Set and remove labels of a device, or of many; those that are not named stay.',
        ),
    )
      .option('--remove <name>', 'a label to take off; may be repeated', collect)
      .option('--wait', 'answer when every broker has what follows from it'),
    'keyline device label pump-17 site=berlin --remove line',
  ).action(
    act(async (context, words: readonly string[], options: LabelOptions & ManyOptions) => {
      const { labelDevice, parseLabelWords } = await import('../device/label-device.ts');
      const { changeMany, isOfMany } = await import('../job/change-many.ts');
      const { id, ...labels } = parseLabelWords(words, options.remove);
      if (isOfMany(id, options)) return changeMany(context, { action: 'label', options, labels });
      await labelDevice(context, { id: id ?? '', labels, options });
      return undefined;
    }),
  );

  for (const [change, description, line] of changes) {
    const command = withManyOptions(
      device
        .command(change)
        .argument('[id]')
        .description(`${description[0]?.toUpperCase() ?? ''}${description.slice(1)}.`),
    )
      .addOption(new Option('--reason <reason>', 'RFC 5280 reason').choices(revocationReasonNames))
      .option(
        '--wait',
        'follow until every effect holds, for a minute at most; exit code 7 when one does not',
      );
    example(command, line).action(
      act(async (context, id: string | undefined, options: ChangeOptions & ManyOptions) => {
        const { changeMany, isOfMany } = await import('../job/change-many.ts');
        if (isOfMany(id, options)) return changeMany(context, { action: change, options });
        const { changeDevice } = await import('../device/change-device.ts');
        return await changeDevice(context, { change, id: id ?? '', options });
      }),
    );
  }
}

/** Of a change that can be made of many: which ones, and that the number is meant. */
function withManyOptions(command: Command): Command {
  return withClientOptions(command)
    .option('--batch <id>', 'instead of an id: all that were signed for this batch')
    .option('--type <type>', 'instead of an id: all of this device type')
    .option('--label <name=value>', 'instead of an id: all that carry this label')
    .option('--ids <file>', 'instead of an id: those in the file, an id a line')
    .option('--rate <n>', 'of many: so many a second at most (default 100)', parseCount)
    .option('--yes', 'of many: do not ask; with --expect')
    .option('--expect <n>', 'of many: how many there must be, or nothing is done', parseCount)
    .option('--detach', 'of many: print the id of the job and do not wait for it');
}
