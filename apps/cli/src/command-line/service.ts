// The words of `keyline service`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import {
  collectLabel,
  example,
  parseCount,
  withClientOptions,
  withLocationOptions,
  type ClientOptions,
} from './client-options.ts';
import { withKitOptions } from './kit.ts';
import type { ChangeOptions, DeviceChange } from '../device/change-device.ts';
import type { RenewOptions } from '../device/renew-device.ts';
import type { CreateServiceOptions } from '../service/create-service.ts';
import type { ServiceListOptions } from '../service/list-services.ts';
import { keyAlgorithmNames, revocationReasonNames, stateNames } from './device.ts';

type RenewServiceOptions = Omit<RenewOptions, 'id' | 'dir'> & { readonly dir?: string };

const changes = [
  [
    'revoke',
    'Revoke a service: certificates, live session and broker rights, in one move.',
    'keyline service revoke dashboard --reason keyCompromise --wait',
  ],
  ['suspend', 'Suspend a service until it is resumed.', 'keyline service suspend dashboard'],
  ['resume', 'Let a suspended service back in.', 'keyline service resume dashboard'],
  [
    'decommission',
    'End the life of a service; its name may be given to a service again, with a new key.',
    'keyline service decommission dashboard',
  ],
] as const satisfies readonly (readonly [DeviceChange, string, string])[];

export function addServiceCommands(program: Command, act: Act): void {
  const service = example(
    program
      .command('service')
      .description('Services: applications that read telemetry, send commands or bridge brokers.'),
    'keyline service create dashboard --role telemetry-reader',
  );

  example(
    withKitOptions(
      withClientOptions(
        service
          .command('create')
          .argument('<name>')
          .description(
            'Make a service with a role of ca-config/roles that says "kind: service", known to every broker. The key is made here and never leaves; writes NAME.key, NAME.crt (leaf and chain), ca.pem and broker.json, or with --kit a connect kit. Calling it again after a lost answer is safe.',
          ),
      ),
    )
      .requiredOption('--role <role>', 'what it may do, for instance telemetry-reader')
      .option(
        '--out <dir>',
        'folder for the files alone, created when it is missing (default: NAME)',
      )
      .option('--label <name=value>', 'label, for the topics of its role', collectLabel)
      .addOption(
        new Option('--algorithm <name>', 'kind of key')
          .choices([...keyAlgorithmNames])
          .default('ec-p256'),
      )
      .option('--validity <duration>', 'ask for less than the profile gives, for instance 12h'),
    'keyline service create dashboard --role telemetry-reader --kit dashboard/',
  ).action(
    act(async (context, name: string, options: CreateServiceOptions) => {
      const { createService } = await import('../service/create-service.ts');
      await createService(context, name, options);
    }),
  );

  example(
    withClientOptions(service.command('list').description('List and search services.'))
      .addOption(new Option('--state <state>', 'where they stand').choices([...stateNames]))
      .option('--role <role>', 'with this role')
      .option('--label <name=value>', 'carrying this label')
      .option('-q, --query <text>', 'name begins with')
      .option('--limit <n>', 'at most so many (default 100)', parseCount)
      .option('--all', 'all of them'),
    'keyline service list --role telemetry-reader',
  ).action(
    act(async (context, options: ServiceListOptions) => {
      const { listServices } = await import('../service/list-services.ts');
      await listServices(context, options);
    }),
  );

  example(
    withClientOptions(
      service
        .command('show')
        .argument('<name>')
        .description('One service, its certificates and its history.'),
    ),
    'keyline service show dashboard',
  ).action(
    act(async (context, name: string, options: ClientOptions) => {
      const { showService } = await import('../service/show-service.ts');
      await showService(context, name, options);
    }),
  );

  example(
    withLocationOptions(
      service
        .command('renew')
        .argument('<name>')
        .description(
          "Renew a service's certificate with the certificate it has. Files are swapped safely: an interrupted renewal is finished by the next one.",
        ),
    )
      .option('--dir <dir>', 'folder with NAME.key and NAME.crt (default: NAME)')
      .option('--new-key', 'make a new key too')
      .option('--validity <duration>', 'ask for less than the profile gives, for instance 12h')
      .option('--json', 'print the answer as JSON'),
    'keyline service renew dashboard --dir dashboard/',
  ).action(
    act(async (context, name: string, options: RenewServiceOptions) => {
      const { renewDevice } = await import('../device/renew-device.ts');
      await renewDevice(context, { ...options, id: name, dir: options.dir ?? name });
    }),
  );

  for (const [change, description, line] of changes) {
    const command = withClientOptions(
      service.command(change).argument('<name>').description(description),
    )
      .addOption(
        new Option('--reason <reason>', 'RFC 5280 reason').choices([...revocationReasonNames]),
      )
      .option(
        '--wait',
        'follow until every effect holds, for a minute at most; exit code 7 when one does not',
      );
    example(command, line).action(
      act(async (context, name: string, options: ChangeOptions) => {
        const { changeService } = await import('../service/change-service.ts');
        return await changeService(context, { change, name, options });
      }),
    );
  }
}
