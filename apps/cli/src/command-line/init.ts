// The words of `keyline init`, `keyline move` and `keyline config`.
import { Option, type Command } from 'commander';
import { engines } from '../up/plan.ts';
import type { Act } from './act.ts';
import { example, parseFolder, parsePort } from './client-options.ts';
import type { CheckConfigOptions } from '../config/check-config.ts';
import type { MoveOptions } from '../init/move.ts';
import type { InitOptions } from '../init/run-init.ts';

export function addConfigCommands(program: Command, act: Act): void {
  const config = example(
    program
      .command('config')
      .description('keyline.yaml, and the folder that it names (ca-config).'),
    'keyline config check --data .keyline',
  );
  example(
    config
      .command('check')
      .description(
        'Checks keyline.yaml, everything in ca-config, and the files that they name, without starting anything. Ends with 6 when something is wrong, and names it by file, line and column.',
      )
      .option(
        '--data <dir>',
        'folder with keyline.yaml (default: .keyline, when it has one)',
        parseFolder,
      )
      .option('--config <dir>', 'folder laid out as ca-config (default: what keyline.yaml says)')
      .option('--json', 'print what there is as JSON'),
    'keyline config check --data .keyline',
    'keyline config check --config ca-config',
  ).action(
    act(async (context, options: CheckConfigOptions) => {
      const { checkConfig } = await import('../config/check-config.ts');
      await checkConfig(context, options);
    }),
  );
}

export function addMoveCommand(program: Command, act: Act): void {
  example(
    program
      .command('move')
      .summary('give a plant other names or addresses')
      .description(
        'Changes the names in DIR/keyline.yaml. From the next start on new certificates carry them; the old ones stay in the certificates of API and broker, and CRL and OCSP are answered under them for as long as certificates name them: "keyline doctor" says until when.',
      )
      .option('--data <dir>', 'folder with keyline.yaml', parseFolder, '.keyline')
      .requiredOption(
        '--host <names>',
        'names or addresses by which devices will reach it, with commas: the first in URLs, all in certificates',
      )
      .option('--json', 'print what was changed as JSON'),
    'keyline move --data .keyline --host ca.example.org,192.0.2.10',
  ).action(
    act(async (context, options: MoveOptions) => {
      const { movePlant } = await import('../init/move.ts');
      await movePlant(context, options);
    }),
  );
}

export function addInitCommand(program: Command, act: Act): void {
  example(
    program
      .command('init')
      .summary('choose names, addresses and ports for a plant, and write its keyline.yaml')
      .description(
        'Chooses how devices will call this machine, what it listens on and its ports, and writes DIR/keyline.yaml, which "keyline up" uses from then on. Asks on a terminal; without one (or with --yes) the options say it all. On the folder of a trial it gives that its lasting name.',
      )
      .requiredOption(
        '--data <dir>',
        'folder for all state (created when it is missing)',
        parseFolder,
      )
      .option(
        '--host <names>',
        'names or addresses by which devices reach it, with commas: the first in URLs, all in certificates',
      )
      .option('--listen <address>', 'IP address to listen on; 0.0.0.0 and :: are all of them')
      .option('--port-api <port>', 'HTTPS port of the API (default: 443, else 8443)', parsePort)
      .option(
        '--port-http <port>',
        'plain HTTP port for CRL, OCSP and AIA (default: 80, else 8080)',
        parsePort,
      )
      .option('--port-broker <port>', 'MQTT over TLS port (default: 8883)', parsePort)
      .addOption(
        new Option(
          '--broker <engine>',
          'Keyline’s own broker, or Eclipse Mosquitto of this machine, supervised (default: embedded)',
        ).choices(engines),
      )
      .option(
        '--config <dir>',
        'profiles, roles and alert rules (default: a copy of those that come with Keyline, in DIR/ca-config)',
      )
      .addOption(
        new Option(
          '--root <place>',
          'where the key of the root is: here, in this folder (default), or offline on another machine',
        ).choices(['here', 'offline']),
      )
      .option('--from <file>', 'take this keyline.yaml instead of the other options')
      .option('--yes', 'ask nothing')
      .option('--json', 'print what was chosen as JSON'),
    'keyline init --data .keyline --host ca.example.org,192.0.2.10 --listen 0.0.0.0 --yes',
  ).action(
    act(async (context, options: InitOptions) => {
      const { runInit } = await import('../init/run-init.ts');
      await runInit(context, options);
    }),
  );
}
