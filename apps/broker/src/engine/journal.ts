// An append-only file of JSON records with a snapshot beside it: what was appended is durable when `durable` calls back, many at a time. Both
// carry checksums: a record is read back as it was written, or the broker does not start.
import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '@keyline/files';
import { encodeLine } from '@keyline/journal';
import { messageOf } from '@keyline/kernel';
import { readLines, type JournalRecord } from './record-lines.ts';

interface JournalOptions {
  readonly folder: string;
  /** Every stored record, oldest first, before the journal is used. */
  readonly replay: (record: JournalRecord) => void;
  /** The whole state as records; taken at one moment, written out in slices after it. */
  readonly snapshot: () => Iterable<JournalRecord>;
  /** The disk gave up: nothing is durable until `onRecovery`. */
  readonly onFailure: (error: Error) => void;
  /** Everything is on disk again. */
  readonly onRecovery: () => void;
  /** Milliseconds between two attempts at that. */
  readonly recoverEvery?: number;
  /** Bytes of journal after which it is replaced by a snapshot. */
  readonly compactAfter?: number;
}

const snapshotName = 'snapshot.jsonl';
const journalPattern = /^journal\.(\d+)\.jsonl$/;
const sliceLength = 500;
/** A line is read and checked in one piece, so it should not be much longer. */
const longLine = 1_048_576;

export class Journal {
  readonly #options: JournalOptions;
  #file: FileHandle;
  #generation: number;
  #bytes = 0;
  #pending: string[] = [];
  #waiting: ((error?: Error) => void)[] = [];
  #writing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  #failure: Error | undefined;
  #recoveryTimer: NodeJS.Timeout | undefined;
  #recovery: Promise<void> | undefined;
  /** Calls of `append` so far: whoever has made none has nothing to wait for. */
  appended = 0;

  private constructor(options: JournalOptions, file: FileHandle, generation: number) {
    this.#options = options;
    this.#file = file;
    this.#generation = generation;
  }

  /** @throws {KeylineError} FILE_UNREADABLE when a stored record can't be read */
  static async open(options: JournalOptions): Promise<Journal> {
    const { folder, replay } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    let oldest = 0;
    for (const record of await readLines(join(folder, snapshotName), { mayBeTorn: false })) {
      if (record[0] === 'generation') oldest = Number(record[1]);
      else replay(record);
    }
    const generations = (await readdir(folder))
      .map((name) => Number(journalPattern.exec(name)?.[1] ?? -1))
      .filter((generation) => generation >= oldest)
      .sort((a, b) => a - b);
    for (const generation of generations) {
      // A crash during a snapshot leaves two journals, of which either may end in the middle of a record.
      const file = join(folder, journalName(generation));
      for (const record of await readLines(file, { mayBeTorn: true })) replay(record);
    }
    // Always a new file: a torn end of the old one then can't swallow the first record written now.
    const generation = (generations.at(-1) ?? oldest) + 1;
    const journal = new Journal(options, await openNew(folder, generation), generation);
    await journal.#writeSnapshot();
    return journal;
  }

