// Records in a file, so that damage shows: lines of `crc32 bytes [record,…]`, JSON in UTF-8. Whoever was told that a record is durable had its
// whole line on the disk, newline and all, so a line that is not whole was never promised to anybody.
import { crc32 } from 'node:zlib';

const newline = 0x0a;
const headForm = /^([0-9a-f]{8}) ([1-9]\d{0,9}) /;
const longestHead = 20;
/** Blocks of the disk that were not written read as zeros. Fewer may be a bit that turned: JSON has none. */
const leastHole = Buffer.alloc(4);

/** @param records each in JSON */
export function encodeLine(records: readonly string[]): Buffer {
  const body = Buffer.from(`[${records.join(',')}]`);
  const head = `${crc32(body).toString(16).padStart(8, '0')} ${body.length} `;
  return Buffer.concat([Buffer.from(head), body, Buffer.of(newline)]);
}

export interface Line {
  readonly records: readonly unknown[];
  /** Where the next one begins. */
  readonly end: number;
}

/** @returns undefined when no whole line begins at `at` */
export function decodeLine(content: Buffer, at: number): Line | undefined {
  const [head, sum, length] = headForm.exec(content.toString('latin1', at, at + longestHead)) ?? [];
  if (head === undefined) return undefined;
  const start = at + head.length;
  const end = start + Number(length);
  const body = content.subarray(start, end);
  if (content[end] !== newline || crc32(body) !== Number.parseInt(sum ?? '', 16)) return undefined;
  const records: unknown = JSON.parse(body.toString());
  return { records: records as readonly unknown[], end: end + 1 };
}

/**
 * Whether what begins at `at`, and is no whole line, is what a crash leaves of the last one: its beginning, or the line with holes where
 * blocks did not reach the disk. Everything else was whole once, and changed: that is damage.
 */
export function isTorn(content: Buffer, at: number): boolean {
  const rest = content.subarray(at);
  if (rest.at(-1) === 0 || rest.includes(leastHole)) {
    // Holes in the last line only: nothing whole may follow.
    const next = rest.indexOf(newline) + 1;
    return next === 0 || rest.subarray(next).every((byte) => byte === 0);
  }
  // The newline comes last, and JSON has none within.
  if (rest.includes(newline)) return false;
  const [head, , length] = headForm.exec(rest.toString('latin1', 0, longestHead)) ?? [];
  if (head === undefined) return rest.length < longestHead;
  return rest.length <= head.length + Number(length);
}
