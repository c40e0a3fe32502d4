import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journal, type JournalRecord } from '../src/engine/journal.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-journal-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** A journal of names that are there ('+') or gone ('-'). */
async function open(compactAfter?: number): Promise<{ names: Set<string>; journal: Journal }> {
  const names = new Set<string>();
  const journal = await Journal.open({
    folder,
    replay: ([kind, name]: JournalRecord) => {
      if (kind === '+') {
        // A record that comes twice would be a message that is delivered twice.
        expect(names.has(String(name))).toBe(false);
        names.add(String(name));
      } else names.delete(String(name));
    },
    snapshot: () => [...names].map((name) => ['+', name] as const),
    onFailure: (error) => {
      throw error;
    },
    ...(compactAfter === undefined ? {} : { compactAfter }),
  });
  return { names, journal };
}

const durable = (journal: Journal): Promise<void> =>
  new Promise((resolve, reject) => {
    journal.durable((error) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });

it('reads back what was appended', async () => {
  const { journal } = await open();
  journal.append(['+', 'a']);
  journal.append(['+', 'b']);
  journal.append(['-', 'a']);
  await durable(journal);
  await journal.close();
  const again = await open();
  expect([...again.names]).toEqual(['b']);
  await again.journal.close();
});

it('says that something is durable only when it is in the file', async () => {
  const { journal } = await open();
  const inFile = (): string =>
    readdirSync(folder)
      .filter((name) => name.startsWith('journal.'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
  journal.append(['+', 'first']);
  const first = durable(journal);
  expect(inFile()).not.toContain('first');
  await first;
  expect(inFile()).toContain('first');
  // Also when it is asked while an earlier write is on its way, and nothing new was appended.
  journal.append(['+', 'second']);
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([durable(journal), durable(journal)]);
  expect(inFile()).toContain('second');
  await journal.close();
});

it('forgets a record whose end is missing, and only that', async () => {
  const { journal } = await open();
  journal.append(['+', 'whole']);
  await journal.close();
  const [file] = (await readdir(folder)).filter((name) => name.startsWith('journal.'));
  await appendFile(join(folder, file!), '["+","ha');
  const again = await open();
  expect([...again.names]).toEqual(['whole']);
  again.journal.append(['+', 'later']);
  await again.journal.close();
  const third = await open();
  expect([...third.names]).toEqual(['whole', 'later']);
  await third.journal.close();
});

it('refuses a file that is damaged in its middle, naming file and line', async () => {
  const { journal } = await open();
  await journal.close();
  const [file] = (await readdir(folder)).filter((name) => name.startsWith('journal.'));
  await writeFile(join(folder, file!), '["+","a"]\n["+",garbage\n["+","c"]\n');
  await expect(open()).rejects.toThrow(/journal\.\d+\.jsonl is damaged in line 2/);
});

it('replaces a long journal by a snapshot while it is written to, and loses and doubles nothing', async () => {
  const { names, journal } = await open(2000);
  for (let round = 0; round < 60; round += 1) {
    for (let index = 0; index < 10; index += 1) {
      const name = `name-${String(round)}-${String(index)}`;
      names.add(name);
      journal.append(['+', name]);
    }
    const gone = `name-${String(round)}-0`;
    names.delete(gone);
    journal.append(['-', gone]);
    await durable(journal);
  }
  await journal.close();
  const files = (await readdir(folder)).sort();
  expect(files.filter((name) => name.startsWith('journal.')).length).toBeLessThan(4);
  expect(files).toContain('snapshot.jsonl');
  const again = await open();
  expect([...again.names].sort()).toEqual([...names].sort());
  await again.journal.close();
});
