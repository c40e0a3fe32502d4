// CONTRIBUTING.md followed to the letter: what it names is there, and what can be done by a test is done.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '@keyline/config';
import { routes } from '@keyline/api';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Step {
  readonly recipe: string;
  readonly text: string;
  /** Files and folders it names. */
  readonly paths: readonly string[];
  /** Names in code that it says are there. */
  readonly names: readonly string[];
}

function stepsOf(text: string): readonly Step[] {
  return text
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const [recipe = '', ...lines] = section.split('\n');
      return lines
        .join('\n')
        .split(/^\d+\. /m)
        .slice(1)
        .map((step) => {
          const spans = [...step.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
          const paths = spans.filter((span) => span.includes('/'));
          const names = spans.filter((span) => /^[A-Za-z]\w+$/.test(span));
          return { recipe, text: step.trim(), paths, names };
        });
    });
}

const steps = stepsOf(read('CONTRIBUTING.md'));

function filesOf(path: string): readonly string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((name) => statSync(join(root, name)).isFile());
}

describe('the recipes of CONTRIBUTING.md', () => {
  it('are four, of ten lines at most each', () => {
    const recipes = Map.groupBy(steps, ({ recipe }) => recipe);
    expect([...recipes.keys()]).toEqual(['A route', 'A command', 'A profile', 'A target']);
    for (const section of read('CONTRIBUTING.md').split(/^## /m).slice(1)) {
      const lines = section.split('\n').slice(1);
      expect(lines.filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(10);
    }
    for (const all of recipes.values()) expect(all.length).toBeGreaterThanOrEqual(5);
  });

  it.each(steps)('$recipe: $text', ({ paths, names }) => {
    for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true);
    const sources = paths.flatMap(filesOf).map(read);
    for (const name of names) {
      const word = new RegExp(`\\b${name}\\b`);
      // `process` is what must not be there; everything else is.
      if (name === 'process') continue;
      expect(
        sources.some((source) => word.test(source)),
        `${name} in ${paths.join(', ')}`,
      ).toBe(true);
    }
  });
});

describe('as the recipes say', () => {
  it('a profile is a copy of another under another name, and the configuration has it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyline-profile-'));
    try {
      cpSync(join(root, 'ca-config'), folder, { recursive: true });
      const text = read('ca-config/profiles/service-client.yaml');
      const copy = (name: string): void => {
        writeFileSync(
          join(folder, 'profiles/line-server.yaml'),
          text.replace(/^name: .*$/m, `name: ${name}`),
        );
      };
      copy('line-server');
      expect((await loadConfig(folder)).profiles.has('line-server')).toBe(true);
      copy('another');
      await expect(loadConfig(folder)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('every row of the contract has its handler in a file of apps/ca/src/routes', () => {
    const handlers = filesOf('apps/ca/src/routes').map(read).join('\n');
    const missing = Object.keys(routes).filter((name) => !handlers.includes(`'${name}'`));
    expect(missing).toEqual([]);
  });

  it('every file of words is added by the program', () => {
    const program = read('apps/cli/src/program.ts');
    for (const file of filesOf('apps/cli/src/command-line')) {
      const added = /export function (add\w+)\(/.exec(read(file))?.[1];
      if (added !== undefined) expect(program, file).toContain(`${added}(program, act)`);
    }
  });
});

it('the licence is the one that package.json names, and the README leads to all of it', () => {
  expect((JSON.parse(read('package.json')) as { license: string }).license).toBe('Apache-2.0');
  expect(read('LICENSE')).toContain('Apache License\n                           Version 2.0');
  for (const file of ['CONTRIBUTING.md', 'SECURITY.md', 'LICENSE']) {
    expect(read('README.md')).toContain(`](${file})`);
  }
});
