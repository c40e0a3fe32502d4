import { generate, type Packet } from 'mqtt-packet';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '@keyline/kernel';
import { openBroker } from '../src/wiring.ts';
import { defaultLimits, defaultTlsPolicy } from '../src/options.ts';
import { RawClient } from './support/raw-client.ts';
import { ended, nextMessage, TestBroker } from './support/test-broker.ts';

let broker: TestBroker;

afterEach(() => broker.stop());

const bytesOf = (packet: Packet): Buffer => generate(packet, { protocolVersion: 5 });

/** Somebody else is served as if nothing were the matter. */
async function expectService(): Promise<void> {
  const name = `good-${Math.random().toString(36).slice(2)}`;
  const client = await broker.connect(await broker.device(name), { clientId: name });
  await client.subscribeAsync(`devices/${name}/#`, { qos: 1 });
  const message = nextMessage(client);
  await client.publishAsync(`devices/${name}/x`, 'served', { qos: 1 });
  expect((await message).text).toBe('served');
  await client.endAsync();
}

const subscribe = (filters: readonly string[], messageId = 1): Buffer =>
  bytesOf({
    ...{ cmd: 'subscribe', messageId },
    subscriptions: filters.map((topic) => ({ topic, qos: 1 })),
  });

describe('names that mean something to JavaScript', () => {
  it.each(['constructor', 'toString', 'valueOf', '__proto__', 'hasOwnProperty'])(
    '%s is a device like any other',
    async (name) => {
      broker = await TestBroker.start();
      const certificate = await broker.device(name);
      for (const protocolVersion of [4, 5] as const) {
        const client = await broker.connect(certificate, { clientId: name, protocolVersion });
        await client.subscribeAsync(`devices/${name}/#`, { qos: 1 });
        const message = nextMessage(client);
        await client.publishAsync(`devices/${name}/__proto__`, 'x', { qos: 1, retain: true });
        expect((await message).text).toBe('x');
        await client.endAsync();
      }
      await expectService();
    },
  );

  it.each([4, 5] as const)(
    'are filters like any other: a, __proto__ (version %i)',
    async (version) => {
      broker = await TestBroker.start();
      const certificate = await broker.device('pump');
      const client = await RawClient.connect(broker, certificate, 'pump', version);
      client.send({
        ...{ cmd: 'subscribe', messageId: 1 },
        subscriptions: ['a', '__proto__', 'devices/pump/__proto__'].map((topic) => ({
          ...{ topic, qos: 1 },
        })),
      });
      await client.until('suback');
      const denied = version === 5 ? 0x87 : 0x80;
      expect(client.packets.find(({ cmd }) => cmd === 'suback')).toMatchObject({
        granted: [denied, denied, 1],
      });
      await client.cut();
      await expectService();
    },
  );
});

describe('subscriptions', () => {
  it('30,000 in one packet end the connection (0x97), and nobody else notices', async () => {
    broker = await TestBroker.start();
    const client = await RawClient.connect(broker, await broker.device('pump'), 'pump', 5);
    client.sendBytes(subscribe(Array.from({ length: 30_000 }, (_, at) => `d/${String(at)}`)));
    const [reason] = await Promise.all([client.ended(), expectService()]);
    expect(reason).toBe(0x97);
    expect(await broker.metrics()).toMatch(/packets_refused_total\{reason="97"\} 1$/m);
  });

  it('above the budget of an identity are refused one by one (0x97), over all its sessions', async () => {
    broker = await TestBroker.start({ maxSubscriptionsPerIdentity: 150 });
    const certificate = await broker.device('pump');
    const filters = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, at) => `devices/pump/${String(from + at)}`);
    const granted = async (clientId: string, asked: readonly string[]): Promise<number[]> => {
      const client = await RawClient.connect(broker, certificate, clientId, 5);
      client.sendBytes(subscribe(asked));
      await client.until('suback');
      await client.cut();
      return client.packets.flatMap((packet) =>
        packet.cmd === 'suback' ? (packet.granted as number[]) : [],
      );
    };
    expect(new Set(await granted('pump:a', filters(0, 100)))).toEqual(new Set([1]));
    const second = await granted('pump:b', filters(100, 100));
    expect(second.filter((code) => code === 1)).toHaveLength(50);
    expect(second.filter((code) => code === 0x97)).toHaveLength(50);
    // What stands may be subscribed to again.
    expect(new Set(await granted('pump:a', filters(0, 100)))).toEqual(new Set([1]));
    // Ten of 128 bytes each are twenty.
    const other = await broker.device('long');
    const long = await RawClient.connect(broker, other, 'long', 5);
    const name = (at: number): string => `devices/long/${String(at).padStart(1000, '0')}`;
    long.sendBytes(subscribe(Array.from({ length: 20 }, (_, at) => name(at))));
    await long.until('suback');
    const suback = long.packets.find(({ cmd }) => cmd === 'suback');
    expect((suback as { granted: number[] }).granted.filter((code) => code === 1)).toHaveLength(18);
    await long.cut();
    await expectService();
  });
});

