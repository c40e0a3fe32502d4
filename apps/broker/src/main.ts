// The keyline-broker process: the only file that reads process.*.
import { CommanderError } from 'commander';
import { pino } from 'pino';
import {
  commandNamer,
  errorDocument,
  exitCodes,
  isKeylineError,
  systemClock,
  usageErrorOf,
} from '@keyline/kernel';
import {
  onStopSignals,
  openLogDestination,
  sayReady,
  takeBackReady,
  untilAborted,
} from '@keyline/process';
import type { openMosquittoBroker } from './mosquitto/open-mosquitto-broker.ts';
import { openBroker } from './wiring.ts';
import { createProgram } from './program.ts';

type OpenMosquitto = typeof openMosquittoBroker;

const log = pino(
  {
    name: 'keyline-broker',
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: ['password', 'key', '*.password', '*.key'],
  },
  openLogDestination(),
);

// The state of the process is unknown then: it ends, and its supervisor starts it again on what is on disk.
process.on('uncaughtException', (error) => {
  log.fatal({ event: 'crashed', error: error.message, stack: error.stack }, 'crashed');
  process.exit(exitCodes.internal);
});

const host = {
  uid: process.getuid?.(),
  env: process.env,
  signal: (pid: number, signal: NodeJS.Signals) => process.kill(pid, signal),
};

// Loaded when it is asked for: what makes Mosquitto's files knows the fleet's rooms, and the embedded broker needs none of them.
const openMosquitto = async (...given: Parameters<OpenMosquitto>): ReturnType<OpenMosquitto> =>
  (await import('./mosquitto/open-mosquitto-broker.ts')).openMosquittoBroker(...given);

const nameCommands = commandNamer(process.env['KEYLINE_PLACE'], []);
const output = {
  writeOut: (text: string) => void process.stdout.write(nameCommands(text)),
  writeErr: (text: string) => void process.stderr.write(nameCommands(text)),
};

const program = createProgram(async ({ options, mosquitto, readyFile, logLevel }) => {
  log.level = logLevel;
  const context = { log, clock: systemClock };
  const broker =
    mosquitto === undefined
      ? await openBroker(options, context)
      : await openMosquitto({ ...options, ...mosquitto }, { ...context, host });
  const { port, passwordPort, webSocketPort, metricsPort } = broker;
  process.on('SIGHUP', () => void broker.reload());
  const stop = onStopSignals(process);
  const ready = { pid: process.pid, port, passwordPort, webSocketPort, metricsPort };
  await sayReady(readyFile, JSON.stringify(ready));
  log.info(
    { event: 'serving', host: options.host, port, passwordPort, webSocketPort, metricsPort },
    'serving',
  );
  await untilAborted(stop);
  log.info({ event: 'stopping', signal: stop.reason as unknown }, 'stopping');
  await takeBackReady(readyFile);
  await broker.close();
  log.info({ event: 'stopped' }, 'stopped');
}, output);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (process.exitCode === exitCodes.usage && process.argv.includes('--json')) {
      const document = errorDocument(usageErrorOf(error), 'here');
      process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    }
  } else {
    const { code, exitCode, detail } = errorDocument(error, 'here').error;
    const stack = isKeylineError(error) ? undefined : (error as Error).stack;
    log.fatal({ event: 'not started', code, exitCode, error: detail, stack }, detail);
    process.exitCode = exitCode;
  }
}
