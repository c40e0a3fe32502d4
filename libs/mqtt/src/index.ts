// MQTT 3.1.1 and 5 on the wire: packets in and out, topics and filters. No connection, no session, no rights.
export { encodePacket } from './encode-packet.ts';
export { readPacketLength } from './fixed-header.ts';
export { MalformedPacket } from './malformed-packet.ts';
export type {
  ConnackPacket,
  ConnectPacket,
  MessageProperties,
  Packet,
  ProtocolVersion,
  PubackPacket,
  PublishPacket,
  SubackPacket,
  SubscribePacket,
  UnsubscribePacket,
  UserProperties,
  Will,
} from './packets.ts';
export { clientPacketLimits, type ReadLimits } from './read-limits.ts';
export { readPacket } from './read-packet.ts';
export {
  compileFilter,
  covers,
  matchesTopic,
  takeApart,
  type CompiledFilter,
  type Levels,
} from './topic-filter.ts';
export {
  countLevels,
  findMisplacedWildcard,
  isMqttText,
  isSharedFilter,
  isTopicFilter,
  parseSharedFilter,
} from './topic.ts';
