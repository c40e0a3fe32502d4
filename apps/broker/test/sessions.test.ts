import type { IClientOptions, IConnackPacket, IPublishPacket, MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nextMessage, TestBroker } from './support/test-broker.ts';
import { RawClient } from './support/raw-client.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
let device: TestCertificate;
let peer: TestCertificate;
let sender: MqttClient;

const base = 'devices/pump';

beforeAll(async () => {
  broker = await TestBroker.start();
  device = await broker.device('pump');
  peer = await broker.device('peer');
  await broker.control(
    ...['peer', 'pump'].flatMap((name) => [
      ...['publishClientSend', 'subscribePattern', 'publishClientReceive'].map((acltype) => ({
        command: 'addRoleACL',
        rolename: `role-${name}`,
        acltype,
        topic: `${base}/#`,
        allow: true,
      })),
      {
        command: 'addRoleACL',
        rolename: `role-${name}`,
        acltype: 'subscribePattern',
        topic: `$share/+/${base}/#`,
        allow: true,
      },
    ]),
  );
  await connectSender();
});

async function connectSender(): Promise<void> {
  sender = await broker.connect(peer, { clientId: 'peer' });
}

afterAll(() => broker.stop());

/** A session that stays: MQTT 3.1.1's clean session off, MQTT 5's expiry far away. */
const lasting = (version: 4 | 5): IClientOptions =>
  version === 4
    ? { protocolVersion: 4, clean: false }
    : { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3600 } };

interface Come {
  readonly client: MqttClient;
  readonly connack: IConnackPacket;
  readonly packets: IPublishPacket[];
}

/** Connects and collects every PUBLISH from the first on. */
async function come(clientId: string, options: IClientOptions, who = device): Promise<Come> {
  const packets: IPublishPacket[] = [];
  let connack: IConnackPacket | undefined;
  const client = await broker.connect(who, { clientId, ...options }, (fresh) => {
    fresh.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish') packets.push(packet);
      if (packet.cmd === 'connack') connack = packet;
    });
  });
  return { client, connack: connack!, packets };
}

const texts = (packets: readonly IPublishPacket[]): string[] =>
  packets.map(({ payload }) => payload.toString());

async function restart(): Promise<void> {
  await broker.close();
  await broker.open();
  await connectSender();
}

