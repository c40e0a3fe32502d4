// The command tree of keyline-ca. Operators mostly meet it through `keyline up`.
import { isIP } from 'node:net';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  describeExitCodes,
  errorDocument,
  exitCodeOf,
  exitCodes,
  logLevels,
  usageErrorOf,
  version,
} from '@keyline/kernel';
import type { Logger } from 'pino';
import type { InitOptions } from './commands/init.ts';
import type { InstallOptions } from './commands/install.ts';
import type { MoveOptions } from './commands/move.ts';
import type { ServeOptions } from './commands/serve.ts';

export interface Surroundings {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly createLog: (level: string) => Logger;
  /** Aborted by SIGINT and SIGTERM. */
  readonly stop: AbortSignal;
}

/** @returns the exit code */
export async function runProgram(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  try {
    await createProgram(surroundings).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    const isMachineRead = args.includes('--json');
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok;
      if (isMachineRead) printError(surroundings, usageErrorOf(error));
      return exitCodes.usage;
    }
    const { code, detail } = errorDocument(error, 'here').error;
    surroundings.err(`keyline-ca: ${detail} [${code}]\n`);
    if (isMachineRead) printError(surroundings, error);
    return exitCodeOf(error, 'here');
  }
}

function printError({ out }: Surroundings, error: unknown): void {
  out(`${JSON.stringify(errorDocument(error, 'here'), null, 2)}\n`);
}

interface JsonOption {
  readonly json?: boolean;
}