describe('connections and sessions', () => {
  it('of one identity under CN:suffix leave room for the others (0x97)', async () => {
    broker = await TestBroker.start({ maxConnectionsPerIdentity: 3, maxConnections: 10 });
    const greedy = await broker.device('greedy');
    const held = await Promise.all(
      ['1', '2', '3'].map((suffix) => broker.connect(greedy, { clientId: `greedy:${suffix}` })),
    );
    const refused = await broker.refusal(greedy, { clientId: 'greedy:4' });
    expect(refused).toEqual({
      code: 0x97,
      reasonString: expect.stringMatching(/"greedy" has 3 connections.*per-identity/),
    });
    // One that takes another's place is not one more.
    const end = ended(held[0]!);
    held[0] = await broker.connect(greedy, { clientId: 'greedy:1' });
    await end;
    await expectService();
    await held[1]!.endAsync();
    const next = await broker.connect(greedy, { clientId: 'greedy:4' });
    for (const client of [next, held[0], held[2]!]) await client.endAsync();
  });

  it('of absent clients count as well (0x97)', async () => {
    broker = await TestBroker.start({ maxSessionsPerIdentity: 2 });
    const greedy = await broker.device('greedy');
    const lasting = { clean: false, properties: { sessionExpiryInterval: 100 } };
    for (const suffix of ['1', '2']) {
      const client = await broker.connect(greedy, { clientId: `greedy:${suffix}`, ...lasting });
      await client.endAsync();
    }
    const refused = await broker.refusal(greedy, { clientId: 'greedy:3' });
    expect(refused).toEqual({
      code: 0x97,
      reasonString: expect.stringMatching(/"greedy" has 2 sessions.*clean start/),
    });
    const again = await broker.connect(greedy, { clientId: 'greedy:1', clean: true });
    await again.endAsync();
    const third = await broker.connect(greedy, { clientId: 'greedy:3' });
    await third.endAsync();
  });

  it('that ask for another authentication than the certificate are refused (0x8C, MQTT-4.12.0-1)', async () => {
    broker = await TestBroker.start();
    const refused = await broker.refusal(await broker.device('pump'), {
      clientId: 'pump',
      properties: { authenticationMethod: 'SCRAM-SHA-1' },
    });
    expect(refused).toEqual({ code: 0x8c, reasonString: expect.stringMatching(/SCRAM-SHA-1/) });
  });

  it('that say nothing for 1.5 times their keep-alive end (0x8D, MQTT-3.1.2-22), bytes that trickle in or not', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    const quiet = await RawClient.connect(broker, certificate, 'pump', 5, {}, { keepalive: 1 });
    const slow = await RawClient.connect(broker, certificate, 'pump:slow', 5, {}, { keepalive: 1 });
    const bytes = bytesOf({
      ...{ cmd: 'publish', topic: 'devices/pump/x', payload: 'x'.repeat(10_000), qos: 0 },
      ...{ dup: false, retain: false },
    });
    let at = 0;
    const trickle = setInterval(() => {
      if (!slow.isClosed) slow.sendBytes(bytes.subarray(at, (at += 1)));
    }, 20);
    expect(await Promise.all([quiet.ended(), slow.ended()])).toEqual([0x8d, 0x8d]);
    clearInterval(trickle);
  });
});

