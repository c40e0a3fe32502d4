// An offline folder of its own with a passphrase file, and the real launcher to work on it.
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  symlinkSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { findCommand } from '../../../../test/support/needs.ts';

export const launcher = resolve(import.meta.dirname, '../../bin/keyline-root');
export const passphrase = 'correct horse battery staple';

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Json = ReturnType<typeof JSON.parse>;

export interface OfflineRoot {
  /** The offline folder. */
  readonly folder: string;
  /** What lies around it. */
  readonly outside: string;
  path(...names: string[]): string;
  read(...names: string[]): string;
  readJson(name: string): Json;
  write(name: string, content: string | Uint8Array, mode?: number): string;
  /** `--dir` is added. */
  run(...args: string[]): Promise<Ran>;
  /** Ends with 0, and answers what `--json` printed. */
  must(...args: string[]): Promise<Json>;
  /** Ends with this exit code and error code; answers the sentence. */
  refused(code: number, error: string, ...args: string[]): Promise<string>;
  remove(): void;
}

/** Runs the launcher to its end. */
export async function runLauncher(
  args: readonly string[],
  given: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv; launcher?: string } = {},
): Promise<Ran> {
  const child = spawn(given.launcher ?? launcher, args, {
    cwd: given.cwd,
    env: given.env ?? installedEnv(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
  // A program that ends without reading its input is no failure of the test.
  child.stdin.on('error', () => undefined).end(given.input ?? '');
  const code = await new Promise<number | null>((done, reject) => {
    child.on('error', reject);
    child.on('close', done);
  });
  return { code, out, err };
}

/** As on a machine where Keyline is installed: what is printed says `keyline-root`, as the documentation does. */
function installedEnv(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${installedBin()}:${process.env['PATH'] ?? ''}` };
}

let bin: string | undefined;
function installedBin(): string {
  if (bin === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'keyline-bin-'));
    symlinkSync(join(launcher, '../../../cli/bin/keyline'), join(made, 'keyline'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    bin = made;
  }
  return bin;
}

export function openOfflineFolder(): OfflineRoot {
  const outside = mkdtempSync(join(tmpdir(), 'keyline-root-'));
  const folder = join(outside, 'offline');
  mkdirSync(folder, { mode: 0o700 });
  const path = (...names: string[]): string => join(folder, ...names);
  const run = (...args: string[]): Promise<Ran> => runLauncher([...args, '--dir', folder]);
  const offline: OfflineRoot = {
    folder,
    outside,
    path,
    read: (...names) => readFileSync(path(...names), 'utf8'),
    readJson: (name) => JSON.parse(readFileSync(path(name), 'utf8')),
    write(name, content, mode = 0o644) {
      writeFileSync(path(name), content);
      chmodSync(path(name), mode);
      return path(name);
    },
    run,
    async must(...args) {
      const { code, out, err } = await run(...args, '--json');
      expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
      return JSON.parse(out);
    },
    async refused(code, error, ...args) {
      const ran = await run(...args, '--json');
      expect({ code: ran.code, error: JSON.parse(ran.out).error?.code }).toEqual({ code, error });
      return JSON.parse(ran.out).error.detail;
    },
    remove: () => rmSync(outside, { recursive: true, force: true }),
  };
  offline.write('pass', `${passphrase}\n`, 0o600);
  return offline;
}

export const withPass = ['--passphrase-file', 'pass', '--yes'] as const;

/** An offline folder with a root in it. */
export async function openOfflineRoot(...initOptions: string[]): Promise<OfflineRoot> {
  const offline = openOfflineFolder();
  try {
    // The last --common-name counts.
    await offline.must('init', ...withPass, '--common-name', 'Test Root', ...initOptions);
  } catch (error) {
    offline.remove();
    throw error;
  }
  return offline;
}

/** Runs a real part in the offline folder; what it says on standard error is in the error it throws. */
function runTool(
  offline: Pick<OfflineRoot, 'folder'>,
  name: string,
  args: readonly string[],
): string {
  return execFileSync(findCommand(name) ?? name, args, {
    cwd: offline.folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export function openssl(offline: Pick<OfflineRoot, 'folder'>, ...args: string[]): string {
  return runTool(offline, 'openssl', args);
}

export function certtool(offline: Pick<OfflineRoot, 'folder'>, ...args: string[]): string {
  return runTool(offline, 'certtool', args);
}

/** A CSR by OpenSSL in the offline folder; `key` names the key file, which is made when it is not there. */
export function makeCsr(
  offline: Pick<OfflineRoot, 'folder'>,
  name: string,
  given: {
    cn?: string;
    algorithm?: readonly string[];
    extensions?: readonly string[];
    more?: readonly string[];
  } = {},
): void {
  const {
    cn = 'Test Issuing',
    algorithm = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    extensions = [],
    more = [],
  } = given;
  openssl(
    offline,
    ...['req', '-new', '-newkey', ...algorithm, '-nodes', '-utf8', '-subj', `/CN=${cn}`],
    ...['-keyout', `${name}.key`, '-out', `${name}.csr`],
    ...extensions.flatMap((extension) => ['-addext', extension]),
    ...more,
  );
}
