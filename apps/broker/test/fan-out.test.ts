// Messages to more receivers than a turn of the event loop should serve.
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '@keyline/kernel';
import { FanOut } from '../src/engine/fan-out.ts';
import type { Message } from '../src/engine/message.ts';
import { Publication } from '../src/engine/publication.ts';
import { Routes } from '../src/engine/routes.ts';
import { Session } from '../src/engine/session.ts';
import { SessionStore } from '../src/engine/session-store.ts';
import { SubscriptionIndex } from '../src/engine/subscription-index.ts';
import { defaultLimits } from '../src/options.ts';
import { RawClient } from './support/raw-client.ts';
import { TestBroker } from './support/test-broker.ts';

const log = pino({ level: 'silent' });
const options = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  identifier: undefined,
} as const;
const count = 5000;

function setUp(): {
  readonly index: SubscriptionIndex;
  readonly sessions: readonly Session[];
  readonly given: string[];
  readonly send: (name: string, connection?: unknown) => { isDone: boolean };
  readonly fanOut: FanOut;
} {
  const index = new SubscriptionIndex();
  const account = { name: 'd' } as never;
  const sessions = Array.from({ length: count }, (_, at) => new Session(`d${at}`, account));
  for (const session of sessions) index.set(session, 'all/+', options);
  const routes = new Routes({ index, mayReceive: () => true });
  const given: string[] = [];
  const fanOut = new FanOut({
    ...{ index, log, mayReceive: () => true },
    delivery: {
      countDenied: () => undefined,
      giveToOne: () => undefined,
      give: ({ session }, { topic }) => {
        if (session.clientId === 'd7' && topic === 'all/bad') throw new Error('bad');
        given.push(`${topic} ${session.clientId}`);
      },
    },
  });
  const send = (name: string, connection?: unknown): { isDone: boolean } => {
    const topic = `all/${name}`;
    const message: Message = {
      ...{ topic, payload: Buffer.from(name), qos: 1, retain: false },
      ...{ properties: undefined, expiresAt: undefined },
    };
    const route = routes.find(topic);
    const publication = new Publication();
    publication.setMessage(message, route.topicBytes);
    const state = { isDone: false };
    fanOut.add(route, publication, connection as never, () => {
      state.isDone = true;
    });
    return state;
  };
  return { index, sessions, given, send, fanOut };
}

describe('a message to thousands', () => {
  it('reaches some of them in each turn, all in the end, and each gets two in their order (MQTT-4.6.0-6)', async () => {
    const { given, send } = setUp();
    const [first, second] = [send('1'), send('2')];
    expect(given.length).toBeGreaterThan(0);
    expect(given.length).toBeLessThan(count);
    let most = given.length;
    for (let before = given.length; !second.isDone; before = given.length) {
      await nextTurn();
      most = Math.max(most, given.length - before);
    }
    expect(most).toBeLessThan(count);
    expect(first.isDone).toBe(true);
    const everybody = (name: string): string[] =>
      Array.from({ length: count }, (_, at) => `all/${name} d${at}`);
    expect(given).toEqual([...everybody('1'), ...everybody('2')]);
  });

  it('does not reach who has ended the subscription meanwhile (MQTT-3.10.4-2), nor who came since', async () => {
    const { index, sessions, given, send } = setUp();
    const sent = send('1');
    index.delete(sessions[4999]!, 'all/+');
    // Whoever asks for something else instead has asked for this as well.
    index.delete(sessions[4998]!, 'all/+');
    index.set(sessions[4998]!, 'all/#', options);
    index.set(new Session('late', { name: 'd' } as never), 'all/+', options);
    while (!sent.isDone) await nextTurn();
    expect(given).toHaveLength(count - 1);
    expect(given.at(-1)).toBe('all/1 d4998');
  });

  it('makes what its publisher sends next wait, and wills, and nobody else', async () => {
    const { send, fanOut } = setUp();
    const account = { name: 'publisher' } as never;
    const sent = send('1', { session: { account }, state: 'open' });
    const narrow = { receivers: [], groups: [] } as never;
    expect(fanOut.takes(narrow, account)).toBe(true);
    expect(fanOut.takes(narrow, undefined)).toBe(true);
    expect(fanOut.takes(narrow, { name: 'other' } as never)).toBe(false);
    while (!sent.isDone) await nextTurn();
    expect(fanOut.takes(narrow, account)).toBe(false);
  });

  it('that goes wrong ends its publisher, and what follows goes on', async () => {
    const { given, send } = setUp();
    const failed: unknown[] = [];
    const connection = {
      state: 'open',
      session: undefined,
      fail: (error: unknown) => failed.push(error),
    };
    const bad = send('bad', connection);
    const good = send('good');
    while (!good.isDone) await nextTurn();
    expect([bad.isDone, failed.length]).toEqual([true, 1]);
    expect(given.filter((each) => each.startsWith('all/good'))).toHaveLength(count);
  });

  it('is all given away when the broker stops', () => {
    const { given, send, fanOut } = setUp();
    const sent = [send('1'), send('2')];
    fanOut.finish();
    expect(sent.every(({ isDone }) => isDone)).toBe(true);
    expect(given).toHaveLength(2 * count);
  });
});

describe('over the wire', () => {
  let broker: TestBroker;

  afterEach(() => broker.stop());

  it.each([
    [1, 'puback'],
    [2, 'pubrec'],
  ] as const)(
    'a message of QoS %i to 3,000 absent sessions is acknowledged when all of them have it, in its turn',
    async (qos, acknowledgement) => {
      broker = await TestBroker.start({
        ...{ maxSessionsPerIdentity: 10_000, maxSubscriptionsPerIdentity: 10_000 },
      });
      const certificate = await broker.device('pump');
      await broker.close();
      const store = await SessionStore.open({
        ...{
          folder: join(broker.folder, 'sessions'),
          limits: defaultLimits,
          clock: systemClock,
          log,
        },
        roles: { version: 0, ratesOf: () => ({ messages: 0, bytes: 0 }) },
      });
      for (let at = 0; at < 3000; at += 1) {
        const session = store.attach(`pump:${at}`, 'pump', { durable: true });
        store.subscribe(session, 'devices/pump/all', options);
        store.detach(session, 3600);
      }
      await store.close();
      await broker.open();
      const seen: string[] = [];
      const listener = await broker.connect(certificate, { clientId: 'pump:listener' });
      listener.on('message', (_topic, payload) => seen.push(payload.toString()));
      await listener.subscribeAsync('devices/pump/#', { qos: 1 });
      const publisher = await RawClient.connect(broker, certificate, 'pump', 5);
      for (const [messageId, name] of ['all', 'all', 'after'].entries()) {
        publisher.send({
          ...{ cmd: 'publish', topic: `devices/pump/${name}`, payload: `${name}${messageId}`, qos },
          ...{ dup: false, retain: false, messageId: messageId + 1 },
        });
      }
      const answers = () => publisher.packets.filter(({ cmd }) => cmd === acknowledgement);
      await expect.poll(() => answers().length, { timeout: 30_000 }).toBe(3);
      expect(answers().map(({ messageId }) => messageId)).toEqual([1, 2, 3]);
      expect(await broker.metrics()).toMatch(/keyline_broker_messages_waiting 60\d\d\n/);
      await expect.poll(() => seen).toEqual(['all0', 'all1', 'after2']);
      // All of it is on the disk.
      await broker.close();
      await broker.open();
      expect(await broker.metrics()).toMatch(/keyline_broker_messages_waiting 60\d\d\n/);
    },
    60_000,
  );
});
