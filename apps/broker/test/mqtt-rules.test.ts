// What a client sees when it breaks a rule of MQTT, over a real connection: CONNACK or DISCONNECT with a reason in MQTT 5, the plain
// end in MQTT 3.1.1 (§4.8). The rules and their packets are those that libs/mqtt holds its reader against.
import { encodePacket, type ConnectPacket, type Packet, type PublishPacket } from '@keyline/mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  connect,
  join,
  packet,
  properties,
  publish5,
  text,
  uint16,
  uint32,
} from '../../../libs/mqtt/test/raw-packet.ts';
import { refusalCases } from '../../../libs/mqtt/test/refusal-cases.ts';
import { StrictWire } from './support/strict-wire.ts';
import { TestBroker } from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
/** May publish and subscribe to everything, so that nothing but MQTT's rules stands in its way. */
let client: TestCertificate;
let observers: StrictWire[];
const wires: StrictWire[] = [];

const patience = 10_000;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.device('client');
  await broker.control(
    ...['publishClientSend', 'subscribePattern', 'publishClientReceive'].map((acltype) => ({
      ...{ command: 'addRoleACL', rolename: 'role-client', acltype },
      ...{ topic: '#', allow: true, priority: 1 },
    })),
  );
  observers = [await observe(4), await observe(5)];
});

afterEach(() => {
  for (const wire of wires.splice(0)) wire.cut();
});

afterAll(async () => {
  for (const observer of observers) observer.cut();
  await broker.stop();
});

async function open(version: 4 | 5): Promise<StrictWire> {
  const wire = await StrictWire.open(
    { port: broker.port, ca: broker.pki.ca.cert },
    client,
    version,
  );
  wires.push(wire);
  return wire;
}

const hello = (version: 4 | 5, more: Partial<ConnectPacket> = {}): Buffer =>
  encodePacket(
    {
      type: 'connect',
      protocolVersion: version,
      clean: true,
      keepAlive: 60,
      clientId: 'client:rules',
      ...more,
    },
    version,
  );

async function openSession(version: 4 | 5, more: Partial<ConnectPacket> = {}): Promise<StrictWire> {
  const wire = await open(version);
  wire.send(hello(version, more));
  await wire.until(({ type }) => type === 'connack', patience);
  expect(wire.packets).toMatchObject([{ type: 'connack', reasonCode: 0 }]);
  return wire;
}

/** Subscribes to everything, and stays to the end of this file. */
async function observe(version: 4 | 5): Promise<StrictWire> {
  const wire = await openSession(version, { clientId: `client:observer${version}` });
  wires.splice(0);
  const subscription = { filter: '#', qos: 0, noLocal: false } as const;
  wire.send(
    encodePacket(
      {
        type: 'subscribe',
        packetId: 1,
        subscriptions: [{ ...subscription, retainAsPublished: false, retainHandling: 0 }],
      },
      version,
    ),
  );
  await wire.until(({ type }) => type === 'suback', patience);
  return wire;
}

const ping = encodePacket({ type: 'pingreq' }, 5);
const isPong = ({ type }: Packet): boolean => type === 'pingresp';

/** What came after the CONNACK of a session that is over now. */
async function farewell(wire: StrictWire): Promise<Packet[]> {
  await wire.untilClosed(patience);
  wire.check();
  return wire.packets.slice(1);
}

const disconnect = (reasonCode: number): object[] => [{ type: 'disconnect', reasonCode }];

const isConnect = (bytes: Buffer): boolean => (bytes[0] ?? 0) >> 4 === 1;
const nameOf = (version: number): string => (version === 5 ? 'MQTT 5' : 'MQTT 3.1.1');

describe('A broken rule in a session', () => {
  const cases = refusalCases.filter(
    ({ from, refused }) => from !== 'server' && !isConnect(refused),
  );
  for (const { what, rule, clause, code, version, taken, refused } of cases) {
    const spoken = version === 5 ? 5 : 4;
    // An alias alone is right only after it was set.
    const before = rule === 'noTopic' ? publish5(properties(0x23, uint16(1))) : Buffer.alloc(0);
    it(`ends it: ${what}, in ${nameOf(version)} (${clause})`, async () => {
      const good = await openSession(spoken);
      good.send(join(before, taken, ping));
      // A DISCONNECT that is right ends the session too, without a word of ours.
      if (taken[0] !== 0xe0 && taken[0] !== 0xf0) {
        await good.until(isPong, patience);
        expect(good.packets.filter(isPong)).not.toEqual([]);
      }
      good.check();
      const bad = await openSession(spoken);
      bad.send(join(refused, ping));
      expect(await farewell(bad)).toMatchObject(spoken === 5 ? disconnect(code) : []);
    });
  }
});

