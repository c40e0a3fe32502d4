// Memory that a peer could make the broker hold beside what budgets count: each of these was a way past them.
import { once } from 'node:events';
import { connect as tlsConnect } from 'node:tls';
import { Writable } from 'node:stream';
import { generate } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Output } from '../src/engine/output.ts';
import { Publication } from '../src/engine/publication.ts';
import { RetainedFeeds } from '../src/engine/retained-feeds.ts';
import { RawClient } from './support/raw-client.ts';
import { TestBroker } from './support/test-broker.ts';

let broker: TestBroker | undefined;

afterEach(async () => {
  await broker?.stop();
  broker = undefined;
});

describe('a will', () => {
  const will = (bytes: number) => ({
    will: {
      ...{ topic: 'devices/pump/will', payload: Buffer.alloc(bytes, 'w') },
      ...{ qos: 0 as const, retain: false },
    },
  });

  it('counts as a message that waits, until its connection has said goodbye', async () => {
    broker = await TestBroker.start({ maxQueuedBytes: 12_000 });
    const certificate = await broker.device('pump');
    const first = await RawClient.connect(broker, certificate, 'pump:1', 5, {}, will(6000));
    expect(await broker.metrics()).toMatch(/keyline_broker_queued_bytes 6\d{3}\n/);
    expect(await broker.refusal(certificate, { clientId: 'pump:2', ...will(6000) })).toMatchObject({
      code: 0x97,
      reasonString: expect.stringContaining('--max-queued-bytes'),
    });
    // In the place of its own it is no more than that was.
    const again = await RawClient.connect(broker, certificate, 'pump:1', 5, {}, will(7000));
    await first.ended();
    again.send({ cmd: 'disconnect' });
    await again.ended();
    expect(await broker.metrics()).toMatch(/keyline_broker_queued_bytes 0\n/);
    const second = await RawClient.connect(broker, certificate, 'pump:2', 5, {}, will(6000));
    await second.cut();
  });

  it('is counted again after a start of the broker, until it was sent', async () => {
    broker = await TestBroker.start();
    const certificate = await broker.device('pump');
    await RawClient.connect(
      broker,
      certificate,
      'pump',
      5,
      {},
      {
        will: { ...will(5000).will, properties: { willDelayInterval: 3000 } },
      },
    );
    await broker.close();
    await broker.open();
    expect(await broker.metrics()).toMatch(/keyline_broker_queued_bytes 5\d{3}\n/);
    // Back with a session of its own: the one before has ended, and its will goes with it.
    const client = await broker.connect(certificate, { clientId: 'pump', clean: true });
    await expect.poll(() => broker?.metrics()).toMatch(/keyline_broker_queued_bytes 0\n/);
    await client.endAsync();
  });

  it('is no way around the size that a message may have', async () => {
    broker = await TestBroker.start({ messageSizeLimit: 4000 });
    const certificate = await broker.device('pump');
    const ok = await RawClient.connect(broker, certificate, 'pump', 5, {}, will(4000));
    await ok.cut();
    expect(await broker.refusal(certificate, { clientId: 'pump', ...will(4001) })).toMatchObject({
      code: 0x95,
      reasonString: expect.stringContaining('--message-size-limit'),
    });
  });
});

describe('retained messages', () => {
  it('that wait for a client are one walk for each of its filters, however often it asks', () => {
    const feeds = new RetainedFeeds();
    const given: string[] = [];
    const walk = function* (name: string): Generator<void> {
      for (let at = 0; at < 3; at += 1) {
        given.push(`${name}${at}`);
        yield;
      }
    };
    for (let asked = 0; asked < 1000; asked += 1) feeds.set('a', walk(`a${asked}-`));
    feeds.set('gone', walk('gone'));
    feeds.set('b', walk('b'));
    feeds.delete('gone');
    let left = 5;
    const whileAny = (): boolean => {
      left -= 1;
      return left >= 0;
    };
    expect(feeds.run(whileAny)).toBe(false);
    left = 100;
    expect(feeds.run(whileAny)).toBe(true);
    expect(given).toEqual(['a999-0', 'a999-1', 'a999-2', 'b0', 'b1', 'b2']);
  });

  it('come anew when a client asks again before it has them', async () => {
    broker = await TestBroker.start({ maxInflightMessages: 1 });
    const certificate = await broker.device('pump');
    const owner = await broker.connect(certificate, { clientId: 'pump' });
    for (const name of ['a', 'b']) {
      await owner.publishAsync(`devices/pump/${name}`, name, { qos: 1, retain: true });
    }
    const slow = await RawClient.connect(broker, certificate, 'pump:slow', 5);
    for (let asked = 1; asked <= 50; asked += 1) {
      slow.send({
        ...{ cmd: 'subscribe', messageId: asked },
        subscriptions: [{ topic: 'devices/pump/+', qos: 1 }],
      });
    }
    await expect.poll(() => slow.packets.filter(({ cmd }) => cmd === 'suback').length).toBe(50);
    for (let seen = 0; seen < 20; seen += 1) {
      const { messageId } = slow.published.at(-1) ?? {};
      if (messageId !== undefined) slow.send({ cmd: 'puback', messageId });
      slow.send({ cmd: 'pingreq' });
      await expect
        .poll(() => slow.packets.filter(({ cmd }) => cmd === 'pingresp').length)
        .toBe(seen + 1);
    }
    const topics = slow.published.map(({ topic }) => topic);
    expect(topics).toContain('devices/pump/a');
    expect(topics).toContain('devices/pump/b');
    // Not fifty times each: only what was on its way when it asked again came twice.
    expect(topics.length).toBeLessThanOrEqual(5);
    await Promise.all([slow.cut(), owner.endAsync()]);
  });
});

