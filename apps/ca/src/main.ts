// The keyline-ca process: the only file that reads process.*.
import { pino } from 'pino';
import { commandNamer, escapeUnprintable } from '@keyline/kernel';
import { onStopSignals, openLogDestination } from '@keyline/process';
import { runProgram } from './program.ts';

const stop = onStopSignals(process);
const nameCommands = commandNamer(process.env['KEYLINE_PLACE'], []);

process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => void process.stdout.write(escapeUnprintable(nameCommands(text))),
  err: (text) => void process.stderr.write(escapeUnprintable(nameCommands(text))),
  createLog: (level) =>
    pino(
      {
        level,
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
