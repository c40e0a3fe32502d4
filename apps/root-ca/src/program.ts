// The command tree and its edge: arguments in, exit code out.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  describeExitCodes,
  errorDocument,
  exitCodeOf,
  exitCodes,
  usageErrorOf,
  type KeylineError,
  version,
} from '@keyline/kernel';
import { keyAlgorithms } from '@keyline/x509';
import { crl, type CrlOptions } from './commands/crl.ts';
import { crossSign, type CrossSignOptions } from './commands/cross-sign.ts';
import { init, type InitOptions } from './commands/init.ts';
import { inspect } from './commands/inspect.ts';
import { authorityReasons, revoke, type RevokeOptions } from './commands/revoke.ts';
import { signIntermediate, type SignIntermediateOptions } from './commands/sign-intermediate.ts';
import { folderFiles } from './offline-folder.ts';
import { printable, printableLines } from './print.ts';
import { runTask, type Report, type Task } from './task.ts';
import type { Surroundings } from './terminal.ts';

/**
 * Runs one command line to its end.
 * @param args without the program's own name
 * @param refusal what the launcher has to say instead of starting a command
 * @returns the exit code, as `keyline-root --help` documents it
 */
export async function runRoot(
  args: readonly string[],
  surroundings: Surroundings,
  refusal?: KeylineError,
): Promise<number> {
  const { terminal } = surroundings;
  try {
    if (refusal !== undefined) throw refusal;
    await createProgram(surroundings).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    const isMachineRead = args.includes('--json');
    const printDocument = (failure: unknown): void => {
      terminal.out(`${JSON.stringify(errorDocument(failure, 'here'), null, 2)}\n`);
    };
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok;
      if (isMachineRead) printDocument(usageErrorOf(error));
      return exitCodes.usage;
    }
    const { code, detail } = errorDocument(error, 'here').error;
    terminal.err(`keyline-root: ${printable(detail)} [${code}]\n`);
    if (isMachineRead) printDocument(error);
    return exitCodeOf(error, 'here');
  }
}

interface JsonOption {
  readonly json?: boolean;
}

