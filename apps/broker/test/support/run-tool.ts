// Runs a command of this machine to its end.
import { execFile } from 'node:child_process';
import { findCommand } from '../../../../test/support/needs.ts';

export function runTool(
  command: string,
  args: readonly string[],
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(findCommand(command) ?? command, args, { timeout: 20_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output: `${out}${err}` });
    });
  });
}

/** The same with something on its standard input, which then ends. */
export function spawnTool(
  command: string,
  args: readonly string[],
  input: string,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      findCommand(command) ?? command,
      args,
      { timeout: 20_000 },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, output: `${out}${err}` });
      },
    );
    child.stdin?.on('error', () => undefined).end(input);
  });
}
