// The words of `keyline token`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import {
  collectLabel,
  example,
  parseCount,
  withClientOptions,
  type ClientOptions,
} from './client-options.ts';
import type { CreateTokenOptions, ListTokensOptions } from '../token/tokens.ts';

export function addTokenCommands(program: Command, act: Act): void {
  const token = example(
    program.command('token').description('Enrollment tokens for devices, API tokens for scripts.'),
    'keyline token create --type sensor --id-pattern "line1-*" --max-uses 500 --expires-in 7d',
  );

  example(
    withClientOptions(
      token
        .command('create')
        .description('Create a token. Its secret is shown this once: on stdout, alone.'),
    )
      .addOption(
        new Option('--use <use>', 'enroll: for devices; api: for scripts')
          .choices(['enroll', 'api'])
          .default('enroll'),
      )
      .option('--type <type>', 'device type that is enrolled with it')
      .option('--id-pattern <glob>', 'only device ids like this: line1-*')
      .option('--max-uses <n>', 'how many devices (default 1)', parseCount)
      .option('--expires-in <duration>', 'for instance 7d (default: 1d for enroll, 90d for api)')
      .option('--label <name=value>', 'label for every device enrolled with it', collectLabel)
      .addOption(
        new Option('--role <role>', 'what an API token may do').choices([
          'admin',
          'operator',
          'station',
          'auditor',
        ]),
      )
      .option('--description <text>', 'a note for the list')
      .option('--out <file>', 'write the secret to this new file (0600) instead'),
    'keyline token create --max-uses 3 --out token.txt',
  ).action(
    act(async (context, options: CreateTokenOptions) => {
      const { createToken } = await import('../token/tokens.ts');
      await createToken(context, options);
    }),
  );

  example(
    withClientOptions(
      token.command('list').description('List tokens (never their secrets).'),
    ).addOption(
      new Option('--use <use>', 'which kind').choices(['enroll', 'api']).default('enroll'),
    ),
    'keyline token list --use api',
  ).action(
    act(async (context, options: ListTokensOptions) => {
      const { listTokens } = await import('../token/tokens.ts');
      await listTokens(context, options);
    }),
  );

  example(
    withClientOptions(
      token.command('revoke').argument('<id>').description('Revoke a token: no use from now on.'),
    ),
    'keyline token revoke tok_4f1c0a7be2d95a3310c2f6aa',
  ).action(
    act(async (context, id: string, options: ClientOptions) => {
      const { revokeToken } = await import('../token/tokens.ts');
      await revokeToken(context, id, options);
    }),
  );
}
