// The keyline-root process: the only file that reads process.*; everything else gets its Surroundings.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import {
  commandNamer,
  KeylineError,
  type ErrorCode,
  escapeUnprintable,
  exitCodeOf,
  isKeylineError,
  messageOf,
  outliveReaders,
  systemClock,
} from '@keyline/kernel';
import { askLine } from './ask-line.ts';
import { runRoot } from './program.ts';
import { assertConfined } from './sandbox.ts';

outliveReaders(process);
const nameCommands = commandNamer(process.env['KEYLINE_PLACE'], []);

try {
  assertConfined(process.permission, isBuiltin);
  process.exitCode = await runRoot(
    process.argv.slice(2),
    {
      clock: systemClock,
      cwd: process.cwd(),
      pid: process.pid,
      isAlive(pid) {
        try {
          return process.kill(pid, 0);
        } catch (error) {
          // EPERM: it is there, and somebody else's.
          return error instanceof Error && 'code' in error && error.code === 'EPERM';
        }
      },
      terminal: {
        out: (text) => void process.stdout.write(escapeUnprintable(nameCommands(text))),
        err: (text) => void process.stderr.write(escapeUnprintable(nameCommands(text))),
        interactive: process.stdin.isTTY && process.stderr.isTTY,
        ask: (question) => askLine(question, { input: process.stdin, output: process.stderr }),
        readInput: () => readFileSync(0, 'utf8'),
      },
    },
    refusalOf(process.env['KEYLINE_REFUSAL']),
  );
} catch (error) {
  const detail = isKeylineError(error) ? error.detail : messageOf(error);
  process.stderr.write(escapeUnprintable(nameCommands(`keyline-root: ${detail}\n`)));
  process.exitCode = exitCodeOf(error, 'here');
}

/** @param text of the launcher: an error code, a space, and what it says */
function refusalOf(text: string | undefined): KeylineError | undefined {
  if (text === undefined) return undefined;
  const [, code, detail = ''] = /^(USAGE|FILE_NOT_FOUND|FILE_UNREADABLE) ([^]*)$/.exec(text) ?? [];
  return new KeylineError((code ?? 'INTERNAL') as ErrorCode, detail);
}
