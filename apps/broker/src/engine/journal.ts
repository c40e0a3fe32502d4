// An append-only file of JSON records with a snapshot beside it: what was appended is durable when `durable` calls back, many at a time. Both
// carry checksums: a record is read back as it was written, or the broker does not start.
import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '@keyline/files';
import { encodeLine } from '@keyline/journal';
import { messageOf } from '@keyline/kernel';
import {
  beginOf,
  endMark,
  journalName,
  journalPattern,
  replayFolder,
  snapshotName,
  startOf,
} from './journal-folder.ts';
import type { JournalRecord } from './record-lines.ts';

interface JournalOptions {
  readonly folder: string;
  /** Every stored record, oldest first, before the journal is used. */
  readonly replay: (record: JournalRecord) => void;
  /** Told of what a crash cut off, in words. */
  readonly onCut?: (message: string) => void;
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
  /** Bytes that may wait for the disk before `isBehind`. */
  readonly mostWaiting?: number;
}

const sliceLength = 500;
/** A line is read and checked in one piece, so it should not be much longer. */
const longLine = 1_048_576;

export class Journal {
  readonly #options: JournalOptions;
  #file: FileHandle;
  #generation: number;
  #bytes = 0;
  #pending: string[] = [];
  #waitingBytes = 0;
  #waiting: ((error?: Error) => void)[] = [];
  #behind: (() => void)[] = [];
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
    const { folder } = options;
    const { generation: last, hasSnapshot } = await replayFolder(options);
    // Always a new file: a torn end of the old one then can't swallow the first record written now.
    const generation = last + 1;
    const file = await openNew(folder, generation, hasSnapshot);
    const journal = new Journal(options, file, generation);
    await journal.#writeSnapshot();
    return journal;
  }

  /** In the order of the calls. */
  append(record: JournalRecord): void {
    this.appended += 1;
    // While the disk takes nothing, the next attempt at a snapshot has it.
    if (this.#failure !== undefined && this.#recovery === undefined) return;
    const text = JSON.stringify(record);
    this.#pending.push(text);
    this.#waitingBytes += text.length;
    if (this.#failure === undefined) this.#writing ??= this.#write();
  }

  /** Bytes of records that wait for the disk, or are on their way to it. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** More is appended than the disk takes: whoever appends has to wait. */
  get isBehind(): boolean {
    return this.#waitingBytes > (this.#options.mostWaiting ?? 16 * 1024 * 1024);
  }

  /** Calls back when it is behind no longer. */
  whenCaughtUp(done: () => void): void {
    if (this.isBehind) this.#behind.push(done);
    else done();
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
        const bytes = this.#waitingBytes;
        if (lines.length > 0) {
          for (const line of linesOf(lines)) {
            await this.#file.appendFile(line);
            this.#bytes += line.length;
          }
          await this.#file.datasync();
        }
        this.#catchUp(bytes);
        for (const done of waiting) done();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#options.onFailure(this.#failure);
      const waiting = [...lost, ...this.#waiting];
      this.#waiting = [];
      this.#forgetPending();
      for (const done of waiting) done(this.#failure);
      this.#recoverLater();
      return;
    } finally {
      this.#writing = undefined;
    }
    if (this.#bytes > (this.#options.compactAfter ?? 32 * 1024 * 1024)) this.#startCompaction();
  }

  #forgetPending(): void {
    this.#pending = [];
    this.#catchUp(this.#waitingBytes);
  }

  #catchUp(bytes: number): void {
    this.#waitingBytes -= bytes;
    if (this.isBehind) return;
    const behind = this.#behind;
    this.#behind = [];
    for (const done of behind) done();
  }

  #recoverLater(): void {
    const { recoverEvery = 5000, onFailure } = this.#options;
    this.#recoveryTimer = setTimeout(() => {
      this.#recovery = this.#recover()
        .catch((error: unknown) => {
          this.#forgetPending();
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
    const file = await openNew(this.#options.folder, this.#generation, true);
    do await this.#idle();
    while (this.#writing !== undefined);
    // No await between the end of writing and the snapshot: a record is either in it or in the new file, never in both.
    const old = this.#file;
    this.#file = file;
    this.#forgetPending();
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
  yield encodeLine([JSON.stringify(startOf(generation))]);
  for (let start = 0; start < records.length; start += sliceLength) {
    const slice = records.slice(start, start + sliceLength);
    yield* linesOf(slice.map((record) => JSON.stringify(record)));
  }
  yield encodeLine([JSON.stringify(endMark)]);
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

async function openNew(
  folder: string,
  generation: number,
  hasSnapshot: boolean,
): Promise<FileHandle> {
  const file = await open(join(folder, journalName(generation)), 'ax', 0o600);
  try {
    await file.appendFile(encodeLine([JSON.stringify(beginOf(generation, hasSnapshot))]));
    await file.datasync();
    await syncFolder(folder);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
