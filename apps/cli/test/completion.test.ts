// Each script is run by the shell that it is for.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { runProgram } from '../../../test/support/openssl.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = openWorkshop();
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, out } = await workshop.runWith(
      { env: { KEYLINE_PLACE: 'npx' } },
      ...['completion', shell],
    );
    expect(code).toBe(0);
    // It is for a shell, not for a person: it completes `keyline`, wherever that is.
    expect(out).not.toContain('npx');
    workshop.write(`_keyline.${shell}`, out);
  }
  workshop.write("it's a token.txt", '');
});
afterAll(() => {
  workshop.remove();
});

type Complete = (...words: string[]) => Promise<string[]>;

const inBash: Complete = async (...words) => {
  const script = `source ./_keyline.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyline; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return linesOf(await run('bash', ['--norc', '-c', script, 'bash', ...words]));
};

/** The functions of zsh's completion system are stood in for: they want a terminal. The script is zsh's own to run. */
const inZsh: Complete = async (...words) => {
  const script = `
    compdef() { : }
    compadd() { print -rl -- "\${@[2,-1]}" }
    _files() { print -rl -- *(N) }
    _describe() { local each; for each in $entries; do print -r -- \${each%%:*}; done }
    source ./_keyline.zsh
    words=("$@"); CURRENT=$#; _keyline`;
  const found = linesOf(await run('zsh', ['-f', '-c', script, 'zsh', ...words]));
  return found.filter((each) => each.startsWith(words.at(-1) ?? ''));
};

const inFish: Complete = async (...words) => {
  const line = words.join(' ');
  const script = `source ./_keyline.fish; complete -C ${JSON.stringify(line)}`;
  const found = linesOf(await run('fish', ['--no-config', '-c', script]));
  return found.map((each) => each.split('\t')[0] ?? '');
};

async function run(shell: string, args: readonly string[]): Promise<string> {
  const { code, out, err } = await runProgram(shell, args, { cwd: workshop.folder });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe.each([
  ['bash', inBash],
  ['zsh', inZsh],
  ['fish', inFish],
] as const)('completion for %s', (shell, complete) => {
  const it_ = it.skipIf(!has(shell));

  it_('completes commands and their subcommands', async () => {
    expect(await complete('keyline', 'dev')).toEqual(['device']);
    expect((await complete('keyline', 'device', 're')).toSorted()).toEqual([
      ...['renew', 'resume', 'revoke'],
    ]);
    expect(await complete('keyline', 'ca', 'root')).toEqual(['root-crl']);
  });

  it_('completes options, also behind other options and their values', async () => {
    expect(await complete('keyline', 'device', 'list', '--expires-b')).toEqual([
      '--expires-before',
    ]);
    const late = ['--endpoints', 'list', '--json', '--expires-b'];
    expect(await complete('keyline', 'device', 'list', ...late)).toEqual(['--expires-before']);
  });

  it_('completes the values of an option that has a list of them', async () => {
    expect(await complete('keyline', 'device', 'list', '--state', 'sus')).toEqual(['suspended']);
    const reason = ['device', 'revoke', 'pump-1', '--reason', 'keyC'];
    expect(await complete('keyline', ...reason)).toEqual(['keyCompromise']);
  });

  it_('completes files where a file stands, and nothing where only a person knows', async () => {
    const files = await complete('keyline', 'device', 'enroll', '--token-file', 'test-ca.k');
    expect(files).toEqual(['test-ca.key']);
    expect(await complete('keyline', 'device', 'list', '--type', 'x')).toEqual([]);
    expect(await complete('keyline', 'no-such', 'qqq')).toEqual([]);
  });
});

it('gives a shell that runs what it prints nothing to run where it refuses', async () => {
  const { code, out, err } = await workshop.run('completion', 'tcsh');
  expect([code, out, err]).toEqual([2, '', expect.stringContaining('bash, zsh, fish')]);
  const { error } = JSON.parse((await workshop.run('completion', 'tcsh', '--json')).out);
  expect(error.code).toBe('USAGE');
});
