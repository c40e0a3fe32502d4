// The beginning of a packet whose end has not come yet: one buffer that grows by doubling up to the length the packet announced.
import { MalformedPacket, readPacketLength } from '@keyline/mqtt';

const mostHeaderBytes = 5;
const firstBytes = 64;
/** Some devices write byte by byte, each in a TLS record of its own; a large packet like that costs a broker far more than its sender. */
const mostPieces = 2048;
const leastPieceBytes = 256;

export class PartialPacket {
  /** Monotonic milliseconds at which its first byte came. */
  readonly since: number;
  #buffer = Buffer.allocUnsafeSlow(firstBytes);
  #length = 0;
  #pieces = 0;
  /** 0 while not even that is known. */
  #total = 0;

  constructor(since: number) {
    this.since = since;
  }

  /** Memory it takes. */
  get bytes(): number {
    return this.#buffer.length;
  }

  /** The packet, when it is whole. */
  get whole(): Buffer | undefined {
    return this.#total > 0 && this.#length === this.#total
      ? this.#buffer.subarray(0, this.#length)
      : undefined;
  }

  /**
   * Takes what belongs to this packet from a chunk.
   * @returns where in the chunk the rest begins
   * @throws {MalformedPacket} 0x81, 0x95, 0x97
   */
  take(chunk: Buffer, start: number, maximumBytes: number): number {
    let at = start;
    while (this.#total === 0 && at < chunk.length && this.#length < mostHeaderBytes) {
      this.#buffer[this.#length++] = chunk[at++] ?? 0;
      this.#total = readPacketLength(this.#buffer, 0, this.#length, maximumBytes);
    }
    this.#pieces += 1;
    if (this.#pieces > mostPieces + this.#total / leastPieceBytes) {
      throw new MalformedPacket({
        ...{ reasonCode: 0x97, clause: 'limit' },
        message: `A packet came in ${this.#pieces} pieces.`,
      });
    }
    const wanted = Math.min(chunk.length - at, this.#total - this.#length);
    if (wanted <= 0) return at;
    this.#makeRoom(this.#length + wanted);
    chunk.copy(this.#buffer, this.#length, at, at + wanted);
    this.#length += wanted;
    return at + wanted;
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(
      Math.min(this.#total, Math.max(bytes, this.#buffer.length * 2)),
    );
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