describe('retained messages', () => {
  it('above the budget of an identity are refused (0x97); its own are replaced and removed as before', async () => {
    broker = await TestBroker.start({ maxRetainedBytes: 10_000, maxRetainedMessages: 5 });
    const client = await broker.connect(await broker.device('pump'), { clientId: 'pump' });
    const retain = (topic: string, payload: string | Buffer) =>
      client.publishAsync(`devices/pump/${topic}`, payload, { qos: 1, retain: true });
    await retain('large', Buffer.alloc(8000));
    await expect(retain('more', Buffer.alloc(8000))).rejects.toMatchObject({ code: 0x97 });
    await retain('large', Buffer.alloc(9000));
    await retain('large', '');
    for (const topic of ['1', '2', '3', '4', '5']) await retain(topic, 'x');
    await expect(retain('6', 'x')).rejects.toMatchObject({ code: 0x97 });
    await retain('1', '');
    await retain('6', 'x');
    await client.endAsync();
    await expectService();
    // Who holds what is known after a restart.
    await broker.close();
    await broker.open();
    const again = await broker.connect(await broker.pki.issue('pump'), { clientId: 'pump' });
    await expect(
      again.publishAsync('devices/pump/7', 'x', { qos: 1, retain: true }),
    ).rejects.toMatchObject({ code: 0x97 });
    await again.publishAsync('devices/pump/2', '', { qos: 1, retain: true });
    await again.publishAsync('devices/pump/7', 'x', { qos: 1, retain: true });
    await again.endAsync();
  });

  it('of any number reach a subscriber, though its queue is far shorter', async () => {
    broker = await TestBroker.start({ maxQueuedMessages: 5, maxInflightMessages: 2 });
    const client = await broker.connect(await broker.device('pump'), { clientId: 'pump' });
    const count = 300;
    for (let at = 0; at < count; at += 1) {
      await client.publishAsync(`devices/pump/r/${String(at)}`, 'x', { qos: 1, retain: true });
    }
    const seen = new Set<string>();
    client.on('message', (topic) => seen.add(topic));
    await client.subscribeAsync('devices/pump/r/+', { qos: 1 });
    await expect.poll(() => seen.size, { timeout: 5000 }).toBe(count);
    await client.endAsync();
  });
});

describe('what a client does not read', () => {
  it('stops the broker from reading it, and ends it', async () => {
    broker = await TestBroker.start({ maxUnreadBytes: 20_000 });
    const certificate = await broker.device('deaf');
    const deaf = await RawClient.connect(broker, certificate, 'deaf', 5, {}, { keepalive: 1 });
    deaf.stopReading();
    const pings = Buffer.alloc(100_000, bytesOf({ cmd: 'pingreq' }));
    const flood = setInterval(() => {
      if (!deaf.isClosed && deaf.unsentBytes < 10_000_000) deaf.sendBytes(pings);
    }, 1);
    // Somebody has stopped taking it, and it is not for want of sending.
    await expect.poll(() => deaf.unsentBytes, { timeout: 60_000 }).toBeGreaterThan(5_000_000);
    await expectService();
    deaf.startReading();
    deaf.stopReading();
    await expect
      .poll(
        () =>
          broker.lines.findLast(
            ({ event, clientId }) => event === 'connection ended' && clientId === 'deaf',
          )?.msg,
        { timeout: 60_000 },
      )
      .toMatch(/No packet within|does not read/);
    clearInterval(flood);
    await deaf.cut();
  });

  it('waits in a queue that is bounded in bytes, and is there when it comes back', async () => {
    broker = await TestBroker.start({ maxQueuedBytes: 50_000 });
    const certificate = await broker.device('away');
    const away = await RawClient.connect(broker, certificate, 'away', 5);
    await away.subscribe('devices/away/#', 1);
    await away.cut();
    const sender = await broker.connect(certificate, { clientId: 'away:sender' });
    for (let at = 0; at < 20; at += 1) {
      await sender.publishAsync(`devices/away/${String(at)}`, Buffer.alloc(9000), { qos: 1 });
    }
    expect(await broker.metrics()).toMatch(/messages_dropped_total\{reason="queue-full"\} 15$/m);
    const back = await RawClient.connect(broker, certificate, 'away', 5);
    await expect.poll(() => back.published.length).toBe(5);
    for (const { messageId } of back.published) {
      back.send({ cmd: 'puback', messageId: messageId! });
    }
    await sender.publishAsync('devices/away/again', Buffer.alloc(9000), { qos: 1 });
    await expect.poll(() => back.published.length).toBe(6);
    await Promise.all([back.cut(), sender.endAsync()]);
  });
});

