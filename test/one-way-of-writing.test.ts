// What all four programs have in common on the command line: help, version, and errors for scripts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '@keyline/kernel';
import { runProgram, type Ran } from './support/openssl.ts';

const root = join(import.meta.dirname, '..');
const programs = {
  keyline: 'apps/cli/bin/keyline',
  'keyline-ca': 'apps/ca/bin/keyline-ca',
  'keyline-broker': 'apps/broker/bin/keyline-broker',
  'keyline-root': 'apps/root-ca/bin/keyline-root',
};
type Program = keyof typeof programs;
const names = Object.keys(programs) as Program[];

const run = (program: Program, args: readonly string[], cwd = root): Promise<Ran> =>
  runProgram(join(root, programs[program]), args, { cwd });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-writing-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(names)('%s', (program) => {
  it('says its version', async () => {
    expect(await run(program, ['--version'])).toEqual({
      ...{ code: 0, out: `${program} ${version}\n`, err: '' },
    });
  });

  it('writes its own commands as they are typed in a checkout', async () => {
    const { out } = await run(program, ['--help']);
    expect(out).toContain(`Usage: npx ${program} [options]`);
    const list = /^Commands:\n((?: .*\n)+)/m.exec(out)?.[1] ?? '';
    const commands = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name = '']) => name);
    expect(commands.length).toBeGreaterThan(1);
    const helps = await Promise.all(
      commands
        .filter((command) => command !== 'help')
        // What keyline has is read from its own tree: some stand for all. The others' words are a list.
        .slice(0, program === 'keyline' ? 3 : undefined)
        .map(async (command) => [command, (await run(program, [command, '--help'])).out] as const),
    );
    for (const [command, help] of helps) {
      expect(help, command).toMatch(new RegExp(`^Usage: npx ${program} ${command}\\b`));
    }
  });

  it.each([
    ['a command that is not there', ['bogus'], /bogus/],
    ['an option that is not there', ['--bogus'], /bogus/],
    ['no command at all', [], /command/],
  ] as const)(
    'prints %s as one JSON document too when asked with --json',
    async (_, args, detail) => {
      const { code, out, err } = await run(program, [...args, '--json'], folder);
      expect(code).toBe(2);
      expect(err).not.toBe('');
      expect(JSON.parse(out)).toEqual({
        error: { code: 'USAGE', exitCode: 2, detail: expect.stringMatching(detail) as unknown },
      });
    },
  );
});

it('keyline-root says as JSON too that its folder can not be one', async () => {
  const { code, out } = await run('keyline-root', ['inspect', '--json', '--dir', 'none'], folder);
  expect(code).toBe(6);
  expect(JSON.parse(out)).toEqual({
    error: {
      ...{ code: 'FILE_NOT_FOUND', exitCode: 6 },
      detail: expect.stringContaining('There is no folder "none"') as unknown,
    },
  });
});