function createProgram(surroundings: Surroundings): Command {
  const { terminal } = surroundings;
  const program = new Command('keyline-root')
    .description(
      "Keyline's offline root CA. Runs without any network, and reads and writes nothing outside the offline folder.",
    )
    .version(`keyline-root ${version}`, '--version', 'print the version')
    .option('--dir <folder>', 'the offline folder', '.')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .exitOverride()
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText(
      'after',
      `
Example:
  $ keyline-root init --dir /media/vault/root --common-name "Acme Root CA"
  $ keyline-root sign-intermediate --dir /media/vault/root --csr issuing.csr --out issuing.crt

${describeExitCodes(['ok', 'internal', 'usage', 'refused', 'notFound', 'badFile', 'passphrase'])}`,
    );

  const run = async (
    options: JsonOption & object,
    given: { command: string; argument?: string | undefined; readsOnly?: boolean },
    work: (task: Task) => Promise<Report>,
  ): Promise<void> => {
    const { dir } = program.opts<{ dir: string }>();
    const { command, argument, readsOnly = false } = given;
    const asGiven = Object.fromEntries(Object.entries({ ...options, file: argument }));
    const report = await runTask(surroundings, { dir, command, options: asGiven, readsOnly }, work);
    terminal.out(
      options.json === true
        ? `${JSON.stringify(report.json, null, 2)}\n`
        : printableLines(report.text),
    );
  };
  /** A command that works on the folder, prints its report and is written down in the transcript. */
  const act =
    <Options extends JsonOption & object>(
      command: string,
      work: (task: Task, options: Options) => Promise<Report>,
    ) =>
    async (options: Options): Promise<void> => {
      await run(options, { command }, async (task) => work(task, options));
    };

  withPassphrase(
    program.command('init').description('Make a root: an encrypted key and its certificate.'),
  )
    .option('--common-name <name>', 'name of the root', 'Keyline Root CA')
    .option('--organization <name>', 'organization in its name')
    .addOption(
      new Option('--algorithm <name>', 'of the root key')
        .choices(keyAlgorithms.filter((name) => name !== 'rsa-2048'))
        .default('ec-p256'),
    )
    .option('--validity <duration>', '30d to 50y; or 9999-12-31 for no end (IDevIDs)', '20y')
    .option('--resume', 'go on where an interrupted init stopped')
    .addHelpText(
      'after',
      example('keyline-root init --dir /media/vault/root --common-name "Acme Root CA"'),
    )
    .action(act<InitOptions & JsonOption>('init', init));

  withPassphrase(
    program
      .command('sign-intermediate')
      .description(
        "Sign an issuing CA's certificate from its CSR. Only the key and, unless given, the name come from the CSR.",
      ),
  )
    .requiredOption('--csr <file>', 'PKCS#10 request in the offline folder, PEM or DER')
    .option('--out <file>', 'where to write the certificate (default: issued/SERIAL.crt only)')
    .option('--common-name <name>', "name of the authority (default: the CSR's)")
    .option('--organization <name>', 'organization in its name')
    .option(
      '--validity <duration>',
      "1d to 30y, or 9999-12-31 for no end (IDevIDs); cut at the root's end",
      '10y',
    )
    .option('--path-len <n>', 'levels of authorities below it', parsePathLen, 0)
    .option('--crl-url <url>', "http:// address where the root's CRL will be served")
    .option('--issuer-url <url>', "http:// address where the root's certificate will be served")
    .option('--ocsp-url <url>', "http:// address where the root's OCSP answers will be served")
    .option(
      '--permit <name>',
      `only names in it for everything below, repeatable: ${limits}`,
      collect,
    )
    .option('--exclude <name>', 'no names in it for everything below, repeatable', collect)
    .option('--any-usage', 'do not restrict its leaves to TLS clients and servers')
    .addHelpText(
      'after',
      example(
        'keyline-root sign-intermediate --dir /media/vault/root --csr issuing.csr --out issuing.crt',
      ),
    )
    .action(act<SignIntermediateOptions & JsonOption>('sign-intermediate', signIntermediate));

  withPassphrase(
    program
      .command('cross-sign')
      .description(
        "Certify another root's name and key, so that those who trust this root reach what that one signed.",
      ),
  )
    .requiredOption('--certificate <file>', "the other root's self-signed certificate, PEM or DER")
    .option('--out <file>', 'where to write the certificate (default: issued/SERIAL.crt only)')
    .option('--validity <duration>', "1d to 30y, or 9999-12-31; cut at either root's end", '5y')
    .option(
      '--path-len <n>',
      'levels of authorities below it (default: as both allow)',
      parsePathLen,
    )
    .option('--crl-url <url>', "http:// address where this root's CRL will be served")
    .option('--issuer-url <url>', "http:// address where this root's certificate will be served")
    .option('--ocsp-url <url>', "http:// address where this root's OCSP answers will be served")
    .option(
      '--permit <name>',
      `only names in it for everything below, repeatable: ${limits}`,
      collect,
    )
    .option('--exclude <name>', 'no names in it for everything below, repeatable', collect)
    .addHelpText(
      'after',
      example(
        'keyline-root cross-sign --dir /media/vault/root --certificate old-root.crt --out old-by-new.crt',
      ),
    )
    .action(act<CrossSignOptions & JsonOption>('cross-sign', crossSign));

  program
    .command('revoke')
    .description('Revoke an authority that the root has signed. The next CRL says so.')
    .option('--serial <hex>', 'its serial')
    .option('--certificate <file>', 'its certificate in the offline folder, PEM or DER')
    .addOption(
      new Option('--reason <reason>', 'why').choices(authorityReasons).default('unspecified'),
    )
    .option('--yes', 'do not ask before it is done')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      example(
        'keyline-root revoke --dir /media/vault/root --certificate issuing.crt --reason cACompromise',
      ),
    )
    .action(act<RevokeOptions & JsonOption>('revoke', revoke));

  withPassphrase(
    program
      .command('crl')
      .description(
        `Sign the root's CRL, as ${folderFiles.crlPem} (PEM) and ${folderFiles.crlDer} (DER). Each has a higher number than the one before.`,
      ),
  )
    .option('--validity <duration>', '1h to 5y, until nextUpdate', '1y')
    .option('--out <file>', 'write it also to this new file (PEM) and to FILE.der')
    .option(
      '--no-distribution-point',
      'leave out the critical issuing distribution point, with which Mbed TLS and wolfSSL load no CRL',
    )
    .addHelpText('after', example('keyline-root crl --dir /media/vault/root --validity 180d'))
    .action(act<CrlOptions & JsonOption>('crl', crl));

  program
    .command('inspect')
    .description('Show a certificate, CSR or CRL, or (without a file) what is in the folder.')
    .argument('[file]', 'in the offline folder, PEM or DER')
    .option('--json', 'print it as JSON')
    .addHelpText('after', example('keyline-root inspect --dir /media/vault/root issuing.csr'))
    .action(async (argument: string | undefined, options: JsonOption) =>
      run(options, { command: 'inspect', argument, readsOnly: true }, async (task) =>
        inspect(task, argument),
      ),
    );

  return program;
}

function withPassphrase(command: Command): Command {
  return command
    .option(
      '--passphrase-file <file>',
      'file in the offline folder (mode 600) with the passphrase, or - for standard input; default: ask',
    )
    .option('--yes', 'do not ask before it is done')
    .option('--json', 'print the result as JSON');
}

function example(line: string): string {
  return `\nExample:\n  $ ${line}`;
}

const limits = 'dns:example.com, ip:10.0.0.0/8, uri:.example.com';

function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function parsePathLen(text: string): number {
  if (!/^[0-9]$/.test(text)) throw new InvalidArgumentError('Give a number from 0 to 9.');
  return Number(text);
}
