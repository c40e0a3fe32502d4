import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, open as openFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi, type MockInstance } from 'vitest';
import { encodeLine } from '@keyline/journal';
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
async function open(
  compactAfter?: number,
  mostWaiting?: number,
): Promise<{ names: Set<string>; journal: Journal }> {
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
    onCut: (message) => said.push(message),
    recoverEvery: 10,
    ...(compactAfter === undefined ? {} : { compactAfter }),
    ...(mostWaiting === undefined ? {} : { mostWaiting }),
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

const files = async (): Promise<string[]> => (await readdir(folder)).sort();

/** What a broker that was killed leaves: a snapshot with a name in it, and a journal with another. */
async function leaveBehind(): Promise<{ snapshot: string; journal: string }> {
  const first = await open();
  first.journal.append(['+', 'in the snapshot']);
  await first.journal.close();
  const { journal, names } = await open();
  names.add('in the journal');
  journal.append(['+', 'in the journal']);
  await durable(journal);
  await journal.close();
  const left = (await files()).filter((name) => name.startsWith('journal.'));
  expect(left).toHaveLength(1);
  return { snapshot: join(folder, 'snapshot.jsonl'), journal: join(folder, left[0]!) };
}

it('misses a snapshot that was removed while its journal stands', async () => {
  const { snapshot } = await leaveBehind();
  await rm(snapshot);
  await expect(open()).rejects.toThrow(/snapshot\.jsonl is missing.*Restore the whole folder/);
});

it('misses a snapshot also where nothing was written since', async () => {
  const { journal } = await open();
  journal.append(['+', 'a']);
  await journal.close();
  await (await open()).journal.close();
  await rm(join(folder, 'snapshot.jsonl'));
  await expect(open()).rejects.toThrow(/snapshot\.jsonl is missing/);
});

it('misses a journal that was removed while its snapshot stands', async () => {
  const { journal } = await leaveBehind();
  await rm(journal);
  await expect(open()).rejects.toThrow(/journal\.\d+\.jsonl is missing.*Restore the whole folder/);
});

it.each([
  ['empty', () => Buffer.alloc(0)],
  ['full of zeros', (content: Buffer) => Buffer.alloc(content.length)],
  ['that of another time', () => encodeLine(['["begin",77,true]'])],
])(
  'does not take a journal that is %s for one to which nothing was written',
  async (_what, make) => {
    const { journal } = await leaveBehind();
    await writeFile(journal, make(readFileSync(journal)));
    await expect(open()).rejects.toThrow(/has lost its beginning, or is another one/);
  },
);

it.each([
  ['empty', () => Buffer.alloc(0), /has lost its beginning/],
  [
    'cut off behind a whole line',
    (content: Buffer) => content.subarray(0, content.indexOf('\n') + 1),
    /has lost its end/,
  ],
])('does not take a snapshot that is %s', async (_what, make, expected) => {
  const { snapshot } = await leaveBehind();
  await writeFile(snapshot, make(readFileSync(snapshot)));
  await expect(open()).rejects.toThrow(expected);
});

it('begins where there is nothing yet, or a crash came before the first snapshot', async () => {
  await writeFile(join(folder, 'journal.1.jsonl'), encodeLine(['["begin",1,false]']));
  const { journal } = await open();
  journal.append(['+', 'a']);
  await journal.close();
  // The next journal was begun, and the crash came before its first line was whole.
  const next = Number(/\d+/.exec((await files())[0]!)![0]) + 1;
  await writeFile(join(folder, `journal.${String(next)}.jsonl`), '5f');
  const again = await open();
  expect([...again.names]).toEqual(['a']);
  expect(said).toEqual([expect.stringMatching(/The last 2 bytes of .* were cut short by a crash/)]);
  await again.journal.close();
});

it('reads the files of versions that marked neither beginning nor end', async () => {
  const line = (...records: JournalRecord[]): Buffer =>
    encodeLine(records.map((record) => JSON.stringify(record)));
  await writeFile(
    join(folder, 'snapshot.jsonl'),
    Buffer.concat([line(['generation', 3]), line(['+', 'a'])]),
  );
  await writeFile(join(folder, 'journal.3.jsonl'), line(['+', 'b']));
  const { names, journal } = await open();
  expect([...names]).toEqual(['a', 'b']);
  await journal.close();
});

it('says when more is appended than the disk takes, and calls back when it has', async () => {
  const { journal } = await open(undefined, 1000);
  journal.append(['+', 'small']);
  expect(journal.isBehind).toBe(false);
  journal.append(['+', 'x'.repeat(2000)]);
  expect(journal.isBehind).toBe(true);
  const caughtUp = new Promise<void>((resolve) => {
    journal.whenCaughtUp(resolve);
  });
  await caughtUp;
  expect(journal.isBehind).toBe(false);
  expect(journal.waitingBytes).toBe(0);
  await journal.close();
});