describe('packets that do not come to their end', () => {
  const begun = (bytes: number): Buffer =>
    bytesOf({
      ...{ cmd: 'publish', topic: 'devices/pump/x', payload: Buffer.alloc(bytes + 1000), qos: 0 },
      ...{ dup: false, retain: false },
    }).subarray(0, bytes);

  it('share one budget: those that hold the most of it go first (0x97)', async () => {
    broker = await TestBroker.start({ maxPartialBytes: 1_000_000 });
    const certificate = await broker.device('pump');
    const clients = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        RawClient.connect(broker, certificate, `pump:${String(at)}`, 5),
      ),
    );
    for (const [at, client] of clients.entries()) client.sendBytes(begun(at < 4 ? 1000 : 400_000));
    await expect.poll(() => clients.filter(({ isClosed }) => isClosed).length).toBeGreaterThan(0);
    const closed = clients.filter(({ isClosed }) => isClosed);
    expect(await closed[0]!.ended()).toBe(0x97);
    expect(broker.line('connection ended')?.msg).toMatch(/held the most of it/);
    expect(await broker.metrics()).toMatch(/connections_limited_total\{reason="97"\} [1-9]/);
    expect(clients.slice(0, 4).some(({ isClosed }) => isClosed)).toBe(false);
    await expectService();
    for (const client of clients) if (!client.isClosed) await client.cut();
  });

  it('end their connection after a while', async () => {
    broker = await TestBroker.start({ packetTimeout: 200 });
    const client = await RawClient.connect(broker, await broker.device('pump'), 'pump', 5);
    client.sendBytes(begun(1000));
    expect(await client.ended()).toBe(0x80);
    expect(broker.line('connection ended')?.msg).toMatch(/did not come to its end/);
  });
});

