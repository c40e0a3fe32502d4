// One meaning for each exit code: what the programs say about them, and how they really end.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodeMeanings, exitCodes } from '@keyline/kernel';

const root = join(import.meta.dirname, '..');
const programs = {
  keyline: join(root, 'apps/cli/bin/keyline'),
  'keyline-ca': join(root, 'apps/ca/bin/keyline-ca'),
  'keyline-broker': join(root, 'apps/broker/bin/keyline-broker'),
  'keyline-root': join(root, 'apps/root-ca/bin/keyline-root'),
};
type Program = keyof typeof programs;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-exit-'));
  writeFileSync(join(folder, 'noise.pem'), 'no certificate');
  writeFileSync(join(folder, 'pass'), 'open sesame, please\n', { mode: 0o600 });
  writeFileSync(join(folder, 'wrong'), 'close sesame, please\n', { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(program: Program, ...args: string[]): Promise<{ code: number; text: string }> {
  const env = { PATH: process.env['PATH'] };
  const child = spawn(programs[program], args, { cwd: folder, env });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  }
  child.stdin.end();
  return new Promise((done) => child.once('close', (code) => done({ code: code ?? -1, text })));
}

describe('the exit codes', () => {
  it('are all different, and so are their meanings', () => {
    for (const values of [Object.values(exitCodes), Object.values(exitCodeMeanings)]) {
      expect(new Set<unknown>(values).size).toBe(Object.keys(exitCodes).length);
    }
  });

  it.each([
    ['keyline', ['--help']],
    ['keyline-ca', ['--help']],
    ['keyline-broker', ['serve', '--help']],
    ['keyline-root', ['--help']],
  ] as const)('have the same words in the help of %s', async (program, args) => {
    const { code, text } = await run(program, ...args);
    expect(code).toBe(exitCodes.ok);
    const [, list = ''] = text.split('Exit codes:\n');
    const shown = [...list.matchAll(/^ {2}(\d) {2}(.*)$/gm)];
    expect(shown.length).toBeGreaterThan(4);
    for (const [, number, meaning] of shown) {
      const name = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).find(
        (each) => exitCodes[each] === Number(number),
      );
      expect(name && exitCodeMeanings[name]).toBe(meaning);
    }
  });

  it.each(Object.keys(programs) as Program[])(
    '2 is the end of %s on a command line it does not understand',
    async (program) => {
      expect(await run(program, 'no-such-command')).toMatchObject({ code: exitCodes.usage });
      expect(await run(program, '--no-such-option')).toMatchObject({ code: exitCodes.usage });
    },
  );

  const service = ['--api', 'https://127.0.0.1:9', '--ca', 'noise.pem'];
  it.each([
    ['badFile', 'keyline', ['device', 'list', ...service, '--cert', 'none', '--key', 'none']],
    ['notReachable', 'keyline', ['device', 'list']],
    [
      'badFile',
      'keyline-ca',
      ['serve', '--data', 'none', '--config', 'none', '--port', '1', '--http-port', '2'],
    ],
    ['badFile', 'keyline-ca', ['migrate', '--data', 'none']],
    [
      'badFile',
      'keyline-broker',
      ['serve', '--data', 'broker', '--cert', 'none', '--key', 'none', '--ca', 'none'],
    ],
    [
      'badFile',
      'keyline-broker',
      [
        'serve',
        '--data',
        'broker',
        '--cert',
        'noise.pem',
        '--key',
        'noise.pem',
        '--ca',
        'noise.pem',
      ],
    ],
    ['badFile', 'keyline-root', ['inspect', '--dir', 'none']],
    ['badFile', 'keyline-root', ['inspect', 'noise.pem', '--dir', '.']],
  ] as const)('%s is the end of %s %j', async (name, program, args) => {
    const { code, text } = await run(program, ...args);
    expect({ code, text: code === exitCodes[name] ? '' : text }).toEqual({
      code: exitCodes[name],
      text: '',
    });
  });

  it('6 comes with the name of the one of several files that is bad', async () => {
    const data = ['--data', 'ca'];
    const made = await run(
      ...(['keyline-ca', 'init', ...data, '--passphrase-file', 'pass'] as const),
      ...['--http-url', 'http://127.0.0.1:8080'],
    );
    expect(made).toMatchObject({ code: exitCodes.ok });
    const { code, text } = await run(
      ...(['keyline-ca', 'install', ...data, '--certificate', 'noise.pem'] as const),
      ...['--root', 'pass', '--config', 'none', '--admin-dir', 'admin'],
    );
    expect({ code, text }).toEqual({
      code: exitCodes.badFile,
      text: expect.stringContaining('noise.pem: ') as unknown,
    });
  });

  it('8 is the end of keyline-root when the passphrase is not that of the key, and 6 when it would overwrite', async () => {
    const given = ['--passphrase-file', 'pass', '--yes', '--dir', join(folder, 'vault')];
    mkdirSync(join(folder, 'vault'), { mode: 0o700 });
    for (const name of ['pass', 'wrong'])
      copyFileSync(join(folder, name), join(folder, 'vault', name));
    expect(await run('keyline-root', 'init', '--common-name', 'R', ...given)).toMatchObject({
      code: 0,
    });
    expect(await run('keyline-root', 'init', '--common-name', 'R', ...given)).toMatchObject({
      code: exitCodes.badFile,
    });
    expect(
      await run('keyline-root', 'crl', '--passphrase-file', 'wrong', '--yes', '--dir', 'vault'),
    ).toMatchObject({ code: exitCodes.passphrase });
  });
});
