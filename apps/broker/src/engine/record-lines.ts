// Records in a file, so that damage shows: lines of `crc32 bytes [record,…]`. Whoever was told that a record is durable had its whole line on the
// disk, so a line that is not whole was never promised to anybody.
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { KeylineError, messageOf } from '@keyline/kernel';

export type JournalRecord = readonly [kind: string, ...rest: unknown[]];

const newline = 0x0a;
const headForm = /^([0-9a-f]{8}) ([1-9]\d{0,9}) /;
const longestHead = 20;
/** A block of the disk that was not written reads as zeros; a single one may be a bit that turned. */
const leastHole = 64;

/** @param records in JSON */
export function encodeLine(records: readonly string[]): Buffer {
  const body = Buffer.from(`[${records.join(',')}]`);
  const head = `${crc32(body).toString(16).padStart(8, '0')} ${body.length} `;
  return Buffer.concat([Buffer.from(head), body, Buffer.of(newline)]);
}

/**
 * @param options.mayBeTorn whether the last line may end in the middle of it, as a crash leaves it; anything else that is not whole is damage
 * @throws {KeylineError} FILE_UNREADABLE with the file and the line
 */
export async function readLines(
  file: string,
  { mayBeTorn }: { readonly mayBeTorn: boolean },
): Promise<JournalRecord[]> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new KeylineError('FILE_UNREADABLE', `${file} could not be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  const records: JournalRecord[] = [];
  let line = 1;
  for (let at = 0; at < content.length; line += 1) {
    const read = content[at] === bracket ? readBareLine(content, at) : readLine(content, at);
    if (read === undefined) {
      if (mayBeTorn && isTorn(content.subarray(at))) break;
      throw damaged(file, line);
    }
    for (const record of read.records) records.push(record);
    at = read.end;
  }
  return records;
}

interface Line {
  readonly records: readonly JournalRecord[];
  readonly end: number;
}

function readLine(content: Buffer, at: number): Line | undefined {
  const [head, sum, length] = headForm.exec(content.toString('latin1', at, at + longestHead)) ?? [];
  if (head === undefined) return undefined;
  const start = at + head.length;
  const end = start + Number(length);
  const body = content.subarray(start, end);
  const isEnded = content[end] === newline || content.length === end;
  if (
    !isEnded ||
    body.length !== Number(length) ||
    crc32(body) !== Number.parseInt(sum ?? '', 16)
  ) {
    return undefined;
  }
  const records = parse(body) as readonly JournalRecord[] | undefined;
  return records === undefined ? undefined : { records, end: end + 1 };
}

const bracket = 0x5b;

/** One record without a checksum: what versions before 0.2 wrote. */
function readBareLine(content: Buffer, at: number): Line | undefined {
  const end = content.indexOf(newline, at);
  const record = end === -1 ? undefined : parse(content.subarray(at, end));
  return record === undefined ? undefined : { records: [record as JournalRecord], end: end + 1 };
}

function parse(bytes: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The beginning of a line without its end, or a line with holes where blocks did not reach the disk. Neither ends as a whole line
 * does; one that has its length and another end was changed.
 */
function isTorn(rest: Buffer): boolean {
  if (rest.at(-1) === 0 || rest.includes(Buffer.alloc(leastHole))) return true;
  const [head, , length] = headForm.exec(rest.toString('latin1', 0, longestHead)) ?? [];
  const isWhole = head !== undefined && rest.length > head.length + Number(length);
  return !isWhole && !rest.includes(newline);
}

function damaged(file: string, line: number): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${file} is damaged in line ${line}: it was changed after it was written. Restore the folder from a backup; or move it away, and the broker starts without sessions, queued and retained messages.`,
    { context: { file, line } },
  );
}