describe('messages of a client', () => {
  it('above the receive maximum that it was told end it (0x93, MQTT-3.3.4-9)', async () => {
    broker = await TestBroker.start({ maxIncomingMessages: 10 });
    const client = await RawClient.connect(broker, await broker.device('pump'), 'pump', 5);
    expect(client.packets[0]).toMatchObject({ properties: { receiveMaximum: 10 } });
    for (let messageId = 1; messageId <= 11; messageId += 1) {
      client.send({
        ...{ cmd: 'publish', topic: 'devices/pump/x', payload: 'x', qos: 2, messageId },
        ...{ dup: false, retain: false },
      });
    }
    expect(await client.ended()).toBe(0x93);
  });

  it('above the rate of their identity wait, and are not lost', async () => {
    broker = await TestBroker.start({ maxMessageRate: 100 });
    const certificate = await broker.device('eager');
    const listener = await broker.connect(certificate, { clientId: 'eager:listener' });
    const seen: string[] = [];
    listener.on('message', (_topic, payload) => seen.push(payload.toString()));
    await listener.subscribeAsync('devices/eager/#', { qos: 0 });
    const eager = await RawClient.connect(broker, certificate, 'eager', 5);
    const count = 250;
    eager.sendBytes(
      Buffer.concat(
        Array.from({ length: count }, (_, at) =>
          bytesOf({
            ...{ cmd: 'publish', topic: 'devices/eager/x', payload: String(at), qos: 0 },
            ...{ dup: false, retain: false },
          }),
        ),
      ),
    );
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    await expectService();
    expect(seen.length).toBeLessThan(count);
    await expect.poll(() => seen.length, { timeout: 60_000 }).toBe(count);
    expect(seen).toEqual(Array.from({ length: count }, (_, at) => String(at)));
    await Promise.all([eager.cut(), listener.endAsync()]);
  });

  describe('above the rate of a role', () => {
    const count = 40;
    const messages = (name: string): Buffer =>
      Buffer.concat(
        Array.from({ length: count }, (_, at) =>
          bytesOf({
            ...{ cmd: 'publish', topic: `devices/${name}/x`, payload: String(at), qos: 0 },
            ...{ dup: false, retain: false },
          }),
        ),
      );

    async function listenTo(name: string): Promise<string[]> {
      const seen: string[] = [];
      const certificate = await broker.pki.issue(name);
      const listener = await broker.connect(certificate, { clientId: `${name}:listener` });
      listener.on('message', (_topic, payload) => seen.push(payload.toString()));
      await listener.subscribeAsync(`devices/${name}/#`, { qos: 0 });
      return seen;
    }

    it.each([
      ['messages', { messagerate: 20 }],
      ['bytes', { byterate: 400 }],
    ])('in %s wait, and those of other roles do not', async (_what, rates) => {
      broker = await TestBroker.start({ maxMessageRate: 100_000 });
      const slow = await broker.device('slow');
      const free = await broker.device('free');
      await broker.control({ command: 'modifyRole', rolename: 'role-slow', ...rates });
      const [ofSlow, ofFree] = [await listenTo('slow'), await listenTo('free')];
      const [slowClient, freeClient] = [
        await RawClient.connect(broker, slow, 'slow', 5),
        await RawClient.connect(broker, free, 'free', 5),
      ];
      slowClient.sendBytes(messages('slow'));
      await expect.poll(() => ofSlow.length).toBeGreaterThan(0);
      freeClient.sendBytes(messages('free'));
      await expect.poll(() => ofFree.length).toBe(count);
      expect(ofSlow.length).toBeLessThan(count);
      await expect.poll(() => ofSlow.length, { timeout: 60_000 }).toBe(count);
      await Promise.all([slowClient.cut(), freeClient.cut()]);
    });

    it('wait also after the client has come back with a new session, until its role says otherwise', async () => {
      broker = await TestBroker.start();
      const certificate = await broker.device('slow');
      const seen = await listenTo('slow');
      await broker.control({ command: 'modifyRole', rolename: 'role-slow', messagerate: 0.01 });
      const once = bytesOf({
        ...{ cmd: 'publish', topic: 'devices/slow/x', payload: 'once', qos: 0 },
        ...{ dup: false, retain: false },
      });
      // Whatever it has at first, one message takes it below what it may send for more than a minute.
      for (let connected = 1; connected <= 3; connected += 1) {
        const client = await RawClient.connect(broker, certificate, 'slow', 5, {
          sessionExpiryInterval: 0,
        });
        client.sendBytes(Buffer.concat([once, bytesOf({ cmd: 'pingreq' })]));
        // Each connection is read until it is above the rate: one message, and nothing after it.
        await expect.poll(() => seen.length).toBe(connected);
        expect(client.packets.map(({ cmd }) => cmd)).not.toContain('pingresp');
        await client.cut();
      }
      const client = await RawClient.connect(broker, certificate, 'slow', 5, {
        sessionExpiryInterval: 0,
      });
      client.sendBytes(messages('slow'));
      await expect.poll(() => seen.length).toBe(4);
      await broker.control({ command: 'modifyRole', rolename: 'role-slow', messagerate: 0 });
      await expect.poll(() => seen.length).toBe(3 + count);
      await client.cut();
    });

    it('wait as those above the rate of the broker do, where that is the lower one', async () => {
      broker = await TestBroker.start({ maxMessageRate: 20 });
      const certificate = await broker.device('eager');
      await broker.control({ command: 'modifyRole', rolename: 'role-eager', messagerate: 100_000 });
      const seen = await listenTo('eager');
      const client = await RawClient.connect(broker, certificate, 'eager', 5);
      client.sendBytes(messages('eager'));
      await expect.poll(() => seen.length).toBeGreaterThan(0);
      await expectService();
      expect(seen.length).toBeLessThan(count);
      await expect.poll(() => seen.length, { timeout: 60_000 }).toBe(count);
      await client.cut();
    });
  });

  it('with U+0000 or bytes that are no UTF-8 in their topic end it, and reach nobody (MQTT-1.5.4-1, MQTT-1.5.4-2)', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    const listener = await broker.connect(certificate, { clientId: 'pump:listener' });
    const topics: string[] = [];
    listener.on('message', (topic) => topics.push(topic));
    await listener.subscribeAsync('devices/pump/#', { qos: 1 });
    for (const bad of [0x00, 0xff]) {
      const client = await RawClient.connect(broker, certificate, 'pump', 5);
      const bytes = bytesOf({
        ...{ cmd: 'publish', topic: 'devices/pump/r/?x', payload: 'x', qos: 0 },
        ...{ dup: false, retain: true },
      });
      bytes[bytes.indexOf('?')] = bad;
      client.sendBytes(bytes);
      expect(await client.ended()).toBe(0x81);
    }
    await listener.publishAsync('devices/pump/ok', 'x', { qos: 1 });
    await expect.poll(() => topics).toEqual(['devices/pump/ok']);
    await listener.endAsync();
  });
});

