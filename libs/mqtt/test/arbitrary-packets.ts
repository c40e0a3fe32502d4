// Every packet that MQTT 3.1.1 and 5 allow, drawn at random: for property tests here and for the fuzzers.
import fc from 'fast-check';
import type { Packet, ProtocolVersion, Will } from '../src/index.ts';
import type { Properties, Subscription } from '../src/packets.ts';
import { rowsOfPlace, type PropertyPlace, type PropertyRow } from '../src/property-table.ts';
import { reasonCodes, returnCodes311, type ReasonedType } from '../src/reason-codes.ts';

type Sender = 'client' | 'server';

const letters = Array.from('abcXYZ019 .-_$%é€\u{1f321}\ufeff');
const word = fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 });
const level = fc.string({ unit: fc.constantFrom(...letters), maxLength: 6 });
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const packetId = fc.integer({ min: 1, max: 65_535 });

export const topicName = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic !== '');

const plainFilter = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: level }, fc.constant('+')), {
      minLength: 1,
      maxLength: 6,
    }),
    fc.boolean(),
  )
  .map(([levels, open]) => (open ? [...levels, '#'] : levels).join('/'))
  .filter((filter) => filter !== '' && !filter.startsWith('$share'));

const sharedFilter = fc
  .tuple(
    level.filter((name) => name !== ''),
    plainFilter,
  )
  .map(([group, filter]) => `$share/${group}/${filter}`);

function valueOf(row: PropertyRow): fc.Arbitrary<unknown> {
  const min = row.positive === true ? 1 : 0;
  switch (row.kind) {
    case 'flag':
      return fc.boolean();
    case 'byte':
      return fc.constantFrom(0, 1);
    case 'uint16':
      return fc.integer({ min, max: 65_535 });
    case 'uint32':
      return fc.integer({ min, max: 0xffff_ffff });
    case 'variable':
      return fc.integer({ min, max: 268_435_455 });
    case 'binary':
      return bytes(20);
    case 'topic':
      return topicName;
    case 'text':
      return word;
    case 'pair':
      return fc.array(fc.tuple(fc.oneof(word, fc.constant('__proto__')), word), {
        minLength: 1,
        maxLength: 3,
      });
  }
}

/** Any of the properties that may stand at a place, or none; what a sender may not send is left out. */
function propertiesAt(
  place: PropertyPlace,
  version: ProtocolVersion,
  sender: Sender,
): fc.Arbitrary<Properties | undefined> {
  if (version !== 5) return fc.constant(undefined);
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const row of rowsOfPlace.get(place) ?? []) {
    if (place === 'disconnect' && row.name === 'sessionExpiryInterval' && sender === 'server')
      continue;
    if (place === 'disconnect' && row.name === 'serverReference' && sender === 'client') continue;
    if (place === 'publish' && row.name === 'subscriptionIdentifier') {
      if (sender === 'server') {
        model['subscriptionIdentifiers'] = fc.array(valueOf(row), { minLength: 1, maxLength: 3 });
      }
      continue;
    }
    model[row.name] = valueOf(row);
  }
  return fc
    .record(model, { requiredKeys: [] })
    .map((properties) =>
      Object.keys(properties).length === 0 ? undefined : (properties as Properties),
    )
    .map((properties) => {
      if (properties?.authenticationData === undefined || place === 'connack') return properties;
      return { authenticationMethod: 'method', ...properties };
    });
}

/** A payload that keeps what its properties promise. */
const payloadFor = (properties: Properties | undefined): fc.Arbitrary<Buffer> =>
  properties?.payloadFormatIndicator === true ? word.map((text) => Buffer.from(text)) : bytes(60);

const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);

const willIn = (version: ProtocolVersion): fc.Arbitrary<Will> =>
  propertiesAt('will', version, 'client').chain((properties) =>
    fc.record({
      topic: topicName,
      payload: payloadFor(properties),
      qos,
      retain: fc.boolean(),
      properties: fc.constant(properties),
    }),
  );

const connectIn = (version: ProtocolVersion): fc.Arbitrary<Packet> =>
  fc
    .record({
      type: fc.constant('connect' as const),
      protocolVersion: fc.constant(version),
      clean: fc.boolean(),
      keepAlive: fc.integer({ min: 0, max: 65_535 }),
      clientId: word,
      will: fc.option(willIn(version), { nil: undefined }),
      username: fc.option(word, { nil: undefined }),
      password: fc.option(bytes(20), { nil: undefined }),
      properties: propertiesAt('connect', version, 'client'),
    })
    .map((packet) =>
      version !== 5 && packet.username === undefined ? { ...packet, password: undefined } : packet,
    );

