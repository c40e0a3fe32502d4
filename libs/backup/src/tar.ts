// The order of files within a backup: a tar archive (POSIX ustar), so that `age -d | tar x` opens one where there is no Keyline. Regular
// files alone: nothing else is written, and nothing else is taken.
import { KeylineError } from '@keyline/kernel';

const block = 512;
/** What eleven octal digits hold; larger sizes are binary, as GNU and BSD write and read them. */
const largestOctal = 0o77777777777;

export interface TarFile {
  /** With "/", relative. */
  readonly path: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
}

/** @param at epoch milliseconds @throws {KeylineError} FILE_UNREADABLE for a name that does not fit (255 bytes, 100 of them after a "/") */
export function encodeTarHeader({ path, bytes, mode }: TarFile, at: number): Buffer {
  const header = Buffer.alloc(block);
  const [prefix, name] = splitPath(path);
  const octal = (value: number, offset: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), offset, 'ascii');
  };
  header.write(name, 0, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  if (bytes <= largestOctal) octal(bytes, 124, 12);
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
  octal(Math.floor(at / 1000), 136, 12);
  header.write('        ', 148, 'ascii');
  header.write('0', 156, 'ascii');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345, 'utf8');
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** What fills the last block of a file. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((block - (bytes % block)) % block);
}

export const tarEnd: Buffer = Buffer.alloc(2 * block);

function splitPath(path: string): [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return [prefix, name];
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `The name of ${path} is too long for a backup. Give it a shorter one, or move it out of the folder.`,
  );
}

function sumOf(header: Uint8Array): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

export interface TarEntry extends TarFile {
  /** Once, and to its end, before the next entry is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The files of an archive in their order. Reads to the very end of the source, so that what proves it whole has been seen.
 * @throws {KeylineError} FILE_UNREADABLE for anything that `encodeTarHeader` does not write
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new PieceReader(source);
  for (;;) {
    const header = await reader.take(block);
    if (header.every((byte) => byte === 0)) break;
    const file = parseHeader(header);
    let rest = file.bytes;
    const content = async function* (): AsyncGenerator<Uint8Array> {
      while (rest > 0) {
        const piece = await reader.some(rest);
        rest -= piece.length;
        yield piece;
      }
    };
    yield { ...file, content: content() };
    while (rest > 0) rest -= (await reader.some(rest)).length;
    await reader.take((block - (file.bytes % block)) % block);
  }
  for (;;) {
    const piece = await reader.some(65_536, 'end');
    if (piece.length === 0) return;
    if (piece.some((byte) => byte !== 0)) throw malformed('something follows on its end');
  }
}

function parseHeader(header: Buffer): TarFile {
  const text = (from: number, length: number): string => {
    const bytes = header.subarray(from, from + length);
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end < 0 ? length : end);
  };
  const octal = (from: number, length: number): number => {
    const digits = text(from, length).trim();
    if (!/^[0-7]+$/.test(digits)) throw malformed('a number in it is none');
    return Number.parseInt(digits, 8);
  };
  if (text(257, 5) !== 'ustar' || octal(148, 8) !== sumOf(header)) {
    throw malformed('it is no archive');
  }
  if (text(156, 1) !== '0') throw malformed('something in it is no regular file');
  const prefix = text(345, 155);
  const bytes = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : octal(124, 12);
  if (!Number.isSafeInteger(bytes)) throw malformed('a file in it is larger than any disk');
  return {
    path: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    bytes,
    mode: octal(100, 8) & 0o777,
  };
}

/** Pieces of whatever length, taken in the lengths that are needed. */
class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** At least one byte and at most so many; none at the end, where that may be. */
  async some(most: number, mayBe?: 'end'): Promise<Uint8Array> {
    while (this.#left.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) {
        if (mayBe === 'end') return this.#left;
        throw malformed('it ends too early');
      }
      this.#left = next.value;
    }
    const piece = this.#left.subarray(0, most);
    this.#left = this.#left.subarray(piece.length);
    return piece;
  }

  async take(length: number): Promise<Buffer> {
    const taken = Buffer.alloc(length);
    for (let at = 0; at < length;) {
      const piece = await this.some(length - at);
      taken.set(piece, at);
      at += piece.length;
    }
    return taken;
  }
}

function malformed(what: string): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `This is no backup of Keyline: ${what}. Take another one.`,
  );
}
