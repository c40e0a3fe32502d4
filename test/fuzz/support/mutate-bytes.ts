// Bytes that were right, made wrong in the ways that parsers stumble over.
import type { Dice } from './dice.ts';

const telling = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x2b, 0x23, 0x2f, 0xc0, 0xed];
const mostEdits = 4;
const longestRun = 12;

type Edit = (bytes: Buffer, at: number, dice: Dice, others: readonly Buffer[]) => Buffer;

const around = (bytes: Buffer, at: number, removed: number, inserted: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);

const edits: readonly Edit[] = [
  (bytes, at, dice) => around(bytes, at, 1, Buffer.of((bytes[at] ?? 0) ^ (1 << dice.below(8)))),
  (bytes, at, dice) => around(bytes, at, 1, Buffer.of(dice.pick(telling))),
  (bytes, at, dice) => around(bytes, at, 1, Buffer.of((bytes[at] ?? 0) + dice.pick([1, -1]))),
  (bytes, at, dice) => around(bytes, at, 0, dice.bytes(1 + dice.below(longestRun))),
  (bytes, at, dice) => around(bytes, at, 1 + dice.below(longestRun), Buffer.alloc(0)),
  (bytes, at, dice) => {
    const again = bytes.subarray(at, at + 1 + dice.below(longestRun));
    return around(
      bytes,
      at,
      0,
      Buffer.concat(Array.from({ length: 1 + dice.below(8) }, () => again)),
    );
  },
  (bytes, at, dice, others) => {
    const other = dice.pick(others);
    const from = dice.below(Math.max(1, other.length));
    return around(bytes, at, dice.below(4), other.subarray(from, from + longestRun));
  },
  (bytes, at) => bytes.subarray(0, at),
];

/** One to four edits. @param others what else may be spliced in */
export function mutateBytes(original: Buffer, dice: Dice, others: readonly Buffer[]): Buffer {
  let bytes = original;
  const count = 1 + dice.below(mostEdits);
  for (let edit = 0; edit < count && bytes.length > 0; edit += 1) {
    bytes = dice.pick(edits)(bytes, dice.below(bytes.length), dice, [original, ...others]);
  }
  return bytes;
}
