// CONNACK, the acknowledgements, DISCONNECT and AUTH: a reason code that may be missing, then properties that may be missing.
import type { ByteReader } from './byte-reader.ts';
import type {
  AcknowledgementPacket,
  AuthPacket,
  ConnackPacket,
  DisconnectPacket,
  SubackPacket,
  UnsubackPacket,
} from './packets.ts';
import { reasonCodes, returnCodes311, type ReasonedType } from './reason-codes.ts';
import { readProperties } from './read-properties.ts';

const sessionPresentBit = 0x01;

export function readConnack(reader: ByteReader): ConnackPacket {
  const flags = reader.readByte();
  if (flags > sessionPresentBit) reader.refuse('connackFlags');
  const sessionPresent = flags === sessionPresentBit;
  const reasonCode = readReasonCode(reader, 'connack');
  if (sessionPresent && reasonCode !== 0) reader.refuse('refusedSession');
  const properties = reader.version === 5 ? readProperties(reader, 'connack') : undefined;
  return { type: 'connack', sessionPresent, reasonCode, properties };
}

export function readAcknowledgement<Type extends 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'>(
  reader: ByteReader,
  type: Type,
): AcknowledgementPacket<Type> {
  const packetId = reader.readPacketId();
  // MQTT 5 §3.4.2.1: without a reason code it is 0, and a remaining length below 4 has no properties.
  const isShort = reader.version !== 5 || reader.isAtEnd;
  const reasonCode = isShort ? 0 : readReasonCode(reader, type);
  const properties = reader.isAtEnd || isShort ? undefined : readProperties(reader, type);
  return { type, packetId, reasonCode, properties };
}

export function readSuback(reader: ByteReader): SubackPacket {
  const packetId = reader.readPacketId();
  const properties = reader.version === 5 ? readProperties(reader, 'suback') : undefined;
  return { type: 'suback', packetId, reasonCodes: readReasonCodes(reader, 'suback'), properties };
}

export function readUnsuback(reader: ByteReader): UnsubackPacket {
  const packetId = reader.readPacketId();
  if (reader.version !== 5)
    return { type: 'unsuback', packetId, reasonCodes: [], properties: undefined };
  const properties = readProperties(reader, 'unsuback');
  return {
    type: 'unsuback',
    packetId,
    reasonCodes: readReasonCodes(reader, 'unsuback'),
    properties,
  };
}

/** In MQTT 3.1.1 it is empty (§3.14). */
export function readDisconnect(reader: ByteReader): DisconnectPacket {
  const isShort = reader.version !== 5 || reader.isAtEnd;
  const reasonCode = isShort ? 0 : readReasonCode(reader, 'disconnect');
  const properties = reader.isAtEnd || isShort ? undefined : readProperties(reader, 'disconnect');
  const { from } = reader.limits;
  if (from === 'server' && properties?.sessionExpiryInterval !== undefined) {
    reader.refuse('misplacedProperty', {
      clause: 'MQTT-3.14.2-2',
      found: 'sessionExpiryInterval from a server',
    });
  }
  if (from === 'client' && properties?.serverReference !== undefined) {
    reader.refuse('misplacedProperty', {
      clause: 'MQTT 5 §3.14.2.2.5',
      found: 'serverReference from a client',
    });
  }
  return { type: 'disconnect', reasonCode, properties };
}

export function readAuth(reader: ByteReader): AuthPacket {
  const reasonCode = reader.isAtEnd ? 0 : readReasonCode(reader, 'auth');
  const properties = reader.isAtEnd ? undefined : readProperties(reader, 'auth');
  if (reasonCode !== 0 || properties !== undefined) {
    if (properties?.authenticationMethod === undefined) reader.refuse('noMethod');
  } else if (reader.limits.from === 'client') {
    reader.refuse('reasonCode', { clause: reasonCodes.auth.clause, found: 'auth 0x00' });
  }
  return { type: 'auth', reasonCode, properties };
}

function readReasonCodes(reader: ByteReader, type: 'suback' | 'unsuback'): number[] {
  const codes: number[] = [];
  while (!reader.isAtEnd) codes.push(readReasonCode(reader, type));
  return codes;
}

function readReasonCode(reader: ByteReader, type: ReasonedType): number {
  const code = reader.readByte();
  const has311 = reader.version !== 5 && (type === 'connack' || type === 'suback');
  const row = has311 ? returnCodes311[type] : reasonCodes[type];
  if (!row[reader.limits.from].has(code)) {
    reader.refuse('reasonCode', {
      clause: row.clause,
      found: `${type} 0x${code.toString(16).padStart(2, '0')}`,
    });
  }
  return code;
}
