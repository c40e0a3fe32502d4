// What is installed elsewhere: packed, installed below a prefix without a registry, and used from a folder that knows nothing of the sources.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '@keyline/kernel';
import { keylineCommand, projectFolder } from '../support/keyline.ts';

const names = ['keyline', 'keyline-ca', 'keyline-broker', 'keyline-root'] as const;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let folder: string;
const at = (...parts: string[]): string => join(folder, ...parts);
/** As of a user who has installed Keyline and nothing else of it. */
const userPath = (): string =>
  [at('prefix', 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)]
    .filter((each) => !each.endsWith('node_modules/.bin'))
    .join(delimiter);
const userEnv = (): NodeJS.ProcessEnv => ({ HOME: at('home'), PATH: userPath() });

function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const { cwd = at('elsewhere'), env = userEnv() } = options;
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, timeout: 280_000 }, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
      resolve({ code, out, err: code === -1 ? `${err}${error?.message ?? ''}` : err });
    });
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-package-'));
  for (const name of ['home', 'elsewhere']) mkdirSync(at(name));
  const { code, out, err } = await run(join(projectFolder, 'scripts/install'), [], {
    env: {
      ...userEnv(),
      PREFIX: at('prefix'),
      // Nothing is kept from before, and nobody is there to ask.
      npm_config_cache: at('npm-cache'),
      npm_config_registry: 'http://127.0.0.1:9/',
    },
  });
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  expect(out.trim()).toBe(`keyline ${version}`);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the installed package', () => {
  it('brings all four programs, and none of them is TypeScript', async () => {
    expect(readdirSync(at('prefix', 'bin')).toSorted()).toEqual(names.toSorted());
    for (const name of names) {
      expect(await run(name, ['--version'])).toMatchObject({
        code: 0,
        out: `${name} ${version}\n`,
      });
    }
    const all = readdirSync(at('prefix/lib/node_modules/keyline'), { recursive: true });
    expect(all.filter((file) => String(file).endsWith('.ts'))).toEqual([]);
  });

  it('makes a plant in a foreign folder, and each line of its welcome can be typed there', async () => {
    const child = spawn('keyline', ['up', '--data', 'my plant'], {
      cwd: at('elsewhere'),
      env: userEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      const welcome = await untilSaid(child, 'Ctrl-C stops everything.');
      expect(welcome).toContain(`in ${at('elsewhere')}:`);
      const lines = [...welcome.matchAll(/^ {2}(keyline .*)$/gm)].map(([, line = '']) => line);
      expect(lines.length).toBeGreaterThan(3);
      const typed = await run('bash', ['-euxc', lines.join('\n')]);
      expect(typed.code, `${typed.out}${typed.err}`).toBe(0);
      expect(typed.out).toContain('All is well');
      expect(existsSync(at('elsewhere/pump-17/pump-17.crt'))).toBe(true);
    } finally {
      child.kill('SIGTERM');
      if (child.exitCode === null) await new Promise((done) => child.once('exit', done));
    }
    expect(child.exitCode).toBe(0);
  });

  it('says which Node.js it needs where there is only an older one, and what to type', async () => {
    mkdirSync(at('old'));
    writeFileSync(at('old', 'node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 });
    const env = { HOME: at('home'), PATH: `${at('prefix/bin')}:${at('old')}:/usr/bin:/bin` };
    const { code, out, err } = await run('keyline', ['--version'], { env });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/needs Node\.js 26 and found v20\.20\.2.*npm ci --prefix '(.*)'\n$/);
    const toolchain = /--prefix '(.*)'/.exec(err)?.[1] ?? '';
    expect(readdirSync(toolchain).toSorted()).toEqual(['package-lock.json', 'package.json']);
  });
});

describe('a command line that the program prints', () => {
  const printed = async (program: string, cwd: string): Promise<string> => {
    const { code, err } = await run(program, ['device', 'list'], { cwd });
    expect(code).toBe(5);
    return /Start it with "(.*) up --data/.exec(err)?.[1] ?? '';
  };

  it.each([
    ['the installed command', () => 'keyline', () => at('elsewhere'), 'keyline'],
    ['a checkout, from inside it', () => keylineCommand, () => projectFolder, 'npx keyline'],
    [
      'a checkout, from a room',
      () => keylineCommand,
      () => join(projectFolder, 'libs'),
      'npx keyline',
    ],
    ['a checkout, from elsewhere', () => keylineCommand, () => at('elsewhere'), keylineCommand],
  ])('works where it is printed: %s', async (_, program, cwd, expected) => {
    const command = await printed(program(), cwd());
    expect(command).toBe(expected);
    const typed = await run('bash', ['-c', `${command} --version`], { cwd: cwd() });
    expect(typed).toMatchObject({ code: 0, out: `keyline ${version}\n` });
  });

  it('is the path where another keyline comes first in PATH', async () => {
    mkdirSync(at('other'));
    writeFileSync(at('other', 'keyline'), '#!/bin/sh\necho another\n', { mode: 0o755 });
    const env = { ...userEnv(), PATH: `${at('other')}:${userPath()}` };
    const { err } = await run(at('prefix/bin/keyline'), ['device', 'list'], { env });
    const installed = at('prefix/lib/node_modules/keyline/apps/cli/bin/keyline');
    expect(err).toContain(`Start it with "${installed} up`);
  });

  it('is not changed in what --json prints', async () => {
    const { out } = await run(keylineCommand, ['device', 'list', '--json'], { cwd: projectFolder });
    const { error } = JSON.parse(out) as { error: { detail: string; exitCode: number } };
    expect(error).toMatchObject({ exitCode: 5 });
    expect(error.detail).toContain('"keyline up --data .keyline"');
  });
});

async function untilSaid(child: ChildProcess, words: string): Promise<string> {
  let said = '';
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (part: string) => {
        said += part;
        if (said.includes(words)) resolve(said);
      });
    }
    child.once('exit', () => reject(new Error(`it ended: ${said}`)));
  });
}