describe('topic aliases', () => {
  it('that a client sets are known until it leaves; above the maximum they end it (0x94, MQTT-3.3.2-9)', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    const client = await RawClient.connect(broker, certificate, 'pump', 5);
    await client.subscribe('devices/pump/#', 0);
    const publish = (topic: string, topicAlias: number): void => {
      client.send({
        ...{ cmd: 'publish', topic, payload: topic, qos: 0, dup: false, retain: false },
        properties: { topicAlias },
      });
    };
    publish('devices/pump/a', 1);
    publish('', 1);
    publish('devices/pump/b', 1);
    publish('', 1);
    await expect
      .poll(() => client.published.map(({ topic }) => topic))
      .toEqual(['a', 'a', 'b', 'b'].map((name) => `devices/pump/${name}`));
    publish('devices/pump/a', 11);
    expect(await client.ended()).toBe(0x94);
    const other = await RawClient.connect(broker, certificate, 'pump', 5);
    other.send({
      ...{ cmd: 'publish', topic: '', payload: 'x', qos: 0, dup: false, retain: false },
      properties: { topicAlias: 1 },
    });
    expect(await other.ended()).toBe(0x82);
  });

  it('are set for a client that takes some, and no more than it takes (MQTT-3.1.2-26)', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    const client = await RawClient.connect(broker, certificate, 'pump', 5, {
      topicAliasMaximum: 1,
    });
    await client.subscribe('devices/pump/#', 0);
    const sender = await broker.connect(certificate, { clientId: 'pump:sender' });
    for (const name of ['a', 'a', 'b', 'a']) {
      await sender.publishAsync(`devices/pump/${name}`, name, { qos: 1 });
    }
    await expect
      .poll(() => client.published.map(({ topic, properties }) => [topic, properties?.topicAlias]))
      .toEqual([
        ['devices/pump/a', 1],
        ['', 1],
        ['devices/pump/b', undefined],
        ['', 1],
      ]);
    await Promise.all([client.cut(), sender.endAsync()]);
  });
});