const publishIn = (version: ProtocolVersion, sender: Sender): fc.Arbitrary<Packet> =>
  fc.tuple(propertiesAt('publish', version, sender), qos).chain(([properties, level]) =>
    fc.record({
      type: fc.constant('publish' as const),
      qos: fc.constant(level),
      dup: level === 0 ? fc.constant(false) : fc.boolean(),
      retain: fc.boolean(),
      topic:
        properties?.topicAlias === undefined ? topicName : fc.oneof(topicName, fc.constant('')),
      packetId: level === 0 ? fc.constant(0) : packetId,
      payload: payloadFor(properties),
      properties: fc.constant(properties),
    }),
  );

function reasonCode(
  type: ReasonedType,
  version: ProtocolVersion,
  sender: Sender,
): fc.Arbitrary<number> {
  if (version === 5) return fc.constantFrom(...reasonCodes[type][sender]);
  if (type !== 'connack' && type !== 'suback') return fc.constant(0);
  return fc.constantFrom(...returnCodes311[type][sender]);
}

const acknowledgementIn = (
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  version: ProtocolVersion,
  sender: Sender,
): fc.Arbitrary<Packet> =>
  fc.record({
    type: fc.constant(type),
    packetId,
    reasonCode: reasonCode(type, version, sender),
    properties: propertiesAt(type, version, sender),
  });

const subscriptionIn = (version: ProtocolVersion): fc.Arbitrary<Subscription> =>
  fc
    .record({
      filter: fc.oneof(plainFilter, sharedFilter),
      qos,
      noLocal: version === 5 ? fc.boolean() : fc.constant(false),
      retainAsPublished: version === 5 ? fc.boolean() : fc.constant(false),
      retainHandling: version === 5 ? qos : fc.constant(0 as const),
    })
    .map((subscription) => ({
      ...subscription,
      noLocal: subscription.noLocal && !subscription.filter.startsWith('$share'),
    }));

const fromBoth = (version: ProtocolVersion, sender: Sender): fc.Arbitrary<Packet>[] => [
  publishIn(version, sender),
  acknowledgementIn('puback', version, sender),
  acknowledgementIn('pubrec', version, sender),
  acknowledgementIn('pubrel', version, sender),
  acknowledgementIn('pubcomp', version, sender),
  ...(version === 5
    ? [
        fc.record({
          type: fc.constant('auth' as const),
          reasonCode: fc.constantFrom(0x18),
          properties: propertiesAt('auth', version, sender).map((properties) => ({
            authenticationMethod: 'method',
            ...properties,
          })),
        }),
      ]
    : []),
];

const disconnectIn = (version: ProtocolVersion, sender: Sender): fc.Arbitrary<Packet> =>
  fc.record({
    type: fc.constant('disconnect' as const),
    reasonCode: reasonCode('disconnect', version, sender),
    properties: propertiesAt('disconnect', version, sender),
  });

/** What a client may send after its CONNECT. */
export const clientPacket = (version: ProtocolVersion): fc.Arbitrary<Packet> =>
  fc.oneof(
    ...fromBoth(version, 'client'),
    fc.record({
      type: fc.constant('subscribe' as const),
      packetId,
      subscriptions: fc.array(subscriptionIn(version), { minLength: 1, maxLength: 5 }),
      properties: propertiesAt('subscribe', version, 'client'),
    }),
    fc.record({
      type: fc.constant('unsubscribe' as const),
      packetId,
      filters: fc.array(fc.oneof(plainFilter, sharedFilter), { minLength: 1, maxLength: 5 }),
      properties: propertiesAt('unsubscribe', version, 'client'),
    }),
    fc.constant({ type: 'pingreq' as const }),
    disconnectIn(version, 'client'),
  );

export const connectPacket = connectIn;

export const publishPacket = (version: ProtocolVersion): fc.Arbitrary<Packet> =>
  publishIn(version, 'client');

export const serverPacket = (version: ProtocolVersion): fc.Arbitrary<Packet> =>
  fc.oneof(
    ...fromBoth(version, 'server'),
    reasonCode('connack', version, 'server').chain((code) =>
      fc.record({
        type: fc.constant('connack' as const),
        sessionPresent: code === 0 ? fc.boolean() : fc.constant(false),
        reasonCode: fc.constant(code),
        properties: propertiesAt('connack', version, 'server'),
      }),
    ),
    fc.record({
      type: fc.constant('suback' as const),
      packetId,
      reasonCodes: fc.array(reasonCode('suback', version, 'server'), { maxLength: 5 }),
      properties: propertiesAt('suback', version, 'server'),
    }),
    fc.record({
      type: fc.constant('unsuback' as const),
      packetId,
      reasonCodes: fc.array(reasonCode('unsuback', version, 'server'), {
        maxLength: version === 5 ? 5 : 0,
      }),
      properties: propertiesAt('unsuback', version, 'server'),
    }),
    fc.constant({ type: 'pingresp' as const }),
    ...(version === 5 ? [disconnectIn(version, 'server')] : []),
  );

export const protocolVersion = fc.constantFrom(3 as const, 4 as const, 5 as const);
