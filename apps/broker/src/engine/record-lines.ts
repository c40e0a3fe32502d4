// A file of records in lines with checksums, read as it was written or not at all.
import { readFile } from 'node:fs/promises';
import { decodeLine, isTorn, type Line } from '@keyline/journal';
import { KeylineError, messageOf } from '@keyline/kernel';

export type JournalRecord = readonly [kind: string, ...rest: unknown[]];

const newline = 0x0a;
const bracket = 0x5b;

/**
 * @param options.mayBeTorn whether the last line may end in the middle of it, as a crash leaves it; anything else that is not whole is damage
 * @throws {KeylineError} FILE_UNREADABLE with the file and the line
 */
export async function readLines(
  file: string,
  {
    mayBeTorn,
    onCut,
  }: {
    readonly mayBeTorn: boolean;
    readonly onCut?: ((message: string) => void) | undefined;
  },
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
    const read = content[at] === bracket ? readBareLine(content, at) : decodeLine(content, at);
    if (read === undefined) {
      if (mayBeTorn && isTorn(content, at)) {
        onCut?.(
          `The last ${content.length - at} bytes of ${file} were cut short by a crash; nobody was told that they had been kept.`,
        );
        break;
      }
      throw damaged(file, line);
    }
    for (const record of read.records) records.push(record as JournalRecord);
    at = read.end;
  }
  return records;
}

/** One record without a checksum: what versions before 0.2 wrote. */
function readBareLine(content: Buffer, at: number): Line | undefined {
  const end = content.indexOf(newline, at);
  const record = end === -1 ? undefined : parse(content.subarray(at, end));
  return record === undefined ? undefined : { records: [record], end: end + 1 };
}

function parse(bytes: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function damaged(file: string, line: number): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${file} is damaged in line ${line}: it was changed after it was written. Restore the folder from a backup; or move it away, and the broker starts without sessions, queued and retained messages.`,
    { context: { file, line } },
  );
}
