import { once } from 'node:events';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestBroker } from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
let device: TestCertificate;

beforeAll(async () => {
  broker = await TestBroker.start({ connectTimeout: 500 });
  device = await broker.device('rogue');
});

afterAll(() => broker.stop());

const opening: Packet = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clean: true,
  clientId: 'rogue',
  keepalive: 10,
  will: {
    topic: 'devices/rogue/will',
    payload: Buffer.from('x'),
    qos: 1,
    properties: { willDelayInterval: 1 },
  },
};
const packets: Packet[] = [
  opening,
  {
    cmd: 'publish',
    topic: 'devices/rogue/x',
    payload: 'x',
    qos: 2,
    dup: false,
    retain: true,
    messageId: 4,
    properties: { topicAlias: 3, responseTopic: 'y', userProperties: { a: 'b' } },
  },
  {
    cmd: 'subscribe',
    messageId: 3,
    subscriptions: [
      { topic: 'devices/rogue/#', qos: 1, nl: true },
      { topic: '$share/g/devices/rogue/#', qos: 2 },
    ],
    properties: { subscriptionIdentifier: 4 },
  },
  { cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['devices/rogue/#', '\u0000share/g/x'] },
  { cmd: 'puback', messageId: 3, reasonCode: 0 },
  { cmd: 'pubrec', messageId: 3, reasonCode: 0x80 },
  { cmd: 'pubrel', messageId: 4 },
  { cmd: 'pubcomp', messageId: 9 },
  { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } },
];
const wire = packets.map((packet) => generate(packet, { protocolVersion: 5 }));

/** A few packets in any order, with bytes changed and the end cut off now and then. */
const traffic = fc
  .array(
    fc.record({
      packet: fc.constantFrom(...wire),
      changes: fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }),
      cut: fc.option(fc.nat(40), { freq: 4 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) =>
    Buffer.concat(
      parts.map(({ packet, changes, cut }) => {
        const bytes = Buffer.from(packet);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return cut === null ? bytes : bytes.subarray(0, cut);
      }),
    ),
  );

it('goes on serving whatever a device with a good certificate sends', async () => {
  await fc.assert(
    fc.asyncProperty(traffic, fc.boolean(), async (bytes, greets) => {
      const socket = connect({
        host: '127.0.0.1',
        port: broker.port,
        ca: broker.pki.ca.cert,
        cert: device.cert,
        key: device.key,
      });
      socket.on('error', () => undefined);
      socket.resume();
      await once(socket, 'secureConnect');
      socket.end(Buffer.concat([...(greets ? [wire[0]!] : []), bytes]));
      await once(socket, 'close');
    }),
    { numRuns: 150 },
  );
  const client = await broker.connect(device, { clientId: 'rogue' });
  await client.publishAsync('devices/rogue/alive', '1', { qos: 2 });
  await client.endAsync();
  await expect.poll(() => broker.metrics()).toMatch(/keyline_broker_connections 1\n/);
});