describe.each([4, 5] as const)('a session over MQTT version %i', (version) => {
  const id = `pump:v${String(version)}`;
  const forget = async (): Promise<void> => {
    const { client } = await come(id, { protocolVersion: version, clean: true });
    await client.endAsync();
  };

  it('gets in order, and once, what was sent while it was away', async () => {
    const first = await come(id, lasting(version));
    expect(first.connack.sessionPresent).toBe(false);
    await first.client.subscribeAsync(`${base}/#`, { qos: 2 });
    await first.client.endAsync();
    for (const [index, qos] of ([1, 2, 0, 1, 2] as const).entries()) {
      await sender.publishAsync(`${base}/x`, String(index), { qos });
    }
    const second = await come(id, lasting(version));
    expect(second.connack.sessionPresent).toBe(true);
    // QoS 0 promises nothing to those who are away.
    await expect.poll(() => texts(second.packets)).toEqual(['0', '1', '3', '4']);
    expect(second.packets.map(({ qos }) => qos)).toEqual([1, 2, 1, 2]);
    await second.client.endAsync();
    const third = await come(id, lasting(version));
    await third.client.publishAsync(`${base}/own`, 'nothing twice', { qos: 1 });
    await expect.poll(() => texts(third.packets)).toEqual(['nothing twice']);
    await third.client.endAsync();
    await forget();
  });

  it('survives a restart of the broker with subscriptions and waiting messages', async () => {
    const before = await come(id, lasting(version));
    await before.client.subscribeAsync(`${base}/#`, { qos: 1 });
    await before.client.endAsync();
    await sender.publishAsync(`${base}/x`, 'before', { qos: 1 });
    await restart();
    await sender.publishAsync(`${base}/x`, 'after', { qos: 2 });
    const { client, connack, packets } = await come(id, lasting(version));
    expect(connack.sessionPresent).toBe(true);
    await expect.poll(() => texts(packets)).toEqual(['before', 'after']);
    await client.endAsync();
    await forget();
    await restart();
    const again = await come(id, lasting(version));
    expect(again.connack.sessionPresent).toBe(false);
    await again.client.endAsync();
    await forget();
  });

  it('gets what it did not acknowledge again, marked as a duplicate', async () => {
    const deaf = await RawClient.connect(broker, device, id, version);
    await deaf.subscribe(`${base}/#`, 1);
    await sender.publishAsync(`${base}/x`, 'hear me', { qos: 1 });
    await expect.poll(() => texts(deaf.published)).toEqual(['hear me']);
    await deaf.cut();
    const { client, packets } = await come(id, lasting(version));
    await expect.poll(() => texts(packets)).toEqual(['hear me']);
    expect(packets[0]).toMatchObject({ dup: true, messageId: deaf.published[0]!.messageId! });
    await client.endAsync();
    await forget();
  });

  it('gets one copy with the highest QoS when several of its filters match', async () => {
    const { client, packets } = await come('pump', { protocolVersion: version });
    await client.subscribeAsync({ [`${base}/+`]: { qos: 0 }, [`${base}/#`]: { qos: 1 } });
    await sender.publishAsync(`${base}/x`, 'one', { qos: 2 });
    await sender.publishAsync(`${base}/x/y`, 'two', { qos: 0 });
    await expect
      .poll(() => packets.map(({ payload, qos }) => [payload.toString(), qos]))
      .toEqual([
        ['one', 1],
        ['two', 0],
      ]);
    await client.endAsync();
  });

  it('gets retained messages when it subscribes, with at most the QoS it asked for', async () => {
    await sender.publishAsync(`${base}/kept/a`, 'a', { qos: 1, retain: true });
    await sender.publishAsync(`${base}/kept/b`, 'b', { qos: 1, retain: true });
    await sender.publishAsync(`${base}/kept/b`, '', { qos: 1, retain: true });
    await restart();
    const { client, packets } = await come('pump', { protocolVersion: version });
    await client.subscribeAsync(`${base}/kept/+`, { qos: 0 });
    await sender.publishAsync(`${base}/kept/c`, 'c', { qos: 1 });
    await expect
      .poll(() => packets.map(({ payload, retain, qos }) => [payload.toString(), retain, qos]))
      .toEqual([
        ['a', true, 0],
        ['c', false, 0],
      ]);
    await client.endAsync();
    await sender.publishAsync(`${base}/kept/a`, '', { qos: 1, retain: true });
  });

  it('shares a subscription with others, each message going to one of them', async () => {
    const members = [
      await come('pump:a', { protocolVersion: version }),
      await come('pump:b', { protocolVersion: version }),
    ];
    const bystander = await come('pump:c', { protocolVersion: version });
    expect(members[0]!.connack.properties?.sharedSubscriptionAvailable).not.toBe(false);
    for (const { client } of members) {
      const granted = await client.subscribeAsync(`$share/work/${base}/#`, { qos: 1 });
      expect(granted[0]?.qos).toBe(1);
    }
    await bystander.client.subscribeAsync(`${base}/#`, { qos: 1 });
    for (let index = 0; index < 6; index += 1) {
      await sender.publishAsync(`${base}/job`, String(index), { qos: 1 });
    }
    await expect.poll(() => bystander.packets.length).toBe(6);
    await expect.poll(() => members.map(({ packets }) => packets.length)).toEqual([3, 3]);
    expect(members.flatMap(({ packets }) => texts(packets)).sort()).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
    ]);
    await members[0]!.client.unsubscribeAsync(`$share/work/${base}/#`);
    await sender.publishAsync(`${base}/job`, '6', { qos: 1 });
    await expect.poll(() => members.map(({ packets }) => packets.length)).toEqual([3, 4]);
    for (const { client } of [...members, bystander]) await client.endAsync();
  });

  it('keeps messages of a shared subscription for one member while all are away', async () => {
    const filter = `$share/away/${base}/#`;
    for (const id of ['pump:x', 'pump:y']) {
      const { client } = await come(id, lasting(version));
      await client.subscribeAsync(filter, { qos: 1 });
      await client.endAsync();
    }
    for (const text of ['1', '2']) await sender.publishAsync(`${base}/x`, text, { qos: 1 });
    const back = [await come('pump:x', lasting(version)), await come('pump:y', lasting(version))];
    await expect
      .poll(() => back.flatMap(({ packets }) => texts(packets)).sort())
      .toEqual(['1', '2']);
    for (const { client } of back) {
      await client.unsubscribeAsync(filter);
      await client.endAsync();
    }
  });

  it('needs a right of its own for a shared subscription', async () => {
    const stranger = await broker.device(`lonely-${String(version)}`);
    const name = `lonely-${String(version)}`;
    const { client } = await come(name, { protocolVersion: version }, stranger);
    const granted = await new Promise<number[]>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'suback') resolve(packet.granted as number[]);
      });
      client.subscribe([`$share/g/devices/${name}/#`, `devices/${name}/#`], () => undefined);
    });
    expect(granted).toEqual([version === 5 ? 0x87 : 0x80, 0]);
    await client.endAsync();
  });

  it('loses subscriptions and waiting messages when the right to them goes while it is away', async () => {
    const name = `away-${String(version)}`;
    const certificate = await broker.device(name);
    await broker.control(
      { command: 'createRole', rolename: `extra-${name}` },
      ...['subscribePattern', 'publishClientReceive'].map((acltype) => ({
        command: 'addRoleACL',
        rolename: `extra-${name}`,
        acltype,
        topic: `${base}/#`,
        allow: true,
      })),
      { command: 'addClientRole', username: name, rolename: `extra-${name}` },
    );
    const before = await come(name, lasting(version), certificate);
    await before.client.subscribeAsync([`${base}/#`, `devices/${name}/#`], { qos: 1 });
    await before.client.endAsync();
    await sender.publishAsync(`${base}/x`, 'secret', { qos: 1 });
    await broker.control({
      command: 'removeClientRole',
      username: name,
      rolename: `extra-${name}`,
    });
    await sender.publishAsync(`${base}/x`, 'more', { qos: 1 });
    // Giving the right back does not bring back what was lost with it.
    await broker.control({ command: 'addClientRole', username: name, rolename: `extra-${name}` });
    const { client, connack, packets } = await come(name, lasting(version), certificate);
    expect(connack.sessionPresent).toBe(true);
    await sender.publishAsync(`${base}/x`, 'unheard', { qos: 1 });
    await client.publishAsync(`devices/${name}/x`, 'own', { qos: 1 }).catch(() => undefined);
    await expect.poll(() => texts(packets)).toEqual(['own']);
    await client.endAsync();

    await broker.control({ command: 'deleteClient', username: name });
    await broker.control({ command: 'createClient', username: name });
    const fresh = await come(name, lasting(version), certificate);
    expect(fresh.connack.sessionPresent).toBe(false);
    await fresh.client.endAsync();
  });

  it('sends its will when the connection breaks, and not when it ends well', async () => {
    const watcher = await come('pump:watcher', { protocolVersion: version });
    await watcher.client.subscribeAsync(`${base}/will`, { qos: 1 });
    const will = { topic: `${base}/will`, payload: 'broken', qos: 1 as const, retain: false };
    const well = await come('pump', { protocolVersion: version, will });
    await well.client.endAsync();
    const broken = await come('pump', {
      protocolVersion: version,
      will: { ...will, payload: 'broken indeed' },
    });
    broken.client.stream.destroy();
    await expect.poll(() => texts(watcher.packets)).toEqual(['broken indeed']);
    await watcher.client.endAsync();
  });
});

