// Bytes of one packet, put one after another; the fixed header goes in front when the length is known.

const longestValueBytes = 65_535;
const largestVariableInteger = 268_435_455;
// One byte of type and flags, at most four of length.
const headerBytes = 5;

export class ByteWriter {
  #bytes: Buffer;
  #at = headerBytes;

  constructor(expectedBytes = 64) {
    this.#bytes = Buffer.allocUnsafe(headerBytes + expectedBytes);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at - headerBytes;
  }

  writeByte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  writeUint16(value: number): void {
    const at = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  writeUint32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  /** MQTT 5 §1.5.5, in the fewest bytes. */
  writeVariableInteger(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > largestVariableInteger) {
      throw new RangeError(`${value} does not fit into a variable byte integer (MQTT 5 §1.5.5).`);
    }
    let rest = value;
    while (rest >= 0x80) {
      this.writeByte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.writeByte(rest);
  }

  writeText(text: string): void {
    const length = Buffer.byteLength(text);
    this.#writeLength(length);
    const at = this.#reserve(length);
    this.#bytes.write(text, at, 'utf8');
  }

  writeBinary(value: Buffer): void {
    this.#writeLength(value.length);
    this.writeRaw(value);
  }

  writeRaw(value: Buffer): void {
    const at = this.#reserve(value.length);
    value.copy(this.#bytes, at);
  }

  /** Everything written since, as a packet. The writer is of no use after that. */
  finish(firstByte: number): Buffer {
    const { length } = this;
    let start = headerBytes;
    const header = new ByteWriter(0);
    header.#at = 0;
    header.writeByte(firstByte);
    header.writeVariableInteger(length);
    start -= header.#at;
    header.#bytes.copy(this.#bytes, start, 0, header.#at);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The bytes written, without a fixed header. */
  toBytes(): Buffer {
    return this.#bytes.subarray(headerBytes, this.#at);
  }

  #writeLength(length: number): void {
    if (length > longestValueBytes) {
      throw new RangeError(`${length} bytes are above the ${longestValueBytes} of MQTT 5 §1.5.4.`);
    }
    this.writeUint16(length);
  }

  /** To be called before `#bytes` is looked at: it may be another after that. */
  #reserve(count: number): number {
    const at = this.#at;
    this.#at = at + count;
    if (this.#at > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#at, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    return at;
  }
}