function createProgram({ out, err, createLog, stop }: Surroundings): Command {
  const answer = ({ json }: JsonOption, document: object, text: string): void => {
    out(json === true ? `${JSON.stringify(document, null, 2)}\n` : `${text}\n`);
  };
  const program = new Command('keyline-ca')
    .description('The issuing CA service of Keyline.')
    .version(`keyline-ca ${version}`, '--version', 'print the version')
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err })
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText(
      'after',
      `
${describeExitCodes(['ok', 'internal', 'usage', 'refused', 'notFound', 'badFile', 'passphrase'])}

Example:
  $ keyline-ca init --data ca --passphrase-file ca.pass --http-url http://127.0.0.1:8080
  $ keyline-root sign-intermediate --dir root --csr issuing.csr --out issuing.crt
  $ keyline-ca install --data ca --certificate root/issuing.crt --root root/root.crt --config ca-config --admin-dir admin
  $ keyline-ca serve --data ca --config ca-config --host 127.0.0.1 --port 8443 --http-port 8080`,
    );

  program
    .command('init')
    .description('make the key of an issuing CA and the CSR that the root signs')
    .requiredOption('--data <dir>', 'folder of the issuing CA (created when it is missing)')
    .requiredOption('--passphrase-file <file>', 'one line, mode 600; encrypts the key')
    .requiredOption(
      '--http-url <url>',
      'origin of the plain-HTTP listener, written into certificates',
    )
    .option('--name <cn>', 'common name', 'Keyline Issuing CA')
    .option('--algorithm <name>', 'key algorithm', 'ec-p256')
    .option('--json', 'print the answer as JSON')
    .action(async (options: InitOptions & JsonOption) => {
      const { runInit } = await import('./commands/init.ts');
      const { csr, keySha256 } = await runInit(options);
      answer(options, { csr, keySha256 }, csr);
      // Beside the answer, which scripts take the file's name from.
      if (options.json !== true) err(`key SHA-256  ${keySha256}\n`);
    });

  program
    .command('install')
    .description('take the signed certificate, make the database and the first admin')
    .requiredOption('--data <dir>', 'folder of the issuing CA')
    .requiredOption('--certificate <file>', 'what the root signed, PEM')
    .requiredOption('--root <file>', 'the root certificate, PEM')
    .option('--root-crl <file>', "the root's CRL, PEM; served beside the others")
    .requiredOption('--config <dir>', 'profiles, roles, types and alert rules')
    .requiredOption('--admin-dir <dir>', 'folder for the certificate and key of the first admin')
    .option('--json', 'print the answer as JSON')
    .action(async (options: InstallOptions & JsonOption) => {
      const { runInstall } = await import('./commands/install.ts');
      const certificate = await runInstall(options);
      answer(options, { admin: { certificate } }, certificate);
    });

  program
    .command('admin')
    .description('make a new certificate for the first admin, when all admins’ have ended')
    .requiredOption('--data <dir>', 'folder of the issuing CA; its service must not run')
    .requiredOption('--config <dir>', 'profiles, roles, types and alert rules')
    .requiredOption('--admin-dir <dir>', 'folder of the certificate and key; a key there is kept')
    .option('--json', 'print the answer as JSON')
    .action(async (options: Omit<InstallOptions, 'certificate' | 'root'> & JsonOption) => {
      const { runAdmin } = await import('./commands/install.ts');
      const certificate = await runAdmin(options);
      answer(options, { admin: { certificate } }, certificate);
    });

  program
    .command('move')
    .description(
      'change the address that certificates to come name for CRL, OCSP and AIA; its service must not run',
    )
    .requiredOption('--data <dir>', 'folder of the issuing CA')
    .requiredOption(
      '--http-url <url>',
      'origin of the plain-HTTP listener, as relying parties reach it',
    )
    .action(async (options: MoveOptions) => {
      const { runMove } = await import('./commands/move.ts');
      out(`${await runMove(options)}\n`);
    });

  program
    .command('migrate')
    .description('bring the database to the version of this program (make a copy first)')
    .requiredOption('--data <dir>', 'folder of the issuing CA')
    .option('--json', 'print the answer as JSON')
    .action(async ({ data, ...options }: { data: string } & JsonOption) => {
      const { migrateSqliteStore } = await import('@keyline/store');
      const { caFolderOf } = await import('./ca-folder.ts');
      const { from, to } = migrateSqliteStore(caFolderOf(data).database);
      const text =
        from === to
          ? `is at version ${String(to)} already`
          : `from version ${String(from)} to ${String(to)}`;
      answer(options, { from, to }, text);
    });

  program
    .command('serve')
    .description('serve the API, CRL and OCSP until SIGTERM')
    .requiredOption('--data <dir>', 'folder of the issuing CA')
    .requiredOption('--config <dir>', 'profiles, roles, types and alert rules')
    .option(
      '--host <name>',
      'name or address by which it is called; stands in its certificate',
      '127.0.0.1',
    )
    .option(
      '--other-name <name>',
      'name or address that stands in its certificate beside it (repeatable)',
      collect,
      [] as string[],
    )
    .option(
      '--listen <address>',
      'address to listen on, when that is another: 0.0.0.0 or :: in a container (repeatable)',
      parseAddress,
      [] as string[],
    )
    .addOption(
      new Option('--tls-version <version>', 'oldest TLS that the API speaks')
        .choices(['1.2', '1.3'])
        .default('1.2'),
    )
    .requiredOption('--port <port>', 'HTTPS port of the API', parsePort)
    .requiredOption('--http-port <port>', 'plain-HTTP port for CRL, OCSP and AIA', parsePort)
    .option(
      '--other-http-port <port>',
      'plain-HTTP port that earlier certificates name, beside it (repeatable)',
      (text: string, all: number[]) => [...all, parsePort(text)],
      [] as number[],
    )
    .option('--broker-url <url>', 'mqtts:// URL of the broker that identities are pushed to')
    .option('--broker-websocket-url <url>', 'wss:// URL of the same broker, where it has one')
    .option(
      '--broker-inner-url <url>',
      'URL by which this service reaches that broker, when it is another',
    )
    .option(
      '--share-database',
      'beside other services of this machine on the same folder, each started with this',
    )
    .option('--ready-file <file>', 'written when it serves')
    .addOption(
      new Option('--log-level <level>', 'least of what is logged, one JSON line each on stdout')
        .choices(logLevels)
        .env('KEYLINE_LOG_LEVEL')
        .default('info'),
    )
    .action(async (options: ServeOptions & { readonly logLevel: string }) => {
      const { runServe } = await import('./commands/serve.ts');
      await runServe(options, { log: createLog(options.logLevel), stop });
    });
  return program;
}

function collect(text: string, all: string[]): string[] {
  return [...all, text];
}

function parseAddress(text: string, all: string[]): string[] {
  if (isIP(text) === 0) {
    throw new InvalidArgumentError('give an IP address, for instance 0.0.0.0 or ::.');
  }
  return [...all, text];
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('a port is a number from 1 to 65535.');
  }
  return port;
}
