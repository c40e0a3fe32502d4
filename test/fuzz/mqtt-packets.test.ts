// MQTT 3.1.1 and 5 packets, right and wrong, before and after CONNECT, against the broker as it is shipped.
import fc from 'fast-check';
import { encodePacket, type ConnectPacket, type Packet, type ProtocolVersion } from '@keyline/mqtt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  clientPacket,
  connectPacket,
  publishPacket,
} from '../../libs/mqtt/test/arbitrary-packets.ts';
import { MqttDevice, type MqttIdentity } from '../support/mqtt-device.ts';
import { BrokerParts, BrokerProcess } from './support/broker-process.ts';
import { Dice } from './support/dice.ts';
import { fuzz, fuzzTimeout, isLongRun } from './support/fuzz.ts';
import { mutateBytes } from './support/mutate-bytes.ts';
import { attackWebSocket } from './support/web-socket-frames.ts';
import { Vitals } from './support/vitals.ts';
import { StrictWire } from '../../apps/broker/test/support/strict-wire.ts';

const rounds = 60;
const connectionsAtOnce = 6;
/** For what no answer comes to: half a packet. */
const patience = 300;

let parts: BrokerParts;
let broker: BrokerProcess;
let rogue: MqttIdentity;
let healthy: MqttDevice;
let observers: StrictWire[];
let vitals: Vitals;

beforeAll(async () => {
  parts = await BrokerParts.create();
  broker = await BrokerProcess.serve(parts, [
    ...['--connect-timeout', '2000', '--max-guesses-per-address', '1000000'],
    ...['--max-guesses-per-name', '1000000'],
  ]);
  rogue = await broker.device('rogue', { password: login.password });
  healthy = await MqttDevice.connect(broker.address, await broker.device('healthy'));
  await healthy.subscribe('healthy/echo');
  const watcher = await broker.device('watcher');
  observers = [await observe(watcher, 4), await observe(watcher, 5)];
  vitals = new Vitals(
    {
      name: 'the broker',
      pid: () => broker.pid,
      death: () => (broker.isAlive ? undefined : broker.end),
      serve: async () => {
        await healthy.publish('healthy/echo', 'still there');
        expect(await healthy.take('healthy/echo')).toBe('still there');
      },
      metrics: () => broker.metrics(),
      errors: () => broker.lines.filter(({ level }) => level >= 50),
    },
    isLongRun,
  );
});

afterAll(async () => {
  console.log(vitals.report());
  vitals.close();
  await healthy.close();
  for (const observer of observers) observer.cut();
  await broker.stop();
  await parts.remove();
});

const target = (): { port: number; ca: string } => ({
  port: broker.ports.port,
  ca: broker.address.ca,
});

const proofOf = ({ certificate, key }: MqttIdentity): { cert: string; key: string } => ({
  cert: certificate,
  key,
});

/** Somebody who subscribed to everything and believes nothing: what a publisher sends must not make what it gets malformed. */
async function observe(identity: MqttIdentity, version: 4 | 5): Promise<StrictWire> {
  const wire = await StrictWire.open(target(), proofOf(identity), version);
  wire.send(
    encodePacket(
      {
        type: 'connect',
        protocolVersion: version,
        clean: true,
        keepAlive: 0,
        clientId: `watcher:${version}`,
      },
      version,
    ),
  );
  const filter = {
    filter: '#',
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
  } as const;
  wire.send(
    encodePacket(
      { type: 'subscribe', packetId: 1, subscriptions: [{ ...filter, qos: 0 }] },
      version,
    ),
  );
  await wire.until(({ type }) => type === 'suback', 10_000);
  expect(wire.packets.map(({ type }) => type)).toContain('suback');
  return wire;
}

const draw = <Value>(arbitrary: fc.Arbitrary<Value>, dice: Dice, count: number): Value[] =>
  fc.sample(arbitrary, { seed: dice.seed(), numRuns: count });

/** Mostly one that is let in: behind a refusal nothing more is tried. */
function drawConnect(version: ProtocolVersion, dice: Dice): ConnectPacket {
  const [packet] = draw(connectPacket(version), dice, 1) as ConnectPacket[];
  const { will, properties, ...rest } = packet!;
  const clientId = dice.happens(0.9) ? `rogue:${dice.below(4)}` : rest.clientId;
  const { authenticationMethod, authenticationData, ...plain } = properties ?? {};
  return {
    ...rest,
    clientId,
    will: will && tame(will, dice),
    properties: dice.happens(0.9) ? plain : properties,
  };
}

