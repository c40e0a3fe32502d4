// One packet read from front to back: every field inside its bounds, or the packet is refused.
import type { ProtocolVersion } from './packets.ts';
import type { ReadLimits } from './read-limits.ts';
import { refuse, type RefusalSite, type RuleName } from './rules.ts';
import { decodeText, decodeTopicFilter, decodeTopicName } from './text.ts';

const mostVariableBytes = 4;

export class ByteReader {
  readonly bytes: Buffer;
  readonly limits: ReadLimits;
  at: number;
  end: number;
  version: ProtocolVersion | undefined;

  constructor(
    bytes: Buffer,
    start: number,
    end: number,
    version: ProtocolVersion | undefined,
    limits: ReadLimits,
  ) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.version = version;
    this.limits = limits;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  refuse(rule: RuleName, site: Omit<RefusalSite, 'version'> = {}): never {
    refuse(rule, { ...site, version: this.version });
  }

  readByte(): number {
    if (this.at >= this.end) this.refuse('pastTheEnd');
    const byte = this.bytes[this.at] ?? 0;
    this.at += 1;
    return byte;
  }

  readUint16(): number {
    const { bytes, at } = this;
    if (at + 2 > this.end) this.refuse('pastTheEnd');
    this.at = at + 2;
    return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }

  readUint32(): number {
    const { bytes, at } = this;
    if (at + 4 > this.end) this.refuse('pastTheEnd');
    this.at = at + 4;
    return bytes.readUInt32BE(at);
  }

  /** MQTT 5 §1.5.5. MQTT 3.1.1 does not ask for the fewest bytes. */
  readVariableInteger(): number {
    let value = 0;
    for (let read = 0; read < mostVariableBytes; read += 1) {
      const byte = this.readByte();
      value += (byte & 0x7f) * 2 ** (7 * read);
      if (byte < 0x80) {
        if (byte === 0 && read > 0 && this.version === 5) this.refuse('wastefulLength');
        return value;
      }
    }
    return this.refuse('longLength');
  }

  /** @returns where the value ends; it begins at `at` */
  #measure(): number {
    const length = this.readUint16();
    if (this.at + length > this.end) this.refuse('pastTheEnd');
    return this.at + length;
  }

  #measureValue(): number {
    const valueEnd = this.#measure();
    if (valueEnd - this.at > this.limits.valueBytes) {
      this.refuse('valueTooLong', { found: `${valueEnd - this.at} bytes` });
    }
    return valueEnd;
  }

  readText(): string {
    const start = this.at + 2;
    this.at = this.#measureValue();
    return decodeText(this.bytes, start, this.at, this.version);
  }

  /** A copy: what is kept of a packet (a password, a will, correlation data) may outlive the bytes it came in. */
  readBinary(): Buffer {
    const start = this.at + 2;
    this.at = this.#measureValue();
    return Buffer.from(this.bytes.subarray(start, this.at));
  }

  /** A copy as well, of up to 65,535 bytes: the payload of a will, which is bounded by the packet. */
  readWillPayload(): Buffer {
    const start = this.at + 2;
    this.at = this.#measure();
    return Buffer.from(this.bytes.subarray(start, this.at));
  }

  readTopicName(): string {
    const start = this.at + 2;
    this.at = this.#measure();
    return decodeTopicName(this.bytes, start, this.at, this.version, this.limits);
  }

  readTopicFilter(): string {
    const start = this.at + 2;
    this.at = this.#measure();
    return decodeTopicFilter(this.bytes, start, this.at, this.version, this.limits);
  }

  readPacketId(): number {
    const packetId = this.readUint16();
    if (packetId === 0) this.refuse('packetIdZero');
    return packetId;
  }

  finish(): void {
    if (this.at !== this.end) this.refuse('trailingBytes', { found: String(this.end - this.at) });
  }
}
