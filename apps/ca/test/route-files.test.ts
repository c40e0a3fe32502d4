// Finding one finds the others: the row of a route, its messages, its handler and its view are in files of one name.
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { routes } from '@keyline/api';
import { expect, it } from 'vitest';

const contract = resolve(import.meta.dirname, '../../../libs/api/src/routes');
const handlers = resolve(import.meta.dirname, '../src/routes');

/** What is found in the files of a folder, by file. */
function find(folder: string, pattern: RegExp): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of readdirSync(folder)) {
    const text = readFileSync(resolve(folder, file), 'utf8');
    for (const [, name = ''] of text.matchAll(pattern)) found.set(name, file);
  }
  return found;
}

it('a route is described and answered in files of one name', () => {
  const rows = find(contract, /^ {2}(\w+): \{\n {4}method: /gm);
  expect([...rows.keys()].toSorted()).toEqual(Object.keys(routes).toSorted());
  const answered = find(handlers, /register\('(\w+)'/g);
  // The four changes of a device's state are registered from a table.
  for (const [name, file] of find(handlers, /^ {4}\['(\w+)', '\w+'\],$/gm))
    answered.set(name, file);
  expect(Object.fromEntries(answered)).toEqual(Object.fromEntries(rows));
});
