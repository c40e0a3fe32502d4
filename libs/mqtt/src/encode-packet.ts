// One packet, value to bytes: what a server sends and what a client sends. What a packet may say is the caller's to know.
import { ByteWriter } from './byte-writer.ts';
import { encodeProperties } from './encode-properties.ts';
import type {
  AckPacket,
  AuthPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  SubscribePacket,
} from './packets.ts';

const typeNumbers: Readonly<Record<Packet['type'], number>> = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
};

/**
 * A packet as it goes over the wire. In MQTT 3.1.1 reason codes and properties that it does not have are left out; for CONNECT its
 * own `protocolVersion` decides.
 *
 * @throws {RangeError} for what does not fit: a string or binary value above 65,535 bytes, a packet above 268,435,455
 */
export function encodePacket(packet: Packet, version: ProtocolVersion): Buffer {
  const writer = new ByteWriter(
    packet.type === 'publish' ? packet.topic.length + packet.payload.length + 16 : undefined,
  );
  const flags = writeBody(writer, packet, version);
  return writer.finish((typeNumbers[packet.type] << 4) | flags);
}

/** @returns the flags of the fixed header */
function writeBody(writer: ByteWriter, packet: Packet, version: ProtocolVersion): number {
  switch (packet.type) {
    case 'connect':
      writeConnect(writer, packet);
      return 0;
    case 'connack':
      writer.writeByte(packet.sessionPresent ? 1 : 0);
      writer.writeByte(packet.reasonCode);
      if (version === 5) encodeProperties(writer, 'connack', packet.properties);
      return 0;
    case 'publish':
      return writePublish(writer, packet, version);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      writeAcknowledgement(writer, packet, version);
      return packet.type === 'pubrel' ? 2 : 0;
    case 'subscribe':
      writeSubscribe(writer, packet, version);
      return 2;
    case 'unsubscribe':
      writer.writeUint16(packet.packetId);
      if (version === 5) encodeProperties(writer, 'unsubscribe', packet.properties);
      for (const filter of packet.filters) writer.writeText(filter);
      return 2;
    case 'suback':
      writer.writeUint16(packet.packetId);
      if (version === 5) encodeProperties(writer, 'suback', packet.properties);
      for (const code of packet.reasonCodes) writer.writeByte(code);
      return 0;
    case 'unsuback':
      writer.writeUint16(packet.packetId);
      if (version !== 5) return 0;
      encodeProperties(writer, 'unsuback', packet.properties);
      for (const code of packet.reasonCodes) writer.writeByte(code);
      return 0;
    case 'disconnect':
    case 'auth':
      if (version === 5) writeReason(writer, packet);
      return 0;
    case 'pingreq':
    case 'pingresp':
      return 0;
  }
}

function writeConnect(writer: ByteWriter, packet: ConnectPacket): void {
  const { protocolVersion, will, username, password } = packet;
  writer.writeText(protocolVersion === 3 ? 'MQIsdp' : 'MQTT');
  writer.writeByte(protocolVersion);
  let flags = packet.clean ? 0x02 : 0;
  if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (username !== undefined) flags |= 0x80;
  writer.writeByte(flags);
  writer.writeUint16(packet.keepAlive);
  if (protocolVersion === 5) encodeProperties(writer, 'connect', packet.properties);
  writer.writeText(packet.clientId);
  if (will !== undefined) {
    if (protocolVersion === 5) encodeProperties(writer, 'will', will.properties);
    writer.writeText(will.topic);
    writer.writeBinary(will.payload);
  }
  if (username !== undefined) writer.writeText(username);
  if (password !== undefined) writer.writeBinary(password);
}

function writePublish(writer: ByteWriter, packet: PublishPacket, version: ProtocolVersion): number {
  const { qos } = packet;
  writer.writeText(packet.topic);
  if (qos > 0) writer.writeUint16(packet.packetId);
  if (version === 5) encodeProperties(writer, 'publish', packet.properties);
  writer.writeRaw(packet.payload);
  return (packet.dup ? 0x08 : 0) | (qos << 1) | (packet.retain ? 0x01 : 0);
}

/** MQTT 5 §3.4.2.1: reason code and properties are left out when they say nothing. */
function writeAcknowledgement(
  writer: ByteWriter,
  packet: AckPacket,
  version: ProtocolVersion,
): void {
  writer.writeUint16(packet.packetId);
  if (version !== 5 || (packet.reasonCode === 0 && packet.properties === undefined)) return;
  writer.writeByte(packet.reasonCode);
  if (packet.properties !== undefined) encodeProperties(writer, packet.type, packet.properties);
}

function writeSubscribe(
  writer: ByteWriter,
  packet: SubscribePacket,
  version: ProtocolVersion,
): void {
  writer.writeUint16(packet.packetId);
  if (version === 5) encodeProperties(writer, 'subscribe', packet.properties);
  for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of packet.subscriptions) {
    writer.writeText(filter);
    writer.writeByte(
      version === 5
        ? qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4)
        : qos,
    );
  }
}

function writeReason(writer: ByteWriter, packet: DisconnectPacket | AuthPacket): void {
  const { type, reasonCode, properties } = packet;
  if (reasonCode === 0 && properties === undefined) return;
  writer.writeByte(reasonCode);
  if (properties !== undefined) encodeProperties(writer, type, properties);
}
