// One whole packet, bytes to value: strict, bounded by what it says itself and by limits of ours, nothing recursive.
import { ByteReader } from './byte-reader.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import {
  readAcknowledgement,
  readAuth,
  readConnack,
  readDisconnect,
  readSuback,
  readUnsuback,
} from './read-answers.ts';
import { readConnect } from './read-connect.ts';
import type { ReadLimits } from './read-limits.ts';
import { readPublish } from './read-publish.ts';
import { readSubscribe, readUnsubscribe } from './read-subscribe.ts';
import { refuse } from './rules.ts';

const connectType = 1;
const publishType = 3;
const pubrelType = 6;
const subscribeType = 8;
const unsubscribeType = 10;
const authType = 15;

/** By the number of the type: who sends it. */
const senders: readonly ('client' | 'server' | 'both' | undefined)[] = [
  undefined, // 0, reserved
  'client', // CONNECT
  'server', // CONNACK
  'both', // PUBLISH
  'both', // PUBACK
  'both', // PUBREC
  'both', // PUBREL
  'both', // PUBCOMP
  'client', // SUBSCRIBE
  'server', // SUBACK
  'client', // UNSUBSCRIBE
  'server', // UNSUBACK
  'client', // PINGREQ
  'server', // PINGRESP
  'both', // DISCONNECT, from a server in MQTT 5 only
  'both', // AUTH, in MQTT 5 only
];

/**
 * Reads the packet that fills `bytes` from `start` to `end` (as `readPacketLength` says), its fixed header included. Payloads of a
 * PUBLISH are views of `bytes`; everything else is copied.
 *
 * @param version that of the connection; what a CONNECT says of itself takes its place, so any will do before
 * @throws {MalformedPacket} for everything that MQTT does not allow in the packet by itself, and nothing else, whatever the bytes
 * @see MQTT 5 §2 and §3, MQTT 3.1.1 §2 and §3
 */
export function readPacket(
  bytes: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion,
  limits: ReadLimits,
): Packet {
  const first = bytes[start] ?? 0;
  const type = first >> 4;
  const flags = first & 0x0f;
  // Most packets are a PUBLISH with a length of one byte: nothing else is to be looked at in their header.
  if (type === publishType && end - start - 2 === bytes[start + 1] && end - start < 0x82) {
    return readPublish(bytes, flags, start + 2, end, version, limits);
  }
  // A CONNECT is in the version that it names itself.
  const reader = new ByteReader(
    bytes,
    start + 1,
    end,
    type === connectType ? undefined : version,
    limits,
  );
  checkHeader(reader, type, flags);
  const bodyStart = reader.at;
  if (type === publishType) {
    return readPublish(bytes, flags, reader.at, end, version, limits);
  }
  const packet = readBody(reader, type);
  reader.finish();
  if (packet.type === 'connect' && packet.protocolVersion === 5) {
    checkShortest(reader, bytes[bodyStart - 1], bodyStart - start);
  }
  return packet;
}

function checkHeader(reader: ByteReader, type: number, flags: number): void {
  const sender = senders[type];
  if (sender === undefined || (type === authType && reader.version !== 5)) {
    reader.refuse('reservedType', { found: String(type) });
  }
  const isReversed =
    (sender !== 'both' && sender !== reader.limits.from) ||
    (type === 14 && reader.version !== 5 && reader.limits.from === 'server');
  if (isReversed) reader.refuse('wrongDirection', { found: `type ${type}` });
  const isOneWay = type === pubrelType || type === subscribeType || type === unsubscribeType;
  if (type !== publishType && flags !== (isOneWay ? 2 : 0)) reader.refuse('reservedFlags');
  const length = reader.readVariableInteger();
  const rest = reader.end - reader.at;
  if (length > rest) reader.refuse('pastTheEnd');
  if (length < rest) reader.refuse('trailingBytes', { found: String(rest - length) });
}

/** The length of a CONNECT was read before the version was known that wants it in the fewest bytes. */
function checkShortest(reader: ByteReader, last: number | undefined, headerBytes: number): void {
  if (last === 0 && headerBytes > 2) reader.refuse('wastefulLength');
}

function readBody(reader: ByteReader, type: number): Packet {
  switch (type) {
    case connectType:
      return readConnect(reader);
    case 2:
      return readConnack(reader);
    case 4:
      return readAcknowledgement(reader, 'puback');
    case 5:
      return readAcknowledgement(reader, 'pubrec');
    case pubrelType:
      return readAcknowledgement(reader, 'pubrel');
    case 7:
      return readAcknowledgement(reader, 'pubcomp');
    case subscribeType:
      return readSubscribe(reader);
    case 9:
      return readSuback(reader);
    case unsubscribeType:
      return readUnsubscribe(reader);
    case 11:
      return readUnsuback(reader);
    case 12:
      return { type: 'pingreq' };
    case 13:
      return { type: 'pingresp' };
    case 14:
      return readDisconnect(reader);
    case authType:
      return readAuth(reader);
    default:
      return refuse('reservedType', { version: reader.version });
  }
}
