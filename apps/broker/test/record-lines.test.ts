import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeLine } from '@keyline/journal';
import { readLines, type JournalRecord } from '../src/engine/record-lines.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-lines-'));
  file = join(folder, 'journal.1.jsonl');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const batches: readonly (readonly JournalRecord[])[] = [
  [['s', 'pump-1', 'pump-1']],
  [
    ['q', 'pump-1', 1, { t: 'a/b', p: 'AAAA', q: 1 }],
    ['a', 'pump-1', 1],
  ],
  [['x', 'ü€😀', '__proto__']],
];
const lines = batches.map((records) => encodeLine(records.map((record) => JSON.stringify(record))));
const whole = Buffer.concat(lines);

async function read(content: Buffer, mayBeTorn = true): Promise<readonly JournalRecord[]> {
  await writeFile(file, content);
  return readLines(file, { mayBeTorn });
}

it('reads back what was written', async () => {
  expect(await read(whole, false)).toEqual(batches.flat());
  expect(await read(Buffer.alloc(0))).toEqual([]);
});

it('finds every bit that was turned, wherever it is', async () => {
  for (let at = 0; at < whole.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << bit;
      await expect(read(changed), `bit ${String(bit)} of byte ${String(at)}`).rejects.toThrow(
        /journal\.1\.jsonl is damaged in line [123]:.*Restore the folder from a backup/,
      );
    }
  }
}, 30_000);

it('recovers every whole line of a file that a crash cut off, and no other', async () => {
  for (let length = 0; length < whole.length; length += 1) {
    let end = 0;
    const kept = batches.filter((_, at) => {
      end += lines[at]!.length;
      return end <= length;
    });
    expect(await read(whole.subarray(0, length)), String(length)).toEqual(kept.flat());
  }
  // Blocks that did not reach the disk.
  const last = Buffer.from(whole);
  last.fill(0, whole.length - 10);
  expect(await read(last)).toEqual(batches.slice(0, 2).flat());
});

it('takes a snapshot only whole: it was not there before it was', async () => {
  await expect(read(whole.subarray(0, whole.length - 5), false)).rejects.toThrow(
    /damaged in line 3/,
  );
});

it('reads what was written before lines had checksums', async () => {
  const old = batches.flat().map((record) => `${JSON.stringify(record)}\n`);
  expect(await read(Buffer.from(old.join('')))).toEqual(batches.flat());
});
