// Which reason codes a packet may carry (MQTT 5 §2.4 and the packets' own tables), and which clause says so.
import type { Packet } from './packets.ts';

export type ReasonedType = Extract<Packet, { reasonCode: number }>['type'] | 'suback' | 'unsuback';

interface ReasonRow {
  readonly clause: string;
  /** What a client may send. */
  readonly client: ReadonlySet<number>;
  /** What a server may send. */
  readonly server: ReadonlySet<number>;
}

const both = (clause: string, codes: readonly number[]): ReasonRow => {
  const set = new Set(codes);
  return { clause, client: set, server: set };
};

const received = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const released = [0x00, 0x92];
const fromBoth = [0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
const fromServer = [
  0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

export const reasonCodes: Readonly<Record<ReasonedType, ReasonRow>> = {
  connack: both(
    'MQTT-3.2.2-8',
    [
      0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95,
      0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
    ],
  ),
  puback: both('MQTT-3.4.2-1', received),
  pubrec: both('MQTT-3.5.2-1', received),
  pubrel: both('MQTT-3.6.2-1', released),
  pubcomp: both('MQTT-3.7.2-1', released),
  suback: both(
    'MQTT-3.9.3-2',
    [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  ),
  unsuback: both('MQTT-3.11.3-2', [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  disconnect: {
    clause: 'MQTT-3.14.2-1',
    client: new Set([...fromBoth, 0x04]),
    server: new Set([...fromBoth, ...fromServer]),
  },
  auth: {
    clause: 'MQTT-3.15.2-1',
    client: new Set([0x18, 0x19]),
    server: new Set([0x00, 0x18]),
  },
};

const acceptedOrRefused311 = new Set([0, 1, 2, 3, 4, 5]);
const granted311 = new Set([0, 1, 2, 0x80]);

/** The codes of MQTT 3.1.1, where only CONNACK and SUBACK have any. */
export const returnCodes311: Readonly<Record<'connack' | 'suback', ReasonRow>> = {
  connack: {
    clause: 'MQTT 3.1.1 §3.2.2.3',
    client: acceptedOrRefused311,
    server: acceptedOrRefused311,
  },
  suback: { clause: 'MQTT-3.9.3-2', client: granted311, server: granted311 },
};
