import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, open as openFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi, type MockInstance } from 'vitest';
import { Journal } from '../src/engine/journal.ts';
import type { JournalRecord } from '../src/engine/record-lines.ts';

let folder: string;
/** What the journal told of. */
let said: string[];
const disk = { isFull: false };

beforeEach(async () => {
  said = [];
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
      if (!disk.isFull) throw error;
      said.push(error.message);
    },
    onRecovery: () => said.push('recovered'),
    recoverEvery: 10,
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

/** While `disk.isFull`, no write becomes durable. */
async function spyOnFlushes(): Promise<MockInstance> {
  const handle = await openFile(join(folder, 'any'), 'w');
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as {
    datasync: (this: unknown) => Promise<void>;
  };
  const { datasync: flush } = prototype;
  return vi.spyOn(prototype, 'datasync').mockImplementation(function (this: unknown) {
    return disk.isFull ? Promise.reject(new Error('ENOSPC')) : flush.call(this);
  });
}

it('goes on by itself when a full disk has room again, with all that came meanwhile', async () => {
  const { journal, names } = await open();
  const change = (kind: '+' | '-', name: string): void => {
    if (kind === '+') names.add(name);
    else names.delete(name);
    journal.append([kind, name]);
  };
  const flushes = await spyOnFlushes();
  try {
    change('+', 'before');
    await durable(journal);
    disk.isFull = true;
    change('+', 'lost for now');
    await expect(durable(journal)).rejects.toThrow('ENOSPC');
    expect(journal.isFailing).toBe(true);
    change('+', 'while full');
    change('-', 'before');
    await expect(durable(journal)).rejects.toThrow('ENOSPC');
    // Some attempts fail as well.
    await expect.poll(() => said.length).toBeGreaterThan(2);

    disk.isFull = false;
    let count = 0;
    await expect
      .poll(
        () => {
          change('+', `on the way ${String(count++)}`);
          return journal.isFailing;
        },
        { interval: 1 },
      )
      .toBe(false);
    change('+', 'after');
    await durable(journal);
    expect(said.at(-1)).toBe('recovered');
    await journal.close();
  } finally {
    disk.isFull = false;
    flushes.mockRestore();
  }
  const again = await open();
  expect([...again.names].toSorted()).toEqual([...names].toSorted());
  expect(again.names.size).toBeGreaterThan(3);
  await again.journal.close();
});

it('can be closed while the disk is full', async () => {
  const { journal } = await open();
  const flushes = await spyOnFlushes();
  disk.isFull = true;
  try {
    journal.append(['+', 'a']);
    await expect(durable(journal)).rejects.toThrow('ENOSPC');
    await journal.close();
    const attempts = flushes.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(flushes.mock.calls.length).toBe(attempts);
  } finally {
    disk.isFull = false;
    flushes.mockRestore();
  }
});