describe('MQTT 5', () => {
  it('keeps the window that the client gave (Receive Maximum)', async () => {
    const client = await RawClient.connect(broker, device, 'pump', 5, { receiveMaximum: 2 });
    await client.subscribe(`${base}/#`, 1);
    for (let index = 0; index < 5; index += 1) {
      await sender.publishAsync(`${base}/x`, String(index), { qos: 1 });
    }
    await sender.publishAsync(`${base}/x`, 'once', { qos: 0 });
    await expect.poll(() => texts(client.published)).toEqual(['0', '1', 'once']);
    client.send({ cmd: 'puback', messageId: client.published[0]!.messageId! });
    await expect.poll(() => texts(client.published)).toEqual(['0', '1', 'once', '2']);
    for (const index of [1, 3, 4, 5]) {
      await expect.poll(() => client.published.length).toBeGreaterThan(index);
      client.send({ cmd: 'puback', messageId: client.published[index]!.messageId! });
    }
    await expect.poll(() => texts(client.published)).toEqual(['0', '1', 'once', '2', '3', '4']);
    await client.cut();
  });

  it('sends no packet that is larger than the client allows', async () => {
    const { client, packets } = await come('pump', { properties: { maximumPacketSize: 100 } });
    await client.subscribeAsync(`${base}/#`, { qos: 1 });
    await sender.publishAsync(`${base}/x`, 'x'.repeat(100), { qos: 1 });
    await sender.publishAsync(`${base}/x`, 'small', { qos: 1 });
    await expect.poll(() => texts(packets)).toEqual(['small']);
    await client.endAsync();
  });

  it('passes on properties, and every subscription identifier that matched', async () => {
    const { client, packets } = await come('pump', {});
    await client.subscribeAsync(`${base}/+`, {
      qos: 1,
      properties: { subscriptionIdentifier: 7 },
    });
    await client.subscribeAsync(`${base}/#`, {
      qos: 1,
      properties: { subscriptionIdentifier: 9 },
    });
    await sender.publishAsync(`${base}/x`, 'ask', {
      qos: 1,
      properties: {
        responseTopic: `${base}/answer`,
        correlationData: Buffer.from([1, 2, 3]),
        userProperties: { a: 'b' },
        messageExpiryInterval: 60,
      },
    });
    await expect.poll(() => packets.length).toBe(1);
    const { properties } = packets[0]!;
    expect([properties?.subscriptionIdentifier].flat().sort()).toEqual([7, 9]);
    expect(properties).toMatchObject({
      responseTopic: `${base}/answer`,
      correlationData: Buffer.from([1, 2, 3]),
      userProperties: { a: 'b' },
      messageExpiryInterval: 60,
    });
    await client.endAsync();
  });

  it('explains no denial to a client that asked for no explanations', async () => {
    const { client } = await come('pump', { properties: { requestProblemInformation: false } });
    const answer = new Promise<unknown>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'puback') resolve(packet);
      });
    });
    await client.publishAsync('elsewhere', 'x', { qos: 1 }).catch(() => undefined);
    expect(await answer).toMatchObject({ reasonCode: 0x87 });
    expect(await answer).not.toHaveProperty('properties');
    await client.endAsync();
  });

  it('sends a will after its delay, and not when the client is back before', async () => {
    const watcher = await come('pump:watcher', {});
    await watcher.client.subscribeAsync(`${base}/will/#`, { qos: 1 });
    const options = (topic: string): IClientOptions => ({
      clean: false,
      properties: { sessionExpiryInterval: 60 },
      will: {
        ...{ topic: `${base}/will/${topic}`, payload: topic, qos: 1 as const, retain: false },
        properties: { willDelayInterval: 1 },
      },
    });
    const patient = await come('pump:patient', options('patient'));
    const gone = await come('pump:gone', options('gone'));
    patient.client.stream.destroy();
    gone.client.stream.destroy();
    const back = await come('pump:patient', options('patient'));
    await expect.poll(() => texts(watcher.packets), { timeout: 5000 }).toEqual(['gone']);
    await Promise.all([back.client.endAsync(), watcher.client.endAsync()]);
  });

  it('ends a session after its expiry interval, and an expired message with its own', async () => {
    const options = (seconds: number): IClientOptions => ({
      clean: false,
      properties: { sessionExpiryInterval: seconds },
    });
    const short = await come('pump:short', options(1));
    const long = await come('pump:long', options(3600));
    for (const { client } of [short, long]) {
      await client.subscribeAsync(`${base}/#`, { qos: 1 });
      await client.endAsync();
    }
    await sender.publishAsync(`${base}/x`, 'fleeting', {
      qos: 1,
      properties: { messageExpiryInterval: 1 },
    });
    await sender.publishAsync(`${base}/x`, 'lasting', { qos: 1 });
    await expect
      .poll(() => broker.line('session expired')?.['clientId'], { timeout: 60_000 })
      .toBe('pump:short');
    const again = await come('pump:short', options(0));
    expect(again.connack.sessionPresent).toBe(false);
    const back = await come('pump:long', options(0));
    await expect.poll(() => texts(back.packets)).toEqual(['lasting']);
    await Promise.all([again.client.endAsync(), back.client.endAsync()]);
  });

  it('keeps a subscription when the right to end it is missing, and says so (0x87, MQTT 5.0 §3.11.3)', async () => {
    const certificate = await broker.pki.issue('held');
    await broker.control(
      { command: 'createRole', rolename: 'held' },
      ...['subscribePattern', 'publishClientReceive', 'publishClientSend'].map((acltype) => ({
        command: 'addRoleACL',
        rolename: 'held',
        acltype,
        topic: 'held/#',
        allow: true,
      })),
      {
        command: 'addRoleACL',
        rolename: 'held',
        acltype: 'unsubscribePattern',
        topic: 'held/#',
        allow: false,
      },
      { command: 'createClient', username: 'held' },
      { command: 'addClientRole', username: 'held', rolename: 'held' },
    );
    const { client, packets } = await come('held', {}, certificate);
    await client.subscribeAsync('held/#', { qos: 1 });
    const answer = new Promise<unknown>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'unsuback') resolve(packet);
      });
    });
    await client.unsubscribeAsync('held/#').catch(() => undefined);
    expect(await answer).toMatchObject({ granted: [0x87] });
    await client.publishAsync('held/x', 'still here', { qos: 1 });
    await expect.poll(() => texts(packets)).toEqual(['still here']);
    await client.endAsync();
  });
});

