// A log file that is renamed when it is full, a bounded number of times: name.log, name.log.1 (the last), name.log.2 …
import { closeSync, fstatSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { messageOf } from '@keyline/kernel';

export interface LogBounds {
  /** A file is renamed before it would grow beyond. */
  readonly fileBytes: number;
  /** With the one that is written. */
  readonly files: number;
}

export class RotatingFile {
  readonly #path: string;
  readonly #bounds: LogBounds;
  readonly #describe: (text: string) => string;
  #file: number | undefined;
  #bytes = 0;
  #lost = 0;
  #lostWhy = '';

  /** @param describe a line of the supervisor's own, with its line break */
  constructor(path: string, bounds: LogBounds, describe: (text: string) => string) {
    this.#path = path;
    this.#bounds = bounds;
    this.#describe = describe;
  }

  /** Whole lines. What can't be written is counted, and said as soon as something can be. */
  write(lines: string): void {
    const bytes = Buffer.from(lines);
    try {
      this.#open();
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bounds.fileBytes) this.#rotate();
      if (this.#lost > 0) {
        const said = `${String(this.#lost)} lines could not be written here and are lost: ${this.#lostWhy}`;
        this.#append(Buffer.from(this.#describe(said)));
        this.#lost = 0;
      }
      this.#append(bytes);
    } catch (error) {
      this.#lost += lines.split('\n').length - 1;
      this.#lostWhy = messageOf(error);
      // Whatever became of the file: it is opened anew.
      this.close();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): void {
    if (this.#file !== undefined) return;
    this.#file = openSync(this.#path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  #append(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      const written = writeSync(this.#file ?? -1, rest);
      this.#bytes += written;
      rest = rest.subarray(written);
    }
  }

  #rotate(): void {
    const { files } = this.#bounds;
    this.close();
    const named = (index: number): string =>
      index === 0 ? this.#path : `${this.#path}.${String(index)}`;
    const oldest = statSync(named(files - 1), { throwIfNoEntry: false });
    rmSync(named(files - 1), { force: true });
    for (let index = files - 2; index >= 0; index -= 1) {
      if (statSync(named(index), { throwIfNoEntry: false }) !== undefined) {
        renameSync(named(index), named(index + 1));
      }
    }
    this.#open();
    const until = oldest === undefined ? undefined : oldest.mtime.toISOString();
    this.#append(
      Buffer.from(
        this.#describe(
          until === undefined
            ? 'log goes on from the file before'
            : `log goes on from the file before; the oldest, up to ${until}, was deleted (--log-files, --log-size)`,
        ),
      ),
    );
  }
}
