// The other programs of the project, as files to run. `up` uses them as a person would: by their commands.
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';

const projectFolder = resolve(import.meta.dirname, '../../../..');

export const programs = {
  keyline: join(projectFolder, 'apps/cli/bin/keyline'),
  'keyline-root': join(projectFolder, 'apps/root-ca/bin/keyline-root'),
  'keyline-ca': join(projectFolder, 'apps/ca/bin/keyline-ca'),
  'keyline-broker': join(projectFolder, 'apps/broker/bin/keyline-broker'),
} as const;
export type ProgramName = keyof typeof programs;

/** Profiles, roles and alert rules as they come with the project. */
export const defaultConfig = join(projectFolder, 'ca-config');

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Given on stdin. */
  readonly input?: string;
}

const maxOutput = 100_000;

/**
 * Runs a program to its end.
 * @throws {KeylineError} INTERNAL with what it said on stderr
 */
export async function runProgram(
  name: ProgramName,
  args: readonly string[],
  options: RunOptions,
): Promise<void> {
  const command = `${name} ${args[0] ?? ''}`;
  const { code, said } = await new Promise<{ code: number | string; said: string }>(
    (done, reject) => {
      const child = spawn(programs[name], args, {
        env: options.env,
        stdio: ['pipe', 'ignore', 'pipe'],
        signal: options.signal,
      });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (part: string) => {
        said = (said + part).slice(-maxOutput);
      });
      // A program that ends without reading its input says why itself.
      child.stdin.on('error', () => undefined).end(options.input);
      child.on('error', (error) => {
        if (options.signal.aborted) reject(error);
        else
          reject(
            new KeylineError('INTERNAL', `${command} could not be run: ${messageOf(error)}.`, {
              cause: error,
            }),
          );
      });
      child.on('close', (exitCode, signal) => {
        done({ code: exitCode ?? signal ?? 'unknown', said });
      });
    },
  );
  if (code !== 0) {
    throw new KeylineError(
      'INTERNAL',
      `${command} ended with ${String(code)}${said.trim() === '' ? '.' : `: ${said.trim()}`}`,
    );
  }
}