it('lets nobody wait for a subscriber that does not read', async () => {
  const stuck = await come('pump:stuck', {});
  const quick = await come('pump:quick', {});
  await stuck.client.subscribeAsync(`${base}/#`, { qos: 0 });
  await quick.client.subscribeAsync(`${base}/#`, { qos: 0 });
  stuck.client.stream.pause();
  const payload = Buffer.alloc(100_000, 'x');
  for (let index = 0; index < 300; index += 1) {
    await sender.publishAsync(`${base}/flood`, payload, { qos: 1 });
  }
  await expect.poll(() => quick.packets.length).toBe(300);
  expect(await broker.metrics()).toMatch(/messages_dropped_total\{reason="slow-client"\} [1-9]/);
  stuck.client.end(true);
  await quick.client.endAsync();
});

it('gives a session to the identity that is called like it, and nothing that waited in it', async () => {
  const certificate = await broker.pki.issue('pump:valve');
  const squatter = await come('pump:valve', lasting(5));
  await squatter.client.subscribeAsync(`${base}/#`, { qos: 1 });
  await squatter.client.endAsync();
  await sender.publishAsync(`${base}/x`, 'for the squatter', { qos: 1 });
  await broker.control({ command: 'createClient', username: 'pump:valve' });
  const owner = await come('pump:valve', lasting(5), certificate);
  expect(owner.connack.sessionPresent).toBe(false);
  await owner.client.endAsync();
  const refused = await broker.refusal(device, { clientId: 'pump:valve' });
  expect(refused.reasonString).toMatch(/belongs to "pump:valve"/);
});

it('delivers to a client that comes and goes without a gap', async () => {
  const id = 'pump:restless';
  const seen: string[] = [];
  const stop = new AbortController();
  let sent = 0;
  const { client: first } = await come(id, lasting(5));
  await first.subscribeAsync(`${base}/#`, { qos: 1 });
  await first.endAsync();
  const traffic = (async () => {
    while (!stop.signal.aborted) {
      await sender.publishAsync(`${base}/x`, String(sent), { qos: 1 });
      sent += 1;
    }
  })();
  for (let round = 0; round < 5; round += 1) {
    const message = broker.connect(device, { clientId: id, ...lasting(5) }, (fresh) => {
      fresh.on('message', (_topic, payload) => seen.push(payload.toString()));
    });
    const client = await message;
    await nextMessage(client);
    await client.endAsync();
  }
  stop.abort();
  await traffic;
  const last = await broker.connect(device, { clientId: id, ...lasting(5) }, (fresh) => {
    fresh.on('message', (_topic, payload) => seen.push(payload.toString()));
  });
  await expect.poll(() => new Set(seen).size, { timeout: 5000 }).toBe(sent);
  expect([...new Set(seen)]).toEqual(Array.from({ length: sent }, (_, index) => String(index)));
  await last.endAsync();
});
