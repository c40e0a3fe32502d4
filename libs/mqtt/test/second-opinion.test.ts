// mqtt-packet is another reading of the same text: what both take has to mean the same to both.
import fc from 'fast-check';
import { generate, parser as createParser, type Packet as TheirPacket } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import {
  clientPacketLimits,
  encodePacket,
  readPacket,
  type Packet,
  type ProtocolVersion,
} from '../src/index.ts';
import type { Properties } from '../src/packets.ts';
import { clientPacket, connectPacket, serverPacket } from './arbitrary-packets.ts';

function theirReading(bytes: Buffer, version: ProtocolVersion): TheirPacket {
  const parser = createParser({ protocolVersion: version });
  const packets: TheirPacket[] = [];
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error: Error) => {
    throw error;
  });
  expect(parser.parse(bytes)).toBe(0);
  expect(packets).toHaveLength(1);
  return packets[0]!;
}

/** User properties as mqtt-packet has them: an object, with a list where a name is there twice. */
function grouped(pairs: Properties['userProperties']): Record<string, string | string[]> {
  const result = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of pairs ?? []) {
    const before = result[name];
    if (before === undefined) result[name] = value;
    else result[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return result;
}

function theirProperties(properties: Properties | undefined): object | undefined {
  if (properties === undefined) return undefined;
  const { userProperties, subscriptionIdentifiers, ...rest } = properties;
  return {
    ...rest,
    ...(userProperties === undefined ? {} : { userProperties: grouped(userProperties) }),
    ...(subscriptionIdentifiers === undefined
      ? {}
      : {
          subscriptionIdentifier:
            subscriptionIdentifiers.length === 1
              ? subscriptionIdentifiers[0]
              : subscriptionIdentifiers,
        }),
  };
}

/** Our packet in their words. */
function inTheirWords(packet: Packet, version: ProtocolVersion): object {
  const properties = 'properties' in packet ? theirProperties(packet.properties) : undefined;
  const common = { cmd: packet.type, ...(properties === undefined ? {} : { properties }) };
  switch (packet.type) {
    case 'connect': {
      const { will, username, password, clientId, clean, keepAlive, protocolVersion } = packet;
      const willProperties = theirProperties(will?.properties);
      return {
        ...common,
        protocolVersion,
        clientId,
        clean,
        keepalive: keepAlive,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
        ...(will === undefined
          ? {}
          : {
              will: {
                topic: will.topic,
                payload: will.payload,
                qos: will.qos,
                retain: will.retain,
                ...(willProperties === undefined ? {} : { properties: willProperties }),
              },
            }),
      };
    }
    case 'publish': {
      const { qos, dup, retain, topic, payload, packetId } = packet;
      const id = qos === 0 ? {} : { messageId: packetId };
      return { ...common, qos, dup, retain, topic, payload, ...id };
    }
    case 'subscribe':
      return {
        ...common,
        messageId: packet.packetId,
        subscriptions: packet.subscriptions.map((subscription) => {
          const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription;
          return version === 5
            ? { topic: filter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling }
            : { topic: filter, qos };
        }),
      };
    case 'unsubscribe':
      return { ...common, messageId: packet.packetId, unsubscriptions: packet.filters };
    case 'suback':
      return { ...common, messageId: packet.packetId, granted: packet.reasonCodes };
    case 'unsuback':
      return {
        ...common,
        messageId: packet.packetId,
        ...(version === 5 ? { granted: packet.reasonCodes } : {}),
      };
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return {
        ...common,
        messageId: packet.packetId,
        ...(version === 5 ? { reasonCode: packet.reasonCode } : {}),
      };
    case 'connack':
      return {
        ...common,
        sessionPresent: packet.sessionPresent,
        [version === 5 ? 'reasonCode' : 'returnCode']: packet.reasonCode,
      };
    case 'disconnect':
    case 'auth':
      return { ...common, ...(version === 5 ? { reasonCode: packet.reasonCode } : {}) };
    case 'pingreq':
    case 'pingresp':
      return common;
  }
}

/** What it keeps only the last of, when a name comes twice: such a name, and an empty value. */
const isLost = ([name, value]: readonly [string, string]): boolean =>
  name === '__proto__' || value === '';

function isUnderstood(packet: Packet): boolean {
  const pairs = 'properties' in packet ? (packet.properties?.userProperties ?? []) : [];
  const ofWill = packet.type === 'connect' ? packet.will?.properties?.userProperties : undefined;
  return ![...pairs, ...(ofWill ?? [])].some(isLost);
}

/** It writes no CONNECT without a client id, nor a password alone, though MQTT 5 allows both. */
const canBeWritten = (packet: Packet): boolean =>
  packet.type !== 'connect' ||
  (packet.clientId !== '' && (packet.username !== undefined || packet.password === undefined));

const packetsOf = (from: 'client' | 'server'): fc.Arbitrary<{ packet: Packet; version: 4 | 5 }> =>
  fc
    .constantFrom(4 as const, 5 as const)
    .chain((version) =>
      (from === 'client'
        ? fc.oneof(clientPacket(version), connectPacket(version))
        : serverPacket(version)
      ).map((packet) => ({ packet, version })),
    )
    .filter(({ packet }) => isUnderstood(packet));

describe('mqtt-packet', () => {
  it('reads what encodePacket writes as what was meant', () => {
    fc.assert(
      fc.property(fc.oneof(packetsOf('client'), packetsOf('server')), ({ packet, version }) => {
        const theirs = theirReading(encodePacket(packet, version), version);
        expect(theirs).toMatchObject(inTheirWords(packet, version));
      }),
      { numRuns: 1500 },
    );
  });

  it('writes what readPacket reads as what was meant', () => {
    fc.assert(
      fc.property(
        packetsOf('client').filter(({ packet }) => canBeWritten(packet)),
        ({ packet, version }) => {
          const theirs = generate(inTheirWords(packet, version) as TheirPacket, {
            protocolVersion: version,
          });
          const read = readPacket(theirs, 0, theirs.length, version, clientPacketLimits);
          expect(inTheirWords(read, version)).toEqual(inTheirWords(packet, version));
        },
      ),
      { numRuns: 1500 },
    );
  });
});