describe('A broken rule in CONNECT', () => {
  const cases = refusalCases.filter(({ from, refused }) => from !== 'server' && isConnect(refused));
  for (const { what, rule, clause, code, version, refused } of cases) {
    const spoken = version === 5 ? 5 : 4;
    it(`is refused: ${what}, in ${nameOf(version)} (${clause})`, async () => {
      // What names no version that there is, is answered in that of MQTT 3.1.1, which has 0x01 for it.
      const isUnknown = rule === 'protocolName' || rule === 'protocolLevel';
      const names5 = rule === 'wastefulLength';
      const wire = await open(isUnknown ? 4 : names5 ? 5 : spoken);
      wire.send(refused);
      await wire.untilClosed(patience);
      wire.check();
      const connack = { type: 'connack', sessionPresent: false };
      if (isUnknown) expect(wire.packets).toMatchObject([{ ...connack, reasonCode: 1 }]);
      else if (rule === 'reservedFlags') expect(wire.packets).toEqual([]);
      else if (spoken === 5 || names5) {
        expect(wire.packets).toMatchObject([{ ...connack, reasonCode: code }]);
      } else expect(wire.packets).toEqual([]);
    });
  }
});

describe('A rule that takes more than one packet', () => {
  const publish = (packetId: number, more: Partial<PublishPacket> = {}): Buffer =>
    encodePacket(
      {
        ...{ type: 'publish', qos: 2, dup: false, retain: false, topic: 'rules/x', packetId },
        ...{ payload: Buffer.from('x'), ...more },
      },
      5,
    );

  it('ends a connection whose first packet is no CONNECT, without a word (MQTT-3.1.0-1)', async () => {
    for (const first of [ping, packet(0xe0), packet(0x30, text('a'), 'x'), publish(1)]) {
      const wire = await open(4);
      wire.send(first);
      await wire.untilClosed(patience);
      expect(wire.packets).toEqual([]);
    }
  });

  it('ends a session with a second CONNECT, whatever is in it (MQTT-3.1.0-2)', async () => {
    for (const second of [hello(5), hello(4), connect({ level: 9 })]) {
      const wire = await openSession(5);
      wire.send(second);
      expect(await farewell(wire)).toMatchObject(disconnect(0x82));
    }
    const wire = await openSession(4);
    wire.send(hello(4));
    expect(await farewell(wire)).toEqual([]);
  });

  it('refuses an empty client id for a session that stays in MQTT 3.1.1 with 0x02 (MQTT-3.1.3-8)', async () => {
    const wire = await open(4);
    wire.send(hello(4, { clean: false, clientId: '' }));
    await wire.untilClosed(patience);
    expect(wire.packets).toMatchObject([{ type: 'connack', reasonCode: 2, sessionPresent: false }]);
    await openSession(4, { clean: true, clientId: '' });
  });

  it('refuses a method of authentication that it does not speak with 0x8C (MQTT-4.12.0-1)', async () => {
    const wire = await open(5);
    wire.send(hello(5, { properties: { authenticationMethod: 'SCRAM-SHA-256' } }));
    await wire.untilClosed(patience);
    expect(wire.packets).toMatchObject([{ type: 'connack', reasonCode: 0x8c }]);
  });

  it('ends a session with AUTH that began without a method (MQTT-4.12.0-6)', async () => {
    const wire = await openSession(5);
    wire.send(packet(0xf0, 0x19, properties(0x15, text('SCRAM-SHA-256'))));
    expect(await farewell(wire)).toMatchObject(disconnect(0x82));
  });

  it('takes topic aliases up to the maximum it said, and no other (MQTT-3.3.2-9)', async () => {
    const wire = await openSession(5);
    const [connack] = wire.packets;
    const most = connack?.type === 'connack' ? (connack.properties?.topicAliasMaximum ?? 0) : 0;
    expect(most).toBeGreaterThan(0);
    const aliased = (topicAlias: number, topic = 'rules/x'): Buffer =>
      publish(0, { qos: 0, topic, properties: { topicAlias } });
    wire.send(join(aliased(most), aliased(most, ''), ping));
    await wire.until(isPong, patience);
    wire.send(aliased(most + 1));
    expect((await farewell(wire)).slice(1)).toMatchObject(disconnect(0x94));
  });

  it('ends a session that uses a topic alias it never set (MQTT 5 §3.3.4)', async () => {
    const wire = await openSession(5);
    wire.send(publish(0, { qos: 0, topic: '', properties: { topicAlias: 3 } }));
    expect(await farewell(wire)).toMatchObject([
      { type: 'disconnect', reasonCode: expect.toBeOneOf([0x82, 0x94]) as number },
    ]);
  });

  it('takes as many messages at once as the receive maximum it said, and not one more (MQTT-3.3.4-9)', async () => {
    const wire = await openSession(5);
    const [connack] = wire.packets;
    const most = connack?.type === 'connack' ? (connack.properties?.receiveMaximum ?? 65_535) : 0;
    wire.send(join(...Array.from({ length: most }, (_, at) => publish(at + 1)), ping));
    await wire.until(isPong, patience);
    expect(wire.packets.filter(({ type }) => type === 'pubrec')).toHaveLength(most);
    wire.send(publish(most + 1));
    expect((await farewell(wire)).at(-1)).toMatchObject({ type: 'disconnect', reasonCode: 0x93 });
  });

  it('ends a session with a packet above the maximum packet size it said, at its first bytes (MQTT-3.2.2-15)', async () => {
    const wire = await openSession(5);
    const [connack] = wire.packets;
    const most = connack?.type === 'connack' ? (connack.properties?.maximumPacketSize ?? 0) : 0;
    const header = packet(0x30, text('rules/x'), properties(), Buffer.alloc(most));
    wire.send(header.subarray(0, 10));
    expect(await farewell(wire)).toMatchObject(disconnect(0x95));
  });

  it('ends a session whose DISCONNECT sets an expiry that its CONNECT had not (MQTT 5 §3.14.2.2.2)', async () => {
    const wire = await openSession(5);
    wire.send(packet(0xe0, 0, properties(0x11, uint32(10))));
    expect(await farewell(wire)).toMatchObject(disconnect(0x82));
  });

  it('answers PUBREL for a packet identifier that it does not know with 0x92 (MQTT 5 §3.7.2.1)', async () => {
    const wire = await openSession(5);
    wire.send(join(packet(0x62, uint16(77)), ping));
    await wire.until(isPong, patience);
    expect(wire.packets[1]).toMatchObject({ type: 'pubcomp', packetId: 77, reasonCode: 0x92 });
  });

  it('goes on after an acknowledgement of what it never sent', async () => {
    for (const version of [4, 5] as const) {
      const wire = await openSession(version);
      wire.send(join(packet(0x40, uint16(5)), packet(0x70, uint16(6)), ping));
      await wire.until(isPong, patience);
      expect(wire.packets.filter(isPong)).toHaveLength(1);
    }
  });
});

