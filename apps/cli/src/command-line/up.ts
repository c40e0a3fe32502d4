// The words of `keyline up`.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseBrokerOption } from '../up/broker-options.ts';
import { engines } from '../up/plan.ts';
import type { Act } from './act.ts';
import { defaultLogBounds } from '@keyline/process';
import { logLevels } from '@keyline/kernel';
import { example, parseCount, parseFolder, parsePort } from './client-options.ts';
import type { UpOptions } from '../up/up.ts';

export function addUpCommand(program: Command, act: Act): void {
  example(
    program
      .command('up')
      .summary('run everything in one folder: root, issuing CA and broker')
      .description(
        'Runs everything in one folder: creates the root, the issuing CA and the broker at the first start, keeps them running, and stops them on Ctrl-C.',
      )
      .requiredOption(
        '--data <dir>',
        'folder for all state (created when it is missing)',
        parseFolder,
      )
      .option('--port-api <port>', 'HTTPS port of the API (default: a free one, kept)', parsePort)
      .option('--port-http <port>', 'plain HTTP port for CRL, OCSP and AIA', parsePort)
      .option('--port-broker <port>', 'MQTT over TLS port of the broker', parsePort)
      .option(
        '--config <dir>',
        'profiles, roles and alert rules (default: ca-config of the project)',
      )
      .option(
        '--host <address>',
        'address or name by which devices reach it: in URLs and certificates (default: 127.0.0.1)',
      )
      .option(
        '--listen <address>',
        'IP address to listen on, when it is another: 0.0.0.0 or :: in a container, behind NAT',
      )
      .addOption(
        new Option(
          '--broker <engine>',
          'Keyline’s own broker, or Eclipse Mosquitto of this machine, supervised (default: embedded; kept)',
        ).choices(engines),
      )
      .addOption(
        new Option(
          '--broker-option <name=value>',
          'option of "keyline broker serve" for this start, such as password-port=8884 or max-connections=20000 (repeatable)',
        )
          .argParser(collectBrokerOption)
          .default([], 'none'),
      )
      .addOption(
        new Option(
          '--log-level <level>',
          'least of what the services log (default: KEYLINE_LOG_LEVEL, else info)',
        ).choices(logLevels),
      )
      .option(
        '--log-size <bytes>',
        `size at which a log file is renamed and a new one begun (default: keyline.yaml, else ${String(defaultLogBounds.fileBytes)})`,
        parseLogSize,
      )
      .option(
        '--log-files <n>',
        `log files kept of each kind; the oldest is deleted (default: keyline.yaml, else ${String(defaultLogBounds.files)})`,
        parseLogFiles,
      )
      .addOption(new Option('--json', 'print endpoints as one JSON line when ready')),
    'keyline up --data .keyline',
  ).action(
    act(async (context, options: UpOptions) => {
      const { runUp } = await import('../up/up.ts');
      return await runUp(context, options);
    }),
  );
}

/** commander argument parser. */
function collectBrokerOption(text: string, before: readonly string[]): string[] {
  const parsed = parseBrokerOption(text);
  if (typeof parsed === 'string') throw new InvalidArgumentError(parsed);
  return [...before, ...parsed];
}

/** commander argument parser. */
function parseLogSize(text: string): number {
  const bytes = parseCount(text);
  if (bytes < 65_536) throw new InvalidArgumentError('Give at least 65536 bytes.');
  return bytes;
}

/** commander argument parser. */
function parseLogFiles(text: string): number {
  const files = parseCount(text);
  if (files < 2 || files > 1000) throw new InvalidArgumentError('Give 2 to 1000.');
  return files;
}
