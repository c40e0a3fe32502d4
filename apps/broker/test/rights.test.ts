import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { nextMessage, TestBroker } from './support/test-broker.ts';
import { runTool } from './support/run-tool.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
let one: TestCertificate;
let two: TestCertificate;

beforeAll(async () => {
  broker = await TestBroker.start();
  one = await broker.device('one');
  two = await broker.device('two');
});

afterAll(() => broker.stop());

describe.each([4, 5] as const)('rights over MQTT version %i', (protocolVersion) => {
  it.each([0, 1, 2] as const)('deliver what is allowed with QoS %i', async (qos) => {
    const client = await broker.connect(one, { protocolVersion, clientId: 'one' });
    await client.subscribeAsync('devices/one/#', { qos });
    const message = nextMessage(client);
    await client.publishAsync('devices/one/telemetry', 'hello', { qos });
    expect(await message).toEqual({ topic: 'devices/one/telemetry', text: 'hello' });
    await client.endAsync();
  });

  it('deny a publish to a foreign topic without ending the connection', async () => {
    const owner = await broker.connect(two, { protocolVersion, clientId: 'two' });
    await owner.subscribeAsync('devices/two/#', { qos: 2 });
    const seen: string[] = [];
    owner.on('message', (_topic, payload) => seen.push(payload.toString()));
    const client = await broker.connect(one, { protocolVersion, clientId: 'one' });
    for (const qos of [0, 1, 2] as const) {
      const result = await client.publishAsync('devices/two/telemetry', 'forged', { qos }).then(
        () => 'acknowledged',
        (error: unknown) => error,
      );
      if (protocolVersion === 5 && qos > 0) expect(result).toMatchObject({ code: 0x87 });
      else expect(result).toBe('acknowledged');
    }
    await client.publishAsync('devices/one/telemetry', 'still here', { qos: 1 });
    expect(client.connected).toBe(true);
    await owner.publishAsync('devices/two/own', 'own', { qos: 2 });
    await expect.poll(() => seen).toEqual(['own']);
    expect(broker.line('message denied')?.msg).toMatch(
      /"one" may not publish to "devices\/two\/telemetry".*role/,
    );
    await Promise.all([client.endAsync(), owner.endAsync()]);
  });

  it('deny a subscription to a foreign filter and grant the other in the same packet', async () => {
    const client = await broker.connect(one, { protocolVersion, clientId: 'one' });
    const granted = await new Promise<number[]>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'suback') resolve(packet.granted as number[]);
      });
      client.subscribe(['devices/two/#', 'devices/one/commands', '#'], { qos: 1 }, () => undefined);
    });
    const denied = protocolVersion === 5 ? 0x87 : 0x80;
    expect(granted).toEqual([denied, 1, denied]);
    await client.endAsync();
  });
});

it('counts denials in the metrics', async () => {
  const text = await broker.metrics();
  expect(text).toMatch(/keyline_broker_denied_total\{action="publish"\} 6$/m);
  expect(text).toMatch(/keyline_broker_denied_total\{action="subscribe"\} 4$/m);
});

it('end live subscriptions when the right to them goes, and leave the others', async () => {
  const allowEverybody = (allow: boolean): Promise<unknown> =>
    broker.control({
      command: 'setDefaultACLAccess',
      acls: [
        { acltype: 'subscribe', allow },
        { acltype: 'publishClientReceive', allow: true },
      ],
    });
  await allowEverybody(true);
  const client = await broker.connect(one, { clientId: 'one' });
  await client.subscribeAsync(['devices/two/#', 'devices/one/#'], { qos: 1 });
  const sender = await broker.connect(two, { clientId: 'two' });
  const first = nextMessage(client);
  await sender.publishAsync('devices/two/x', 'a', { qos: 1 });
  expect(await first).toEqual({ topic: 'devices/two/x', text: 'a' });

  await allowEverybody(false);
  expect(broker.line('subscriptions ended')).toMatchObject({
    clientId: 'one',
    filters: ['devices/two/#'],
  });
  const second = nextMessage(client);
  await sender.publishAsync('devices/two/x', 'b', { qos: 1 });
  await client.publishAsync('devices/one/x', 'c', { qos: 1 });
  expect(await second).toEqual({ topic: 'devices/one/x', text: 'c' });
  await Promise.all([client.endAsync(), sender.endAsync()]);
});

describe.skipIf(!has('mosquitto_pub', 'mosquitto_sub'))('Mosquitto’s own clients', () => {
  it('publish and receive over mTLS', async () => {
    const access = (certificate: TestCertificate): string[] => [
      ...['-h', '127.0.0.1', '-p', String(broker.port), '--cafile', broker.pki.ca.certFile],
      ...['--cert', certificate.certFile, '--key', certificate.keyFile, '-q', '1'],
    ];
    // Others of this name subscribed before.
    const linesBefore = broker.lines.length;
    const received = runTool('mosquitto_sub', [
      ...access(two),
      ...['-i', 'two', '-t', 'devices/two/#', '-C', '1', '-W', '10', '-F', '%t %p'],
    ]);
    await expect
      .poll(() =>
        broker.lines
          .slice(linesBefore)
          .some((l) => l.event === 'subscribed' && l['clientId'] === 'two'),
      )
      .toBe(true);
    const sent = await runTool('mosquitto_pub', [
      ...access(two),
      ...['-i', 'two:pub', '-t', 'devices/two/state', '-m', 'on', '-V', 'mqttv5'],
    ]);
    expect(sent).toMatchObject({ code: 0 });
    expect((await received).output).toBe('devices/two/state on\n');
  });
});

it('show the broker’s figures to who may see them, and let nobody write there', async () => {
  await broker.control(
    { command: 'createRole', rolename: 'watch' },
    ...['subscribePattern', 'publishClientReceive', 'publishClientSend'].map((acltype) => ({
      command: 'addRoleACL',
      rolename: 'watch',
      acltype,
      topic: '$SYS/#',
      allow: true,
    })),
    { command: 'addClientRole', username: 'two', rolename: 'watch' },
  );
  const client = await broker.connect(two, { clientId: 'two' });
  const figures = new Map<string, string>();
  client.on('message', (topic, payload) => figures.set(topic, payload.toString()));
  await client.subscribeAsync('$SYS/broker/#');
  await expect.poll(() => figures.get('$SYS/broker/clients/connected')).toMatch(/^\d+$/);
  expect(figures.get('$SYS/broker/uptime')).toMatch(/^\d+ seconds/);
  await expect(
    client.publishAsync('$SYS/broker/uptime', 'forever', { qos: 1 }),
  ).rejects.toMatchObject({ code: 0x87 });
  await client.endAsync();
});