it('sends strict subscribers nothing malformed, whatever all these publishers sent (MQTT 5 §4.13)', async () => {
  const publisher = await openSession(5);
  const last = { topic: 'rules/last', payload: Buffer.from('last') };
  const everything = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 60,
    contentType: 'text/plain',
    responseTopic: 'r/s',
    correlationData: Buffer.from([0, 255]),
    userProperties: [
      ['__proto__', 'a'],
      ['__proto__', 'b'],
    ],
  } as const;
  publisher.send(
    encodePacket(
      {
        ...{ type: 'publish', qos: 1, dup: false, retain: false, packetId: 1 },
        ...{ ...last, properties: everything },
      },
      5,
    ),
  );
  const isLast = (received: Packet): boolean =>
    received.type === 'publish' && received.topic === last.topic;
  for (const observer of observers) {
    await observer.until(isLast, patience);
    observer.check();
    expect(observer.isOpen).toBe(true);
  }
  const [, five] = observers;
  expect(five?.packets.find(isLast)).toMatchObject({ ...last, properties: everything });
  // Nor is anything retained that would cut the next one.
  for (const version of [4, 5] as const) {
    const late = await openSession(version);
    const filter = { filter: '#', qos: 0, noLocal: false } as const;
    late.send(
      encodePacket(
        {
          type: 'subscribe',
          packetId: 1,
          subscriptions: [{ ...filter, retainAsPublished: true, retainHandling: 0 }],
        },
        version,
      ),
    );
    late.send(ping);
    await late.until(isPong, patience);
    late.check();
    expect(late.isOpen).toBe(true);
  }
});
