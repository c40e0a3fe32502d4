// The keyline-broker process: the only file that reads process.*.
import { rm, writeFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { pino } from 'pino';
import { isKeylineError, messageOf, systemClock } from '@keyline/kernel';
import { openMosquittoBroker } from './mosquitto/open-mosquitto-broker.ts';
import { openLogDestination } from './log-destination.ts';
import { openBroker } from './wiring.ts';
import { createProgram } from './program.ts';

const log = pino(
  {
    name: 'keyline-broker',
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['password', 'key', '*.password', '*.key'],
  },
  openLogDestination(),
);

// The state of the process is unknown then: it ends, and its supervisor starts it again on what is on disk.
process.on('uncaughtException', (error) => {
  log.fatal({ event: 'crashed', error: error.message, stack: error.stack }, 'crashed');
  process.exit(1);
});

const host = {
  uid: process.getuid?.(),
  env: process.env,
  signal: (pid: number, signal: NodeJS.Signals) => process.kill(pid, signal),
};

const program = createProgram(async ({ options, mosquitto, readyFile }) => {
  const context = { log, clock: systemClock };
  const broker =
    mosquitto === undefined
      ? await openBroker(options, context)
      : await openMosquittoBroker({ ...options, ...mosquitto }, { ...context, host });
  const { port, passwordPort, webSocketPort, metricsPort } = broker;
  process.on('SIGHUP', () => void broker.reload());
  const stopped = new Promise<string>((resolve) => {
    // Also after the first: a second one must not end it in the middle of stopping.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  if (readyFile !== undefined) {
    await writeFile(
      readyFile,
      `${JSON.stringify({ pid: process.pid, port, passwordPort, webSocketPort, metricsPort })}\n`,
    );
  }
  log.info(
    { event: 'serving', host: options.host, port, passwordPort, webSocketPort, metricsPort },
    'serving',
  );
  const signal = await stopped;
  log.info({ event: 'stopping', signal }, 'stopping');
  if (readyFile !== undefined) await rm(readyFile, { force: true });
  await broker.close();
  log.info({ event: 'stopped' }, 'stopped');
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    log.fatal(
      {
        event: 'not started',
        error: messageOf(error),
        stack: isKeylineError(error) ? undefined : (error as Error).stack,
      },
      messageOf(error),
    );
    process.exitCode = 1;
  }
}
