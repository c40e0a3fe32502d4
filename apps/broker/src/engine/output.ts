// What goes to one connection: collected in a block within a turn of the event loop and written in one piece at its end.
import type { Duplex } from 'node:stream';

const blockBytes = 4096;
const mostFreeBlocks = 1024;
const freeBlocks: Buffer[] = [];
/** Most bytes that are with the stream at once. */
const pieceBytes = 65_536;
let dirty: Output[] = [];
/** Above it, whoever watches is told also when it grows. */
const worthTelling = 16_384;

/** A chunk of bytes on its way. One write is with the stream at a time: what comes meanwhile waits here, where it can be counted. */
export class Output {
  readonly #conn: Duplex;
  readonly #onUnread: (unreadBytes: number) => void;
  #block: Buffer | undefined;
  #blockLength = 0;
  /** Before the block, in this order. */
  #waiting: Buffer[] | undefined;
  #writtenBlock: Buffer | undefined;
  #writtenBytes = 0;
  #isWriting = false;
  #isDirty = false;
  #isEnding = false;
  /** Since it was looked at last. */
  #hasTaken = false;
  #lastProgress = 0;
  /** Bytes that the peer's side has not taken yet. */
  unreadBytes = 0;
  /** Where in the buffer of the last `reserve` the reserved bytes begin. */
  at = 0;

  constructor(conn: Duplex, onUnread: (unreadBytes: number) => void) {
    this.#conn = conn;
    this.#onUnread = onUnread;
  }

  /** @returns a buffer in which `bytes` bytes from `this.at` on are the caller's to fill, at once */
  reserve(bytes: number): Buffer {
    this.unreadBytes += bytes;
    if (!this.#isDirty) this.#makeDirty();
    let block = this.#block;
    if (block === undefined || this.#blockLength + bytes > blockBytes) {
      if (block !== undefined) this.#setBlockAside(block);
      if (bytes > blockBytes) {
        const own = Buffer.allocUnsafeSlow(bytes);
        (this.#waiting ??= []).push(own);
        this.at = 0;
        return own;
      }
      block = this.#block = freeBlocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    }
    this.at = this.#blockLength;
    this.#blockLength += bytes;
    return block;
  }

  /** Bytes that nobody changes any more: they are not copied. */
  push(bytes: Buffer): void {
    this.unreadBytes += bytes.length;
    if (!this.#isDirty) this.#makeDirty();
    if (this.#block !== undefined) this.#setBlockAside(this.#block);
    (this.#waiting ??= []).push(bytes);
  }

  /** Small packets by copy, large ones as they are. */
  append(bytes: Buffer): void {
    if (bytes.length > 512) this.push(bytes);
    else bytes.copy(this.reserve(bytes.length), this.at);
  }

  /** PUBACK, PUBREC, PUBREL and PUBCOMP without a reason. */
  appendShort(first: number, packetId: number): void {
    const bytes = this.reserve(4);
    const { at } = this;
    bytes[at] = first;
    bytes[at + 1] = 2;
    bytes[at + 2] = packetId >> 8;
    bytes[at + 3] = packetId;
  }

  /** Called now and then. @returns milliseconds since its peer took something, while there is something to take */
  stalledFor(now: number): number {
    if (this.unreadBytes === 0 || this.#hasTaken || this.#lastProgress === 0) {
      this.#hasTaken = false;
      this.#lastProgress = now;
    }
    return now - this.#lastProgress;
  }

  /** Ends the stream behind what was appended. */
  end(): void {
    this.#isEnding = true;
    this.flush();
  }

  flush(): void {
    this.#isDirty = false;
    if (this.#conn.destroyed) return;
    if (this.#isWriting) {
      if (this.unreadBytes > worthTelling) this.#onUnread(this.unreadBytes);
      return;
    }
    this.#write();
    if (this.#isEnding && this.unreadBytes === this.#writtenBytes) this.#conn.end();
  }

  #write(): void {
    if (this.#waiting !== undefined) this.#writeWaiting(this.#waiting);
    else if (this.#block !== undefined) {
      const block = this.#block;
      const length = this.#blockLength;
      this.#isWriting = true;
      this.#writtenBytes = length;
      this.#writtenBlock = block;
      this.#block = undefined;
      this.#blockLength = 0;
      this.#conn.write(length === blockBytes ? block : block.subarray(0, length), this.#afterWrite);
    }
  }

  /** Not more at a time than a slow peer takes within a reasonable time: that it takes some is how one knows that it is there. */
  #writeWaiting(waiting: Buffer[]): void {
    this.#isWriting = true;
    this.#writtenBytes = 0;
    if (this.#block !== undefined) this.#setBlockAside(this.#block);
    this.#conn.cork();
    while (this.#writtenBytes < pieceBytes) {
      const first = waiting[0] as Buffer;
      const piece = first.length > pieceBytes ? first.subarray(0, pieceBytes) : first;
      if (piece === first) waiting.shift();
      else waiting[0] = first.subarray(pieceBytes);
      this.#writtenBytes += piece.length;
      if (waiting.length === 0 || this.#writtenBytes >= pieceBytes) {
        this.#conn.write(piece, this.#afterWrite);
        break;
      }
      this.#conn.write(piece);
    }
    if (waiting.length === 0) this.#waiting = undefined;
    this.#conn.uncork();
  }

  #makeDirty(): void {
    this.#isDirty = true;
    if (dirty.length === 0) setImmediate(flushDirty);
    dirty.push(this);
  }

  #setBlockAside(block: Buffer): void {
    (this.#waiting ??= []).push(block.subarray(0, this.#blockLength));
    this.#block = undefined;
    this.#blockLength = 0;
  }

  readonly #afterWrite = (error?: Error | null): void => {
    this.#isWriting = false;
    this.#hasTaken = true;
    this.unreadBytes -= this.#writtenBytes;
    const block = this.#writtenBlock;
    this.#writtenBlock = undefined;
    // The stream is ended by whoever listens to its error; what it still holds is left to it.
    if (error) return;
    if (block !== undefined && freeBlocks.length < mostFreeBlocks) freeBlocks.push(block);
    this.#writtenBytes = 0;
    if (this.unreadBytes > 0 || this.#isEnding) this.flush();
    this.#onUnread(this.unreadBytes);
  };
}

let turns = 0;

/** Turns of the event loop so far in which something was written. */
export function countTurns(): number {
  return turns;
}

function flushDirty(): void {
  turns += 1;
  const outputs = dirty;
  dirty = [];
  for (const output of outputs) output.flush();
}
