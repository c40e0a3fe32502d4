// PUBLISH in one buffer: mqtt-packet writes each of its parts by itself, which costs a broker more than anything else it does.
import type { Message } from './message.ts';

export interface PublishParts extends Omit<Message, 'expiresAt'> {
  readonly dup: boolean;
  readonly messageId?: number | undefined;
}

/** Whether `encodePublish` can write it: without properties. */
export function isPlain({ properties }: PublishParts): boolean {
  for (const _name in properties) return false;
  return true;
}

/** MQTT 3.1.1 and 5 §3.3. @param version of the protocol: 5 has a length of its properties, which is 0 */
export function encodePublish(packet: PublishParts, version: number): Buffer {
  const { topic, payload, qos, retain, dup, messageId } = packet;
  const topicBytes = Buffer.byteLength(topic);
  const length = 2 + topicBytes + (qos === 0 ? 0 : 2) + (version === 5 ? 1 : 0) + payload.length;
  const buffer = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
  buffer[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  let at = 1;
  let rest = length;
  do {
    const part = rest & 0x7f;
    rest >>>= 7;
    buffer[at++] = rest === 0 ? part : part | 0x80;
  } while (rest !== 0);
  at = buffer.writeUInt16BE(topicBytes, at);
  at += buffer.write(topic, at);
  if (qos !== 0) at = buffer.writeUInt16BE(messageId ?? 0, at);
  if (version === 5) buffer[at++] = 0;
  payload.copy(buffer, at);
  return buffer;
}

function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}
