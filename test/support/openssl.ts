// OpenSSL's command as the other side: certificates, CRLs and OCSP answers as everybody else reads them.
import { execFile } from 'node:child_process';
import { findCommand } from './needs.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end, whatever the end. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      findCommand(program) ?? program,
      args,
      {
        cwd: options.cwd,
        env: options.env ?? process.env,
        timeout: 30_000,
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, out, err) => {
        const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 1;
        resolve({ code, out, err: code !== 0 && err === '' ? (error?.message ?? '') : err });
      },
    );
    child.stdin?.on('error', () => undefined).end(options.input);
  });
}

/** @throws {Error} with what it said when it fails */
export async function openssl(
  args: readonly string[],
  options: { input?: string | Uint8Array; cwd?: string } = {},
): Promise<string> {
  const { code, out, err } = await runProgram('openssl', args, options);
  if (code !== 0) throw new Error(`openssl ${args.join(' ')} failed (${code}): ${err}${out}`);
  // `openssl ocsp` says its verdict on stdout and "Response verify OK" on stderr.
  return `${out}${err}`;
}
