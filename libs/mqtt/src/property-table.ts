// The properties of MQTT 5 §2.2.2.2 as data: identifier, encoding, and the packets that may carry it.
import type { Packet, Properties } from './packets.ts';

/** Where properties stand: in a packet of a type, or in the will of a CONNECT. */
export type PropertyPlace = Exclude<Packet['type'], 'pingreq' | 'pingresp'> | 'will';

export type PropertyKind =
  'flag' | 'byte' | 'uint16' | 'uint32' | 'variable' | 'text' | 'topic' | 'binary' | 'pair';

/** `subscriptionIdentifiers` is what several of identifier 0x0b become in a PUBLISH. */
export type PropertyName = Exclude<keyof Properties, 'subscriptionIdentifiers'>;

export interface PropertyRow {
  readonly identifier: number;
  readonly name: PropertyName;
  readonly kind: PropertyKind;
  readonly places: readonly PropertyPlace[];
  /** 0 is not allowed. */
  readonly positive?: true;
  /** Where it is in the text. */
  readonly section: string;
}

const acknowledgements: readonly PropertyPlace[] = [
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'suback',
  'unsuback',
];
const message: readonly PropertyPlace[] = ['publish', 'will'];

const row = (
  identifier: number,
  name: PropertyName,
  kind: PropertyKind,
  places: readonly PropertyPlace[],
  section: string,
): PropertyRow => ({ identifier, name, kind, places, section });

const positive = (from: PropertyRow): PropertyRow => ({ ...from, positive: true });

export const propertyRows: readonly PropertyRow[] = [
  row(0x01, 'payloadFormatIndicator', 'flag', message, '3.3.2.3.2'),
  row(0x02, 'messageExpiryInterval', 'uint32', message, '3.3.2.3.3'),
  row(0x03, 'contentType', 'text', message, '3.3.2.3.9'),
  row(0x08, 'responseTopic', 'topic', message, '3.3.2.3.5'),
  row(0x09, 'correlationData', 'binary', message, '3.3.2.3.6'),
  positive(row(0x0b, 'subscriptionIdentifier', 'variable', ['publish', 'subscribe'], '3.8.2.1.2')),
  row(0x11, 'sessionExpiryInterval', 'uint32', ['connect', 'connack', 'disconnect'], '3.1.2.11.2'),
  row(0x12, 'assignedClientIdentifier', 'text', ['connack'], '3.2.2.3.7'),
  row(0x13, 'serverKeepAlive', 'uint16', ['connack'], '3.2.2.3.14'),
  row(0x15, 'authenticationMethod', 'text', ['connect', 'connack', 'auth'], '3.1.2.11.9'),
  row(0x16, 'authenticationData', 'binary', ['connect', 'connack', 'auth'], '3.1.2.11.10'),
  row(0x17, 'requestProblemInformation', 'flag', ['connect'], '3.1.2.11.7'),
  row(0x18, 'willDelayInterval', 'uint32', ['will'], '3.1.3.2.2'),
  row(0x19, 'requestResponseInformation', 'flag', ['connect'], '3.1.2.11.6'),
  row(0x1a, 'responseInformation', 'text', ['connack'], '3.2.2.3.15'),
  row(0x1c, 'serverReference', 'text', ['connack', 'disconnect'], '3.2.2.3.16'),
  row(
    0x1f,
    'reasonString',
    'text',
    ['connack', ...acknowledgements, 'disconnect', 'auth'],
    '3.2.2.3.9',
  ),
  positive(row(0x21, 'receiveMaximum', 'uint16', ['connect', 'connack'], '3.1.2.11.3')),
  row(0x22, 'topicAliasMaximum', 'uint16', ['connect', 'connack'], '3.1.2.11.5'),
  positive(row(0x23, 'topicAlias', 'uint16', ['publish'], '3.3.2.3.4')),
  row(0x24, 'maximumQoS', 'byte', ['connack'], '3.2.2.3.4'),
  row(0x25, 'retainAvailable', 'flag', ['connack'], '3.2.2.3.5'),
  row(
    0x26,
    'userProperties',
    'pair',
    [
      'connect',
      'connack',
      ...message,
      ...acknowledgements,
      'subscribe',
      'unsubscribe',
      'disconnect',
      'auth',
    ],
    '3.1.2.11.8',
  ),
  positive(row(0x27, 'maximumPacketSize', 'uint32', ['connect', 'connack'], '3.1.2.11.4')),
  row(0x28, 'wildcardSubscriptionAvailable', 'flag', ['connack'], '3.2.2.3.11'),
  row(0x29, 'subscriptionIdentifiersAvailable', 'flag', ['connack'], '3.2.2.3.12'),
  row(0x2a, 'sharedSubscriptionAvailable', 'flag', ['connack'], '3.2.2.3.13'),
];

const highestIdentifier = 0x2a;

/** By identifier; undefined where there is none. */
export const propertyByIdentifier: readonly (PropertyRow | undefined)[] = Array.from(
  { length: highestIdentifier + 1 },
  (_, identifier) => propertyRows.find((property) => property.identifier === identifier),
);

/** What each place takes, in the order of the identifiers. */
export const rowsOfPlace: ReadonlyMap<PropertyPlace, readonly PropertyRow[]> = new Map(
  [...new Set(propertyRows.flatMap((property) => property.places))].map((place) => [
    place,
    propertyRows.filter((property) => property.places.includes(place)),
  ]),
);
