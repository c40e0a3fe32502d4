// PUBLISH (MQTT 5 §3.3, MQTT 3.1.1 §3.3). It is most of what a broker reads: without properties it is read by hand, in one pass.
import { isUtf8 } from 'node:buffer';
import { ByteReader } from './byte-reader.ts';
import type { ProtocolVersion, PublishPacket, QoS } from './packets.ts';
import type { ReadLimits } from './read-limits.ts';
import { readProperties } from './read-properties.ts';
import { refuse } from './rules.ts';
import { decodeTopicName } from './text.ts';

const dupBit = 0x08;
const retainBit = 0x01;

/**
 * @param flags the low half of the first byte
 * @param start the first byte after the fixed header
 */
export function readPublish(
  bytes: Buffer,
  flags: number,
  start: number,
  end: number,
  version: ProtocolVersion,
  limits: ReadLimits,
): PublishPacket {
  const qos = (flags >> 1) & 3;
  if (qos === 3) refuse('publishQos', { version });
  const dup = (flags & dupBit) !== 0;
  if (dup && qos === 0) refuse('dupAtQos0', { version });
  if (start + 2 > end) refuse('pastTheEnd', { version });
  const topicStart = start + 2;
  let at = topicStart + (((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0));
  if (at > end) refuse('pastTheEnd', { version });
  const topic = decodeTopicName(bytes, topicStart, at, version, limits);
  let packetId = 0;
  if (qos > 0) {
    if (at + 2 > end) refuse('pastTheEnd', { version });
    packetId = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    if (packetId === 0) refuse('packetIdZero', { version });
    at += 2;
  }
  let properties;
  if (version === 5) {
    if (at >= end) refuse('pastTheEnd', { version });
    if (bytes[at] === 0) {
      at += 1;
    } else {
      const reader = new ByteReader(bytes, at, end, version, limits);
      properties = readProperties(reader, 'publish');
      at = reader.at;
    }
  }
  if (topic === '' && properties?.topicAlias === undefined) {
    refuse(version === 5 ? 'noTopic' : 'emptyTopic', { version });
  }
  const payload = bytes.subarray(at, end);
  if (properties?.payloadFormatIndicator === true && !isUtf8(payload)) {
    refuse('payloadFormat', { version });
  }
  return {
    type: 'publish',
    qos: qos as QoS,
    dup,
    retain: (flags & retainBit) !== 0,
    topic,
    packetId,
    payload,
    properties,
  };
}
