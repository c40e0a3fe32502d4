// The keyline-ca process: the only file that reads process.*.
import { pino } from 'pino';
import { escapeUnprintable } from '@keyline/kernel';
import { onStopSignals, openLogDestination } from '@keyline/process';
import { runProgram } from './program.ts';

const stop = onStopSignals(process);

process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => void process.stdout.write(escapeUnprintable(text)),
  err: (text) => void process.stderr.write(escapeUnprintable(text)),
  createLog: () =>
    pino(
      {
        level: process.env['KEYLINE_LOG_LEVEL'] ?? 'info',
        base: null,
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        // Belt and braces: nothing logs these, and nothing that does one day will show them.
        redact: ['token', 'secret', 'passphrase', 'headers.authorization', '*.token', '*.secret'],
      },
      openLogDestination(),
    ),
  stop,
});
