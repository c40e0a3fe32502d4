// Who came and went while no issuing CA took it: written down, so that a restart of the broker does not forget when somebody was last seen.
import { readBounded, removeFile, replaceFile } from '@keyline/files';
import { isKeylineError, messageOf } from '@keyline/kernel';
import type { Logger } from 'pino';
import { isName } from './peer-identity.ts';
import type { PresenceBook, RememberedSighting } from './presence-book.ts';

interface PresenceFileOptions {
  readonly path: string;
  readonly book: Pick<PresenceBook, 'oldest' | 'last' | 'unsettled' | 'remember'>;
  readonly log: Logger;
  /** Milliseconds between two looks at what nobody has taken. */
  readonly interval?: number;
}

/** The newest; of more it is forgotten when they were last seen, should broker and issuing CA both end. */
const mostWritten = 100_000;
const mostBytes = 128 * 1024 * 1024;

export class PresenceFile {
  readonly #options: PresenceFileOptions;
  #timer: NodeJS.Timeout | undefined;
  /** The newest at the last look, and at the last writing. */
  #looked = 0;
  #written = 0;
  #isThere = true;
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: PresenceFileOptions) {
    this.#options = options;
  }

  static async open(options: PresenceFileOptions): Promise<PresenceFile> {
    const { path, book, log, interval = 20_000 } = options;
    const file = new PresenceFile(options);
    book.remember(await read(path, log));
    file.#timer = setInterval(() => {
      file.#writing = file.#writing.then(() => file.#look());
    }, interval).unref();
    return file;
  }

  /** With everybody whose connection has just ended. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#put(this.#options.book.oldest !== undefined);
  }

  async #look(): Promise<void> {
    const { book } = this.#options;
    const isWaiting = book.oldest !== undefined && book.oldest <= this.#looked;
    this.#looked = book.last;
    // What was taken is on record elsewhere.
    if (isWaiting && this.#written === book.last) return;
    await this.#put(isWaiting);
  }

  async #put(isWaiting: boolean): Promise<void> {
    const { path, book, log } = this.#options;
    try {
      if (isWaiting) {
        this.#written = book.last;
        this.#isThere = true;
        await replaceFile(path, `${JSON.stringify(book.unsettled(mostWritten))}\n`, {
          mode: 0o600,
        });
      } else if (this.#isThere) {
        await removeFile(path);
        this.#isThere = false;
      }
    } catch (error) {
      log.warn(
        { event: 'presence not written', error: messageOf(error) },
        `who came and went could not be written to ${path}, and is forgotten with a restart unless the issuing CA asks before: ${messageOf(error)}`,
      );
    }
  }
}

/** What can't be read is no reason not to serve: it is forgotten when some were last seen. */
async function read(path: string, log: Logger): Promise<RememberedSighting[]> {
  try {
    const value: unknown = JSON.parse((await readBounded(path, 'presence', mostBytes)).toString());
    return Array.isArray(value) ? value.flatMap(readSighting) : [];
  } catch (error) {
    if (isKeylineError(error) && error.code === 'FILE_NOT_FOUND') return [];
    log.warn(
      { event: 'presence not read', error: messageOf(error) },
      `${path} can't be read; when some devices were last seen is forgotten: ${messageOf(error)}`,
    );
    return [];
  }
}

function readSighting(value: unknown): RememberedSighting[] {
  const { username, at, clientId, version, address } = (value ?? {}) as Record<string, unknown>;
  const isWhole =
    typeof username === 'string' &&
    isName(username) &&
    Number.isSafeInteger(at) &&
    typeof clientId === 'string' &&
    typeof version === 'number' &&
    typeof address === 'string';
  return isWhole ? [{ username, at: at as number, clientId, version, address }] : [];
}
