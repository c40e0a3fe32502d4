// The command tree and its edge: arguments in, exit code out. Commands themselves are loaded when they are called.
import { Command, CommanderError } from 'commander';
import {
  commandNamer,
  describeExitCodes,
  errorDocument,
  exitCodeOf,
  exitCodes,
  isKeylineError,
  usageErrorOf,
  version,
} from '@keyline/kernel';
import { addAuthorityCommands } from './command-line/authority.ts';
import { addBackupCommands } from './command-line/backup.ts';
import { addBatchCommands } from './command-line/batch.ts';
import { addBrokerCommands } from './command-line/broker.ts';
import { addCompletionCommand } from './command-line/completion.ts';
import { addDeviceCommands } from './command-line/device.ts';
import { addConfigCommands, addInitCommand, addMoveCommand } from './command-line/init.ts';
import { addKitCommand } from './command-line/kit.ts';
import { addJobCommands } from './command-line/job.ts';
import { addLedgerCommand } from './command-line/ledger.ts';
import { addLoginCommands } from './command-line/login.ts';
import { addOperationCommands } from './command-line/operations.ts';
import { addCertificateCommands } from './command-line/certificate.ts';
import { addQuarantineCommands } from './command-line/quarantine.ts';
import { addRoleCommands } from './command-line/role.ts';
import { addServiceCommands } from './command-line/service.ts';
import { addTargetCommands } from './command-line/target.ts';
import { addTokenCommands } from './command-line/token.ts';
import { addUpCommand } from './command-line/up.ts';
import type { Act } from './command-line/act.ts';
import { printable, type CliContext } from './context.ts';

/**
 * Runs one command line to its end.
 * @param args without the program's own name.
 * @returns the exit code, as `keyline --help` documents it.
 */
export async function runCli(args: readonly string[], given: CliContext): Promise<number> {
  // What a shell runs is a document, too.
  const asJson = args.includes('--json');
  const isMachineRead = asJson || (args[0] === 'completion' && !args.includes('--help'));
  let program: Command | undefined;
  let namer: ((text: string) => string) | undefined;
  const nameCommands = (text: string): string => {
    namer ??= commandNamer(
      given.env['KEYLINE_PLACE'],
      (program?.commands ?? []).map((command) => command.name()),
    );
    return namer(text);
  };
  const context = {
    ...given,
    terminal: printable(given.terminal, { nameCommands, isMachineRead }),
  };
  let exitCode: number = exitCodes.ok;
  const act: Act =
    (run) =>
    async (...commandArgs) => {
      exitCode = (await run(context, ...commandArgs)) ?? exitCodes.ok;
    };
  try {
    program = createProgram(context, act);
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok;
      // What is wrong is on stderr by now.
      if (asJson) printError(context, usageErrorOf(error));
      return exitCodes.usage;
    }
    reportError(context, error, asJson);
    return exitCodeOf(error, 'service');
  }
}

function createProgram(context: CliContext, act: Act): Command {
  const program = new Command('keyline')
    .description('Private PKI and device provisioning for self-hosted MQTT fleets.')
    .version(`keyline ${version}`, '--version', 'print the version')
    // An option belongs to the command before it: some have commands of their own with options of the same names.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: context.terminal.out,
      writeErr: context.terminal.err,
    })
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText(
      'after',
      `
The service is found by --api URL, --endpoints FILE or --context NAME, the variables KEYLINE_API (with KEYLINE_CA, its trust
anchors), KEYLINE_ENDPOINTS or KEYLINE_CONTEXT, the connection that "keyline login" saved, or ./.keyline/endpoints.json, which a
running "keyline up --data .keyline" keeps there. An API token in KEYLINE_TOKEN goes only to a service named by --api or KEYLINE_API.

Example:
  $ keyline up --data .keyline
  $ keyline device list --state active

${describeExitCodes(Object.keys(exitCodes) as (keyof typeof exitCodes)[])}`,
    );
  addInitCommand(program, act);
  addConfigCommands(program, act);
  addMoveCommand(program, act);
  addUpCommand(program, act);
  addDeviceCommands(program, act);
  addCertificateCommands(program, act);
  addJobCommands(program, act);
  addServiceCommands(program, act);
  addRoleCommands(program, act);
  addKitCommand(program, act);
  addTokenCommands(program, act);
  addBatchCommands(program, act);
  addAuthorityCommands(program, act);
  addTargetCommands(program, act);
  addBrokerCommands(program, act);
  addBackupCommands(program, act);
  addOperationCommands(program, act);
  addLedgerCommand(program, act);
  addQuarantineCommands(program, act);
  addLoginCommands(program, act);
  addCompletionCommand(program, act);
  return program;
}

/** The message goes to stderr; with --json the same facts go to stdout as one document. */
function reportError(context: CliContext, error: unknown, asJson: boolean): void {
  const { code, detail } = errorDocument(error, 'service').error;
  context.terminal.err(`keyline: ${detail} [${code}]\n`);
  if (
    !isKeylineError(error) &&
    context.env['KEYLINE_DEBUG'] !== undefined &&
    error instanceof Error
  )
    context.terminal.err(`${error.stack ?? ''}\n`);
  if (asJson) printError(context, error);
}

function printError(context: CliContext, error: unknown): void {
  context.terminal.out(`${JSON.stringify(errorDocument(error, 'service'), null, 2)}\n`);
}