  /** In the order of the calls. */
  append(record: JournalRecord): void {
    this.appended += 1;
    if (this.#failure === undefined) {
      this.#pending.push(JSON.stringify(record));
      this.#writing ??= this.#write();
      // Else the next attempt at a snapshot has it.
    } else if (this.#recovery !== undefined) this.#pending.push(JSON.stringify(record));
  }

  get isFailing(): boolean {
    return this.#failure !== undefined;
  }

  /** Calls back when everything appended so far is durable: at once when it already is, with an error when the disk gave up. */
  durable(done: (error?: Error) => void): void {
    if (this.#failure !== undefined) done(this.#failure);
    else if (this.#writing === undefined && this.#pending.length === 0) done();
    else this.#waiting.push(done);
  }

  async close(): Promise<void> {
    clearTimeout(this.#recoveryTimer);
    await this.#recovery;
    await this.#compacting;
    await this.#idle();
    // One that failed until now asked for another.
    clearTimeout(this.#recoveryTimer);
    await this.#file.close();
  }

  async #idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    let lost: ((error?: Error) => void)[] = [];
    // What is appended within this turn of the loop shares the flush.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (this.#pending.length > 0 || this.#waiting.length > 0) {
        const lines = this.#pending;
        const waiting = this.#waiting;
        this.#pending = [];
        this.#waiting = [];
        lost = waiting;
        if (lines.length > 0) {
          for (const line of linesOf(lines)) {
            await this.#file.appendFile(line);
            this.#bytes += line.length;
          }
          await this.#file.datasync();
        }
        for (const done of waiting) done();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#options.onFailure(this.#failure);
      const waiting = [...lost, ...this.#waiting];
      this.#waiting = [];
      this.#pending = [];
      for (const done of waiting) done(this.#failure);
      this.#recoverLater();
      return;
    } finally {
      this.#writing = undefined;
    }
    if (this.#bytes > (this.#options.compactAfter ?? 32 * 1024 * 1024)) this.#startCompaction();
  }

  #recoverLater(): void {
    const { recoverEvery = 5000, onFailure } = this.#options;
    this.#recoveryTimer = setTimeout(() => {
      this.#recovery = this.#recover()
        .catch((error: unknown) => {
          this.#pending = [];
          onFailure(error instanceof Error ? error : new Error(String(error)));
          this.#recoverLater();
        })
        .finally(() => {
          this.#recovery = undefined;
        });
    }, recoverEvery);
    this.#recoveryTimer.unref();
  }

  /** What was not written is in the state: a snapshot of it makes up for all. What is appended meanwhile waits for it. */
  async #recover(): Promise<void> {
    await this.#compacting;
    await this.#startOver();
    this.#failure = undefined;
    this.#bytes = 0;
    this.#options.onRecovery();
    if (this.#pending.length > 0) this.#writing ??= this.#write();
  }

  #startCompaction(): void {
    this.#bytes = 0;
    this.#compacting ??= this.#startOver()
      .catch((error: unknown) => {
        // The journals that stand hold everything; only the space is not freed.
        this.#options.onFailure(
          new Error(`The journal was not compacted: ${messageOf(error)}`, { cause: error }),
        );
      })
      .finally(() => {
        this.#compacting = undefined;
      });
  }

  /** A new file, and a snapshot in place of those before. */
  async #startOver(): Promise<void> {
    // Never the name of an attempt that failed.
    this.#generation += 1;
    const file = await openNew(this.#options.folder, this.#generation);
    do await this.#idle();
    while (this.#writing !== undefined);
    // No await between the end of writing and the snapshot: a record is either in it or in the new file, never in both.
    const old = this.#file;
    this.#file = file;
    this.#pending = [];
    // The snapshot has all that it holds, and writing to it may have failed: so may this.
    const closed = old.close().catch(() => undefined);
    await this.#writeSnapshot();
    await closed;
  }

  /** Of this moment; afterwards only journals from the present one on count. */
  async #writeSnapshot(): Promise<void> {
    const { folder, snapshot } = this.#options;
    const generation = this.#generation;
    const records = [...snapshot()];
    await replaceFile(join(folder, snapshotName), snapshotLines(generation, records), {
      beside: join(folder, `${snapshotName}.new`),
    });
    for (const name of await readdir(folder)) {
      if (Number(journalPattern.exec(name)?.[1] ?? generation) < generation) {
        await rm(join(folder, name), { force: true });
      }
    }
  }
}

function* snapshotLines(generation: number, records: readonly unknown[]): Generator<Buffer> {
  yield encodeLine([JSON.stringify(['generation', generation])]);
  for (let start = 0; start < records.length; start += sliceLength) {
    const slice = records.slice(start, start + sliceLength);
    yield* linesOf(slice.map((record) => JSON.stringify(record)));
  }
}

function* linesOf(records: readonly string[]): Generator<Buffer> {
  let start = 0;
  let length = 0;
  for (const [at, record] of records.entries()) {
    length += record.length;
    if (length < longLine && at < records.length - 1) continue;
    yield encodeLine(records.slice(start, at + 1));
    start = at + 1;
    length = 0;
  }
}

function journalName(generation: number): string {
  return `journal.${generation}.jsonl`;
}

async function openNew(folder: string, generation: number): Promise<FileHandle> {
  const file = await open(join(folder, journalName(generation)), 'ax', 0o600);
  await syncFolder(folder);
  return file;
}
