// An append-only file of records: one line per fsync, `crc32 bytes [record,…]`. What waits while a line is being written goes
// together into the next one. Whoever was told "durable" had their whole line on the disk.
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { decodeLine, encodeLine, isTorn } from '@keyline/journal';
import { KeylineError, messageOf } from '@keyline/kernel';

export interface Journal {
  readonly path: string;
  /** Of whole lines. */
  readonly sizeBytes: number;
  /** A write failed and was not made good yet. */
  readonly isBehind: boolean;
  /**
   * Resolves when it is durable. After a failure everything not yet durable is kept, and written by the next `append` or `flush`.
   * @throws {KeylineError} INTERNAL
   */
  append(record: string): Promise<void>;
  /** Resolves when all that was appended is durable. @throws {KeylineError} INTERNAL */
  flush(): Promise<void>;
  /** Without flushing. */
  close(): Promise<void>;
}

/** Opens a journal to go on at `sizeBytes`: what stands behind (a line that a crash tore) is cut off. */
export async function openJournal(path: string, sizeBytes: number): Promise<Journal> {
  const file = await open(path, sizeBytes === 0 ? 'a+' : 'r+', 0o600);
  try {
    await file.truncate(sizeBytes);
  } catch (error) {
    await file.close();
    throw error;
  }
  return new FileJournal(path, file, sizeBytes);
}

class FileJournal implements Journal {
  readonly path: string;
  readonly #file: FileHandle;
  #waiting: string[] = [];
  #size: number;
  #work: Promise<void> | undefined;
  #torn = false;

  constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.path = path;
    this.#file = file;
    this.#size = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  get isBehind(): boolean {
    return this.#work === undefined && this.#waiting.length > 0;
  }

  append(record: string): Promise<void> {
    this.#waiting.push(record);
    return this.flush();
  }

  async flush(): Promise<void> {
    // What waits now is in the line after the one under way at the latest.
    if (this.#work !== undefined) {
      await this.#work.catch(() => undefined); // reported to those who waited for it
    }
    if (this.#waiting.length === 0) return this.#work;
    this.#work ??= this.#writeLine().finally(() => (this.#work = undefined));
    return this.#work;
  }

  async close(): Promise<void> {
    await this.#work?.catch(() => undefined); // reported to those who waited for it
    await this.#file.close();
  }

  async #writeLine(): Promise<void> {
    const records = this.#waiting;
    this.#waiting = [];
    try {
      await this.#assertOurs();
      if (this.#torn) await this.#file.truncate(this.#size);
      this.#torn = true;
      const line = encodeLine(records);
      let written = 0;
      while (written < line.length) {
        const { bytesWritten } = await this.#file.write(
          line,
          written,
          line.length - written,
          this.#size + written,
        );
        written += bytesWritten;
      }
      await this.#file.datasync();
      this.#size += line.length;
      this.#torn = false;
    } catch (cause) {
      this.#waiting = [...records, ...this.#waiting];
      throw new KeylineError(
        'INTERNAL',
        `The broker's journal ${this.path} could not be written (${messageOf(cause)}). Nothing was acknowledged; it is tried again with the next change. Make room or give back the rights on the folder.`,
        { cause },
      );
    }
  }

  /** Two engines on one folder would each lose what the other acknowledged. */
  async #assertOurs(): Promise<void> {
    const { size, nlink } = await this.#file.stat();
    if (nlink === 0 || (size !== this.#size && !this.#torn)) {
      throw new Error('something else writes in this folder; only one broker may use it');
    }
  }
}

export interface JournalContent {
  readonly records: readonly unknown[];
  /** Where the whole lines end; behind it there may be one that a crash tore. */
  readonly sizeBytes: number;
  readonly torn: boolean;
}

/**
 * A line that is not whole is a write that a crash cut short, and was never acknowledged: it counts only as the last one, shorter
 * than it says, or with holes (zeros) where blocks did not reach the disk. Anything else is damage, and not passed over: a
 * revocation may be in it.
 * @throws {KeylineError} FILE_UNREADABLE
 */
export async function readJournal(path: string): Promise<JournalContent> {
  const content = await readFile(path);
  const records: unknown[] = [];
  let at = 0;
  while (at < content.length) {
    const line = decodeLine(content, at);
    if (line === undefined) {
      if (isTorn(content, at)) return { records, sizeBytes: at, torn: true };
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The broker's journal ${path} is damaged at byte ${at}: it was changed after it was written. Bring the folder back from a backup; or, giving up the changes from there on, cut the file with: truncate -s ${at} ${path}`,
        { context: { path, offset: at } },
      );
    }
    for (const record of line.records) records.push(record);
    at = line.end;
  }
  return { records, sizeBytes: at, torn: false };
}
