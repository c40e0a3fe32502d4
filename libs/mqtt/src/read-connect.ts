// CONNECT (MQTT 5 §3.1, MQTT 3.1.1 §3.1): the one packet that says itself which version it is in.
import { isUtf8 } from 'node:buffer';
import type { ByteReader } from './byte-reader.ts';
import type { ConnectPacket, ProtocolVersion, QoS, Will } from './packets.ts';
import { readProperties } from './read-properties.ts';

const reservedBit = 0x01;
const cleanBit = 0x02;
const willBit = 0x04;
const willQosShift = 3;
const willRetainBit = 0x20;
const passwordBit = 0x40;
const usernameBit = 0x80;

/** Names of the protocol and the levels they go with. */
const levelsOfName: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ['MQTT', new Set([4, 5])],
  ['MQIsdp', new Set([3])],
]);

/**
 * Reads what follows the fixed header. What needs more than the packet (an empty client id without a clean session, a method of
 * authentication that is not spoken) is for the server to answer.
 */
export function readConnect(reader: ByteReader): ConnectPacket {
  const protocolVersion = readProtocol(reader);
  reader.version = protocolVersion;
  const flags = reader.readByte();
  checkFlags(reader, flags);
  const keepAlive = reader.readUint16();
  const properties = protocolVersion === 5 ? readProperties(reader, 'connect') : undefined;
  if (
    properties?.authenticationData !== undefined &&
    properties.authenticationMethod === undefined
  ) {
    reader.refuse('dataWithoutMethod');
  }
  const clientId = reader.readText();
  const will = (flags & willBit) === 0 ? undefined : readWill(reader, flags);
  const username = (flags & usernameBit) === 0 ? undefined : reader.readText();
  const password = (flags & passwordBit) === 0 ? undefined : reader.readBinary();
  return {
    type: 'connect',
    protocolVersion,
    clean: (flags & cleanBit) !== 0,
    keepAlive,
    clientId,
    will,
    username,
    password,
    properties,
  };
}

function readProtocol(reader: ByteReader): ProtocolVersion {
  const length = reader.readUint16();
  const start = reader.at;
  // Compared as bytes: nothing is decoded before it is known to be MQTT at all.
  const name =
    length > 6 ? '' : reader.bytes.toString('latin1', start, Math.min(start + length, reader.end));
  const levels = levelsOfName.get(name);
  if (levels === undefined) reader.refuse('protocolName');
  reader.at = start + length;
  const level = reader.readByte();
  if (!levels.has(level)) reader.refuse('protocolLevel', { found: String(level) });
  return level as ProtocolVersion;
}

function checkFlags(reader: ByteReader, flags: number): void {
  const { version } = reader;
  if ((flags & reservedBit) !== 0 && version !== 3) reader.refuse('connectFlag');
  const willQos = (flags >> willQosShift) & 3;
  if ((flags & willBit) === 0) {
    if (willQos !== 0) reader.refuse('willQosAlone');
    if ((flags & willRetainBit) !== 0) reader.refuse('willRetainAlone');
  } else if (willQos === 3) {
    reader.refuse('willQos');
  }
  if (version !== 5 && (flags & usernameBit) === 0 && (flags & passwordBit) !== 0) {
    reader.refuse('passwordAlone');
  }
}

function readWill(reader: ByteReader, flags: number): Will {
  const properties = reader.version === 5 ? readProperties(reader, 'will') : undefined;
  const topic = reader.readTopicName();
  if (topic === '') reader.refuse('emptyTopic', { found: 'that of the will' });
  const payload = reader.readWillPayload();
  if (properties?.payloadFormatIndicator === true && !isUtf8(payload)) {
    reader.refuse('payloadFormat');
  }
  return {
    topic,
    payload,
    qos: ((flags >> willQosShift) & 3) as QoS,
    retain: (flags & willRetainBit) !== 0,
    properties,
  };
}
