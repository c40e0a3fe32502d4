// The threat model promises nothing without a test that keeps it: each test that it names is there, by file and title.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { projectFolder } from './support/keyline.ts';

const document = readFileSync(join(projectFolder, 'docs/threat-model.md'), 'utf8');
const promises = document.slice(
  document.indexOf('## Who attacks'),
  document.indexOf('## What is not defended'),
);
const rows = promises
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| (?:tries|-)/.test(line));

/** `[name](../path/to/name.test.ts) “title” “…`: a title belongs to the file before it. */
function namedIn(cell: string): readonly (readonly [file: string, title: string])[] {
  const found: [string, string][] = [];
  let file = '';
  for (const [, path, title] of cell.matchAll(/\]\(\.\.\/([^)]+\.test\.ts)\)|“([^”]+)”/g)) {
    if (path !== undefined) file = path;
    else if (title !== undefined) found.push([file, title]);
  }
  return found;
}

/** Titles as the source has them, in any quotes. */
function titlesOf(file: string): ReadonlySet<string> {
  const source = readFileSync(join(projectFolder, file), 'utf8');
  const literals = source.matchAll(
    /'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`/g,
  );
  return new Set(
    [...literals].map(([, single, double, template]) =>
      (single ?? double ?? template ?? '').replaceAll(/\\(['"`])/g, '$1'),
    ),
  );
}

it('has a promise in every row', () => {
  expect(rows.length).toBeGreaterThan(40);
});

it.each(rows.map((row) => [row.split('|')[1]?.trim() ?? '', row] as const))(
  'keeps its promise by tests that exist: %s',
  (_tries, row) => {
    const named = namedIn(row.split(' | ').at(-1) ?? '');
    expect(named.length, 'tests named').toBeGreaterThan(0);
    for (const [file, title] of named) expect(titlesOf(file), file).toContain(title);
  },
);