const login = { username: 'rogue', password: 'correct horse' };

/** Right more often than not: wrong guesses are soon refused without being looked at. */
function withLogin(packet: ConnectPacket, dice: Dice): ConnectPacket {
  if (dice.happens(0.1)) return packet;
  const password = Buffer.from(dice.happens(0.9) ? login.password : 'wrong');
  return { ...packet, username: login.username, password };
}

/** Topics out of few, so that what is kept on purpose (retained messages) has a bound. */
const tame = <Message extends { topic: string }>(message: Message, dice: Dice): Message =>
  message.topic === '' || dice.happens(0.05)
    ? message
    : { ...message, topic: `rogue/${dice.below(20)}` };

/** What ends a session at once is rare, and packet identifiers are few, so that answers meet what they answer. */
function drawPackets(version: ProtocolVersion, dice: Dice): Packet[] {
  const isUsual = fc.oneof({ weight: 2, arbitrary: clientPacket(version) }, publishPacket(version));
  return draw(isUsual, dice, 1 + dice.below(20))
    .filter(({ type }) => (type !== 'auth' && type !== 'disconnect') || dice.happens(0.1))
    .map((packet) => (packet.type === 'publish' ? tame(packet, dice) : packet))
    .map((packet) =>
      'packetId' in packet && packet.packetId > 0 && dice.happens(0.8)
        ? { ...packet, packetId: 1 + dice.below(4) }
        : packet,
    );
}

async function attack(dice: Dice): Promise<void> {
  const version = dice.pick([4, 5, 5, 3] as const);
  // One wrong packet ends a session, and nothing behind it is tried.
  const wildness = dice.pick([0, 0.05, 0.3]);
  // On the port for passwords nobody has shown anything before the first packet.
  const withPassword = dice.happens(0.2);
  const drawn = drawConnect(version, dice);
  const connect = encodePacket(withPassword ? withLogin(drawn, dice) : drawn, version);
  const packets = drawPackets(version, dice).map((packet) => encodePacket(packet, version));
  const isFirstWrong = dice.happens(0.25);
  const first = isFirstWrong ? mutateBytes(connect, dice, packets) : connect;
  if (dice.happens(0.15)) {
    const bent = packets.map((packet) =>
      dice.happens(wildness) ? mutateBytes(packet, dice, packets) : packet,
    );
    const place = { port: broker.ports.webSocketPort, ca: target().ca, ...proofOf(rogue) };
    await attackWebSocket(place, [first, ...bent], dice, patience);
    return;
  }
  const wire = await StrictWire.open(
    withPassword ? { ...target(), port: broker.ports.passwordPort } : target(),
    withPassword ? {} : proofOf(rogue),
    isFirstWrong ? undefined : version,
  );
  if (dice.happens(0.95)) wire.send(first);
  if (dice.happens(0.8))
    await wire.until(({ type }) => type === 'connack', isFirstWrong ? 50 : patience);
  for (const packet of packets) {
    const bytes = dice.happens(wildness) ? mutateBytes(packet, dice, packets) : packet;
    // In pieces as well: a packet may be cut anywhere.
    const cut = dice.happens(0.2) ? dice.below(bytes.length + 1) : bytes.length;
    wire.send(bytes.subarray(0, cut));
    wire.send(bytes.subarray(cut));
  }
  wire.send(encodePacket({ type: 'pingreq' }, version));
  await wire.until(({ type }) => type === 'pingresp', patience);
  wire.cut();
  wire.check();
}

it(
  'survives what any client sends, serves others meanwhile, and passes on nothing malformed',
  { timeout: fuzzTimeout },
  async () => {
    await vitals.look();
    const run = await fuzz('mqtt-packets', rounds, async (dice, round) => {
      const attacks = Array.from({ length: connectionsAtOnce }, () => dice.seed());
      await Promise.all(attacks.map((seed) => attack(new Dice(seed))));
      vitals.assertLife();
      for (const observer of observers) {
        observer.check();
        expect(observer.isOpen).toBe(true);
      }
      if (round % 10 === 0) await vitals.look();
    });
    await vitals.look();
    expect(run).toBeGreaterThan(0);
    const value = await broker.metrics();
    expect(value('keyline_broker_faults_total')).toBe(0);
    expect(value('keyline_broker_connection_failures_total')).toBe(0);
  },
);