it('all of that at once is nobody else’s matter', async () => {
  broker = await TestBroker.start({ maxPartialBytes: 300_000, maxUnreadBytes: 50_000 });
  await expectService();
  const publish = (topic: string, bytes: number, retain = false): Buffer =>
    bytesOf({
      ...{ cmd: 'publish', topic: `devices/${topic}`, payload: Buffer.alloc(bytes), qos: 0 },
      ...{ dup: false, retain },
    });
  const kinds: readonly ((name: string, round: number) => Buffer)[] = [
    (name) => Buffer.concat(Array.from({ length: 300 }, () => publish(`${name}/flood`, 8))),
    () => Buffer.alloc(20_000, bytesOf({ cmd: 'pingreq' })),
    (name, round) => (round === 0 ? publish(name, 100_000).subarray(0, 90_000) : Buffer.alloc(0)),
    () => subscribe(Array.from({ length: 30_000 }, (_, at) => `x/${String(at)}`)),
    (name, round) =>
      subscribe(
        Array.from({ length: 100 }, (_, at) => `devices/${name}/+/${String(round * 100 + at)}`),
      ),
    (name, round) => publish(`${name}/${String(round)}`, 5000, true),
    () => Buffer.of(0x36, 0x02, 0x00, 0x00),
  ];
  const hostile: { kind: number; client: RawClient; stop: () => void }[] = [];
  for (const [kind, next] of kinds.entries()) {
    for (const letter of ['a', 'b']) {
      const name = `bad-${String(kind)}-${letter}`;
      const client = await RawClient.connect(broker, await broker.device(name), name, 5);
      if (kind === 1) client.stopReading();
      let round = 0;
      const timer = setInterval(() => {
        if (client.isClosed || client.unsentBytes > 500_000) return;
        client.sendBytes(next(name, round));
        round += 1;
      }, 2);
      hostile.push({ kind, client, stop: () => clearInterval(timer) });
    }
  }
  await Promise.all(Array.from({ length: 3 }, expectService));
  // Those that MQTT does not allow, or that have no end, are gone; the others are bounded.
  await expect
    .poll(() =>
      hostile.filter(({ kind }) => kind === 3 || kind === 6).every(({ client }) => client.isClosed),
    )
    .toBe(true);
  await Promise.all(Array.from({ length: 3 }, expectService));
  for (const { stop } of hostile) stop();
  expect(await broker.metrics()).toMatch(/connection_failures_total 0$/m);
  for (const { client } of hostile) if (!client.isClosed) await client.cut();
});

describe('a shared subscription', () => {
  it('gives what a member did not acknowledge to another when its session ends (MQTT 5.0 §4.8.2)', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    await broker.control({
      ...{ command: 'addRoleACL', rolename: 'role-pump', acltype: 'subscribePattern' },
      ...{ topic: '$share/+/devices/pump/#', allow: true },
    });
    const filter = '$share/g/devices/pump/#';
    // Ends with its connection.
    const brief = await RawClient.connect(
      ...([broker, certificate, 'pump:brief', 5, { sessionExpiryInterval: 0 }] as const),
    );
    await brief.subscribe(filter, 1);
    const sender = await broker.connect(certificate, { clientId: 'pump:sender' });
    for (const text of ['1', '2']) {
      await sender.publishAsync('devices/pump/job', text, { qos: 1 });
    }
    await expect.poll(() => brief.published.length).toBe(2);
    const other = await RawClient.connect(broker, certificate, 'pump:other', 5);
    await other.subscribe(filter, 1);
    await brief.cut();
    await expect
      .poll(() => other.published.map(({ payload }) => payload.toString()))
      .toEqual(['1', '2']);
    // A session that stays, whose client is away: others that are here take over what it did not acknowledge.
    const third = await RawClient.connect(broker, certificate, 'pump:third', 5);
    await third.subscribe(filter, 1);
    await other.cut();
    await expect
      .poll(() => third.published.map(({ payload }) => payload.toString()))
      .toEqual(['1', '2']);
    await Promise.all([third.cut(), sender.endAsync()]);
  });
});

describe('a data folder', () => {
  it('is one broker’s: a second one is told what to do, and may have it when the first is gone', async () => {
    broker = await TestBroker.start();
    const { folder, pki, server } = broker;
    const open = () =>
      openBroker(
        {
          ...{
            data: folder,
            host: '127.0.0.1',
            port: 0,
            metricsPort: 0,
            admins: [],
            adminCertificates: [],
          },
          certificates: { cert: server.certFile, key: server.keyFile, ca: pki.ca.certFile },
          ...{ tls: defaultTlsPolicy, limits: defaultLimits },
        },
        { log: pino({ level: 'silent' }), clock: systemClock },
      );
    await expect(open()).rejects.toThrow(/Another broker uses the folder .*Stop that one/);
    await expectService();
    await broker.close();
    const second = await open();
    await second.close();
  });
});