it('a payload that waits for a slow receiver does not keep the piece alive in which it came', () => {
  const kept: Buffer[] = [];
  const conn = new Writable({ write: () => undefined });
  const output = new Output(conn as never, () => undefined);
  const push = output.push.bind(output);
  output.push = (bytes) => {
    kept.push(bytes);
    push(bytes);
  };
  const packet = generate({
    ...{ cmd: 'publish', topic: 'a', payload: Buffer.alloc(3000, 'p'), qos: 0 },
    ...{ dup: false, retain: false },
  });
  // A record of TLS, most of which is something else.
  const bytes = Buffer.concat([Buffer.alloc(13_000), packet]);
  const publication = new Publication();
  publication.topic = 'a';
  publication.topicBytes = Buffer.from('a');
  publication.bytes = bytes;
  publication.start = 13_000;
  publication.end = bytes.length;
  publication.payloadStart = bytes.length - 3000;
  publication.topicEnd = publication.payloadStart;
  publication.begin();
  publication.write(output, 0x30, 0, false);
  publication.write(output, 0x30, 0, false);
  expect(kept.map(({ length }) => length)).toEqual([3000, 3000]);
  for (const each of kept) expect(each.buffer.byteLength).toBeLessThan(4000);
  // One copy for all receivers.
  expect(kept[0]!.buffer).toBe(kept[1]!.buffer);
});

describe('what has begun and does not end', () => {
  const endless = (bytes: number): Buffer => {
    const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(bytes, 6);
    return Buffer.concat([head, Buffer.alloc(bytes - 100)]);
  };

  it.each(['with a certificate', 'without one'])(
    'over WebSocket, %s, counts as a packet that is not whole',
    async (which) => {
      broker = await TestBroker.start({ maxPartialBytes: 1_000_000 });
      const { cert, key } = await broker.device('web');
      const own = which === 'with a certificate' ? { cert, key } : {};
      const sockets = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const url = `wss://127.0.0.1:${String(broker!.broker.webSocketPort)}/mqtt`;
          const socket = new WebSocket(url, ['mqtt'], { ca: broker!.pki.ca.cert, ...own });
          socket.on('error', () => undefined);
          await once(socket, 'open');
          return socket;
        }),
      );
      const closed = Promise.race(sockets.map((socket) => once(socket, 'close')));
      for (const socket of sockets) {
        (socket as unknown as { _socket: Writable })._socket.write(endless(400_000));
      }
      await closed;
      await expect
        .poll(() => broker?.line('connection ended')?.msg)
        .toMatch(/packets that are not whole or wait is used up/);
      expect(await broker.metrics()).toMatch(/keyline_broker_partial_bytes [1-9]\d{5}\n/);
      for (const socket of sockets) socket.terminate();
      await expect.poll(() => broker?.metrics()).toMatch(/keyline_broker_partial_bytes 0\n/);
    },
  );

  it('or is whole, and waits because its sender is held back, counts for those who have the most of it', async () => {
    broker = await TestBroker.start({ maxPartialBytes: 1_000_000 });
    const certificate = await broker.device('eager');
    await broker.control({ command: 'modifyRole', rolename: 'role-eager', messagerate: 1 });
    const message = generate(
      {
        ...{ cmd: 'publish', topic: 'devices/eager/x', payload: Buffer.alloc(10_000), qos: 0 },
        ...{ dup: false, retain: false },
      },
      { protocolVersion: 5 },
    );
    const clients = [];
    for (let at = 0; at < 30; at += 1) {
      clients.push(await RawClient.connect(broker, certificate, `eager:${at}`, 5));
    }
    for (const client of clients) {
      client.sendBytes(Buffer.concat(Array.from({ length: 30 }, () => message)));
    }
    await expect
      .poll(() => broker?.line('connection ended')?.msg)
      .toMatch(/packets that are not whole or wait is used up/);
    expect(clients.some(({ isClosed }) => !isClosed)).toBe(true);
    await Promise.all(clients.filter(({ isClosed }) => !isClosed).map((client) => client.cut()));
  });

  it('over WebSocket in pieces without number ends the connection', async () => {
    broker = await TestBroker.start();
    const { cert, key } = await broker.device('web');
    const url = `wss://127.0.0.1:${String(broker.broker.webSocketPort)}/mqtt`;
    const socket = new WebSocket(url, ['mqtt'], { ca: broker.pki.ca.cert, cert, key });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    for (let at = 0; at < 300; at += 1) socket.send(Buffer.of(0), { fin: false });
    expect((await closed)[0]).toBe(1008);
  });

  it.each([
    ['somebody who will be turned away', false],
    ['a device', true],
  ])('may be a CONNECT of 40,000 bytes or not, by %s', async (_who, isDevice) => {
    broker = await TestBroker.start();
    const { cert, key } = await broker.device('pump');
    const socket = tlsConnect({
      ...{ host: '127.0.0.1', port: broker.port, ca: broker.pki.ca.cert },
      // The one that is not a device has no certificate at all.
      ...(isDevice ? { cert, key } : {}),
    });
    socket.on('error', () => undefined);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await once(socket, 'secureConnect');
    socket.write(
      generate(
        {
          ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, keepalive: 9 },
          clientId: 'pump',
          will: {
            ...{ topic: 'devices/pump/x', payload: Buffer.alloc(40_000), qos: 0, retain: false },
          },
        },
        { protocolVersion: 5 },
      ),
    );
    if (isDevice) {
      await expect.poll(() => chunks.length).toBeGreaterThan(0);
      expect([chunks[0]?.[0], chunks[0]?.[3]]).toEqual([0x20, 0]);
      socket.destroy();
    }
    await closed;
    if (!isDevice) expect(broker.line('connection ended')?.msg).toMatch(/32768/);
  });
});
