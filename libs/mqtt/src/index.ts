// MQTT 3.1.1 and 5 on the wire: packets in and out, topics and filters. No connection, no session, no rights.
export type * from './packets.ts';
export { MalformedPacket, type RefusalCode } from './malformed-packet.ts';
export { clientPacketLimits, type ReadLimits } from './read-limits.ts';
export { readPacketLength } from './fixed-header.ts';
export { readPacket } from './read-packet.ts';
export { encodePacket } from './encode-packet.ts';
export { decodeTopicName } from './text.ts';
export {
  countLevels,
  findMisplacedWildcard,
  isMqttText,
  isSharedFilter,
  isTopicFilter,
  isTopicName,
  mostTopicLevels,
  parseSharedFilter,
  type SharedFilter,
} from './topic.ts';
export {
  compileFilter,
  covers,
  matchesTopic,
  takeApart,
  type CompiledFilter,
  type Levels,
} from './topic-filter.ts';
