// A message while it is being given to its receivers: the bytes of a packet without properties, or a message that was read whole. From bytes a
// receiver's packet is copied; a message is only made of them when somebody has to keep it.
import { copyOf, type Message, type Qos } from './message.ts';
import type { Output } from './output.ts';

/** Above it a payload is not copied for each receiver. */
const largestCopy = 2048;
/** Below it a loop is faster than a call. */
const smallCopy = 64;
const empty = Buffer.alloc(0);

/** One is used again and again: a message is given to all its receivers within one call. */
export class Publication {
  topic = '';
  topicBytes: Buffer = empty;
  qos: Qos = 0;
  retain = false;
  /** The packet, from `start` to `end`; of a message that was read whole only its payload. */
  bytes: Buffer = empty;
  start = 0;
  /** 0: there is no packet of that shape to copy. */
  topicEnd = 0;
  payloadStart = 0;
  end = 0;
  isFive = false;
  /** Properties, or an expiry: each receiver's packet is encoded for itself. */
  isPlain = true;
  #message: Message | undefined;
  #payload: Buffer | undefined;

  /** After the fields above were set for the next packet. */
  begin(): void {
    this.isPlain = true;
    this.#message = undefined;
    this.#payload = undefined;
  }

  setMessage(message: Message, topicBytes: Buffer): void {
    const { topic, payload, qos, retain, properties, expiresAt } = message;
    this.topic = topic;
    this.topicBytes = topicBytes;
    this.qos = qos;
    this.retain = retain;
    this.bytes = payload;
    this.start = this.topicEnd = this.payloadStart = 0;
    this.end = payload.length;
    this.isPlain = properties === undefined && expiresAt === undefined;
    this.#message = message;
    this.#payload = payload;
  }

  /** To keep: it holds nothing of the bytes it came in. */
  get message(): Message {
    this.#message ??= {
      topic: this.topic,
      payload: copyOf(this.bytes, this.payloadStart, this.end),
      qos: this.qos,
      retain: this.retain,
      properties: undefined,
      expiresAt: undefined,
    };
    return this.#message;
  }

  get payloadBytes(): number {
    return this.end - this.payloadStart;
  }

  /** Bytes of the PUBLISH that `write` appends. */
  packetBytes(qos: Qos, isFive: boolean): number {
    const length = this.#remainingLength(qos, isFive);
    return 1 + lengthBytes(length) + length;
  }

  /** Appends a PUBLISH without properties (MQTT 3.1.1 and 5 §3.3). @param first its first byte; @param packetId not looked at with QoS 0 */
  write(output: Output, first: number, packetId: number, isFive: boolean): void {
    const { bytes, start, end, topicEnd } = this;
    const hasId = (first & 6) !== 0;
    if (topicEnd > 0 && isFive === this.isFive && hasId === this.qos > 0) {
      const length = end - start;
      if (length <= largestCopy) {
        const target = output.reserve(length);
        const { at } = output;
        copy(bytes, start, end, target, at);
        target[at] = first;
        if (hasId) {
          target[at + topicEnd - start] = packetId >> 8;
          target[at + topicEnd - start + 1] = packetId;
        }
        return;
      }
    }
    this.#writeParts(output, first, packetId, isFive);
  }

  #writeParts(output: Output, first: number, packetId: number, isFive: boolean): void {
    const { bytes, payloadStart, end, topicBytes } = this;
    const qos = ((first >> 1) & 3) as Qos;
    const length = this.#remainingLength(qos, isFive);
    const isLarge = end - payloadStart > largestCopy;
    const size = 1 + lengthBytes(length) + length;
    const target = output.reserve(isLarge ? size - (end - payloadStart) : size);
    let { at } = output;
    target[at++] = first;
    at = writeLength(target, at, length);
    target[at++] = topicBytes.length >> 8;
    target[at++] = topicBytes.length;
    copy(topicBytes, 0, topicBytes.length, target, at);
    at += topicBytes.length;
    if (qos > 0) {
      target[at++] = packetId >> 8;
      target[at++] = packetId;
    }
    if (isFive) target[at++] = 0;
    if (isLarge) output.push((this.#payload ??= payloadOf(bytes, payloadStart, end)));
    else copy(bytes, payloadStart, end, target, at);
  }

  #remainingLength(qos: Qos, isFive: boolean): number {
    return (
      2 +
      this.topicBytes.length +
      (qos > 0 ? 2 : 0) +
      (isFive ? 1 : 0) +
      this.end -
      this.payloadStart
    );
  }
}

/** A slow receiver keeps it for long: not in a piece of memory that is far larger than what is counted for it. */
function payloadOf(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  return bytes.buffer.byteLength > length + length / 4
    ? copyOf(bytes, start, end)
    : bytes.subarray(start, end);
}

function copy(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  if (end - start > smallCopy) source.copy(target, at, start, end);
  else
    for (let from = start, to = at; from < end; from += 1, to += 1) target[to] = source[from] ?? 0;
}

function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

/** MQTT 5 §1.5.5. @returns where it ends */
function writeLength(target: Buffer, start: number, length: number): number {
  let at = start;
  let rest = length;
  while (rest > 127) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
