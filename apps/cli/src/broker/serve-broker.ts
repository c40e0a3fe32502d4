// keyline-broker as a part of the keyline command: it has the terminal, and the signals that come here.
import { spawn } from 'node:child_process';
import { exitCodes, KeylineError, messageOf } from '@keyline/kernel';
import type { CliContext } from '../context.ts';
import { programs } from '../up/programs.ts';

/** @returns its exit code. @throws {KeylineError} INTERNAL when it can't be run */
export async function serveBroker(
  context: Pick<CliContext, 'env' | 'cwd' | 'onStopSignal'>,
  options: readonly string[],
): Promise<number> {
  const child = spawn(programs['keyline-broker'], ['serve', ...options], {
    cwd: context.cwd,
    env: context.env,
    stdio: 'inherit',
    // Out of the terminal's reach: a Ctrl-C that came to both would come twice, the second time perhaps when it has all but ended.
    detached: true,
  });
  let isStopping = false;
  const stopListening = context.onStopSignal((signal) => {
    if (isStopping) return;
    isStopping = signal !== 'SIGHUP';
    child.kill(signal as NodeJS.Signals);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(
          new KeylineError('INTERNAL', `keyline-broker could not be run: ${messageOf(cause)}.`, {
            cause,
          }),
        );
      });
      child.once('exit', (code) => {
        resolve(code ?? exitCodes.internal);
      });
    });
  } finally {
    stopListening();
  }
}
