import { expect, it } from 'vitest';
import { decodeLine, encodeLine, isTorn } from '../src/index.ts';

const batches: readonly (readonly unknown[])[] = [
  [['s', 'pump-1', 'pump-1']],
  [
    ['q', 'pump-1', 1, { t: 'a/b', p: 'AAAA', q: 1 }],
    ['a', 'pump-1', 1],
  ],
  [{ n: 3, names: ['ü€😀', '__proto__'] }],
];
const lines = batches.map((records) => encodeLine(records.map((record) => JSON.stringify(record))));
const whole = Buffer.concat(lines);

type Read = { readonly records: readonly unknown[]; readonly state: 'whole' | 'torn' | 'damaged' };

function read(content: Buffer): Read {
  const records: unknown[] = [];
  let at = 0;
  while (at < content.length) {
    const line = decodeLine(content, at);
    if (line === undefined) return { records, state: isTorn(content, at) ? 'torn' : 'damaged' };
    records.push(...line.records);
    at = line.end;
  }
  return { records, state: 'whole' };
}

it('reads back what was written', () => {
  expect(read(whole)).toEqual({ records: batches.flat(), state: 'whole' });
});

it('finds every bit that was turned, wherever it is, and takes none for a crash', () => {
  for (let at = 0; at < whole.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << bit;
      expect(read(changed).state, `bit ${String(bit)} of byte ${String(at)}`).toBe('damaged');
    }
  }
});

it('recovers every whole line of a file that a crash cut off, wherever, and no other', () => {
  for (let length = 0; length < whole.length; length += 1) {
    let end = 0;
    const kept = batches.filter((_, at) => (end += lines[at]!.length) <= length);
    const { records, state } = read(whole.subarray(0, length));
    expect(records, String(length)).toEqual(kept.flat());
    expect(state).not.toBe('damaged');
  }
});

it('takes holes in the last line for a crash, and in an earlier one for damage', () => {
  const [first, second, third] = lines.map((line) => Buffer.from(line));
  second!.fill(0, 10, 30);
  expect(read(Buffer.concat([first!, second!]))).toEqual({ records: batches[0], state: 'torn' });
  expect(read(Buffer.concat([first!, second!, third!])).state).toBe('damaged');
  third!.fill(0, third!.length - 3);
  expect(read(Buffer.concat([first!, third!]))).toEqual({ records: batches[0], state: 'torn' });
});
