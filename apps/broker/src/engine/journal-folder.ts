// The files of a journal as a broker that ended left them: one snapshot and the journals since. Their first and last records say what belongs
// together, so that a file which was taken away is missed here, and not by whoever waits for a message that was in it.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KeylineError } from '@keyline/kernel';
import { readLines, type JournalRecord } from './record-lines.ts';

export const snapshotName = 'snapshot.jsonl';
export const journalPattern = /^journal\.(\d+)\.jsonl$/;
/** A snapshot and its journals are marked: versions before had neither an end nor beginnings. */
const marked = 'marked';

export function journalName(generation: number): string {
  return `journal.${generation}.jsonl`;
}

/** First in a snapshot, of the first journal that follows on it. That one is always there: it is made before the snapshot. */
export function startOf(generation: number): JournalRecord {
  return ['generation', generation, marked];
}

/** Last in a snapshot. */
export const endMark: JournalRecord = ['end'];

/** First in a journal, and on the disk before anything else is. @param hasSnapshot whether there was one when it was begun */
export function beginOf(generation: number, hasSnapshot: boolean): JournalRecord {
  return ['begin', generation, hasSnapshot];
}

interface ReplayOptions {
  readonly folder: string;
  readonly replay: (record: JournalRecord) => void;
  readonly onCut?: (message: string) => void;
}

/**
 * Gives back every record, oldest first.
 * @returns the last generation there is
 * @throws {KeylineError} FILE_UNREADABLE when something is damaged or missing
 */
export async function replayFolder({ folder, replay, onCut }: ReplayOptions): Promise<{
  readonly generation: number;
  readonly hasSnapshot: boolean;
}> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const names = await readdir(folder);
  const hasSnapshot = names.includes(snapshotName);
  const snapshot = hasSnapshot ? await readSnapshot(join(folder, snapshotName)) : undefined;
  const oldest = snapshot?.generation ?? 0;
  const generations = names
    .map((name) => Number(journalPattern.exec(name)?.[1] ?? -1))
    .filter((generation) => generation >= oldest)
    .sort((a, b) => a - b);
  if (snapshot?.isMarked === true && !generations.includes(oldest)) {
    throw missing(folder, journalName(oldest), snapshotName);
  }
  for (const record of snapshot?.records ?? []) replay(record);
  for (const generation of generations) {
    const file = join(folder, journalName(generation));
    // A crash during a snapshot leaves two journals, of which either may end in the middle of a record.
    const [first, ...others] = await readLines(file, { mayBeTorn: true, onCut });
    const isBegun = first?.[0] === 'begin';
    const records = isBegun || first === undefined ? others : [first, ...others];
    if (isBegun ? first[1] !== generation : snapshot?.isMarked === true && generation === oldest) {
      throw lost(file, 'has lost its beginning, or is another one');
    }
    // Nothing is written to a journal before there is a snapshot.
    if (!hasSnapshot && (records.length > 0 || (isBegun && first[2] === true))) {
      throw missing(folder, snapshotName, journalName(generation));
    }
    for (const record of records) replay(record);
  }
  return { generation: generations.at(-1) ?? oldest, hasSnapshot };
}

async function readSnapshot(file: string): Promise<{
  readonly generation: number;
  readonly isMarked: boolean;
  readonly records: readonly JournalRecord[];
}> {
  const records = await readLines(file, { mayBeTorn: false });
  const [first, ...others] = records;
  if (first?.[0] !== 'generation') throw lost(file, 'has lost its beginning');
  const isMarked = first[2] === marked;
  if (isMarked && others.pop()?.[0] !== endMark[0]) throw lost(file, 'has lost its end');
  return { generation: Number(first[1]), isMarked, records: others };
}

const remedy =
  'Restore the whole folder from a backup; or move it away, and the broker starts without sessions, queued and retained messages.';

function lost(file: string, what: string): KeylineError {
  return new KeylineError('FILE_UNREADABLE', `${file} ${what}. ${remedy}`, { context: { file } });
}

function missing(folder: string, name: string, beside: string): KeylineError {
  const file = join(folder, name);
  return new KeylineError(
    'FILE_UNREADABLE',
    `${file} is missing, and ${beside} beside it is not all there was: sessions and messages would be gone without a word. ${remedy}`,
    { context: { file } },
  );
}
