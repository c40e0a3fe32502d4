// The words of `keyline role`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import { example, withClientOptions, type ClientOptions } from './client-options.ts';
import type { CheckRoleOptions } from '../role/check-role.ts';

export function addRoleCommands(program: Command, act: Act): void {
  const role = example(
    program
      .command('role')
      .description('Roles: which topics devices and services may use, from ca-config/roles.'),
    'keyline role check pump-17 devices/pump-17/telemetry --publish',
  );

  example(
    withClientOptions(
      role.command('list').description('List the roles that run, with their files.'),
    ),
    'keyline role list',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { listRoles } = await import('../role/roles.ts');
      await listRoles(context, options);
    }),
  );

  example(
    withClientOptions(
      role
        .command('apply')
        .description(
          'Take changed files of roles and device types up, without a restart, and push them to every broker. A file with a mistake changes nothing, and is named with its line.',
        ),
    ),
    'keyline role apply',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { applyRoles } = await import('../role/roles.ts');
      return await applyRoles(context, options);
    }),
  );

  example(
    withClientOptions(
      role
        .command('check')
        .argument('<id>', 'a device or service')
        .argument('<topic>', 'a topic to publish to, or a filter to subscribe to')
        .description(
          'Say whether a device or service may use a topic, by which line of its role, and what to change where it may not. Exit code 3 when it may not.',
        ),
    )
      .addOption(new Option('--publish', 'may it publish to it (when neither is given)'))
      .addOption(new Option('--subscribe', 'may it subscribe to it').conflicts('publish')),
    'keyline role check pump-17 devices/pump-17/commands/# --subscribe',
  ).action(
    act(async (context, id: string, topic: string, options: CheckRoleOptions) => {
      const { checkRole } = await import('../role/check-role.ts');
      return await checkRole(context, { id, topic, options });
    }),
  );
}
