import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FakeClock } from '@keyline/kernel';
import { createRandom } from '../../../test/support/random.ts';
import { subscriptionUnits } from '../src/engine/account.ts';
import { bytesOf, type Message } from '../src/engine/message.ts';
import type { Outgoing, Session } from '../src/engine/session.ts';
import { SessionStore } from '../src/engine/session-store.ts';
import { defaultLimits } from '../src/options.ts';

let folder: string;
const noRoles = { version: 0, ratesOf: () => ({ messages: 0, bytes: 0 }) };
const log = pino({ level: 'silent' });
const clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-sessions-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (): Promise<SessionStore> =>
  SessionStore.open({ folder, limits: defaultLimits, roles: noRoles, clock, log });

const message = (topic: string, bytes: number, more: Partial<Message> = {}): Message => ({
  ...{ topic, payload: Buffer.alloc(bytes, 'x'), qos: 1, retain: false },
  ...{ properties: undefined, expiresAt: undefined, ...more },
});

const everyOutgoing = (session: Session): Outgoing[] => [
  ...(session.inflight?.values() ?? []),
  ...(session.queue ?? []),
];

/** What the accounts say, and what is there; and everything that is to survive a restart. */
function look(store: SessionStore) {
  const held = new Map<string, number[]>();
  const add = (name: string, at: number, amount: number): void => {
    const sums = held.get(name) ?? [0, 0, 0, 0];
    sums[at]! += amount;
    held.set(name, sums);
  };
  for (const session of store.all()) {
    const { name } = session.account;
    for (const filter of session.subscriptions?.keys() ?? []) {
      add(name, 0, subscriptionUnits(filter));
    }
    for (const outgoing of everyOutgoing(session)) add(name, 1, bytesOf(outgoing.message));
  }
  for (const { account, bytes } of store.retained.all()) {
    add(account!.name, 2, 1);
    add(account!.name, 3, bytes);
  }
  const { accounts } = store;
  const counted = [...held.keys()].map((name) => {
    const account = accounts.find(name)!;
    const { subscriptions, queuedBytes, retainedMessages, retainedBytes } = account;
    return [name, [subscriptions, queuedBytes, retainedMessages, retainedBytes]] as const;
  });
  const sum = (at: number): number => [...held.values()].reduce((all, sums) => all + sums[at]!, 0);
  return {
    counted: new Map(counted),
    held,
    inAll: [accounts.subscriptions, accounts.queuedBytes, accounts.retainedBytes],
    sums: [sum(0), sum(1), sum(3)],
    durable: [...store.all()]
      .filter(({ durable }) => durable)
      .sort((one, other) => (one.clientId < other.clientId ? -1 : 1))
      .map((session) => ({
        id: session.clientId,
        owner: session.account.name,
        filters: [...(session.subscriptions?.keys() ?? [])],
        outgoing: everyOutgoing(session).map(({ sequence, message: { topic } }) => [
          sequence,
          topic,
        ]),
        incoming: [...(session.incoming ?? [])],
      })),
  };
}

const names = ['a', '__proto__', 'constructor', 'b'];

it('counts for each identity what is there, whatever happens to it, and reads it back after a restart', async () => {
  const random = createRandom(11);
  const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!;
  let store = await open();
  for (let step = 1; step <= 3000; step += 1) {
    const owner = pick(names);
    const id = `${owner}:${pick(names)}`;
    const session = store.find(id);
    const filter = pick(['x', '$share/g/x', `long/${'l'.repeat(500)}`, '__proto__/#', 'x/+']);
    const act = Math.floor(random() * 12);
    if (session === undefined || act === 0) {
      // Now and then an identity comes that is called like another's session.
      const by = random() < 0.1 ? pick(names) : owner;
      store.attach(id, by, { durable: random() < 0.7 });
    } else if (act <= 2) {
      store.subscribe(session, filter, {
        ...{ qos: 1, noLocal: false, retainAsPublished: true, identifier: undefined },
      });
    } else if (act === 3) store.unsubscribe(session, filter);
    else if (act <= 6) {
      const outgoing: Outgoing = {
        ...{ sequence: session.nextSequence(), message: message(`x/${step}`, step % 300), qos: 1 },
        ...{ retain: false, identifiers: undefined, packetId: 0, released: false },
        group: store.index.findGroup('$share/g/x'),
      };
      (session.queue ??= []).push(outgoing);
      store.queued(session, outgoing);
    } else if (act === 7) {
      const outgoing = session.queue?.shift();
      if (outgoing !== undefined) {
        outgoing.packetId = session.nextPacketId();
        (session.inflight ??= new Map()).set(outgoing.packetId, outgoing);
        store.sent(session, outgoing);
      }
    } else if (act === 8) {
      const [first] = session.inflight ?? [];
      if (first !== undefined) {
        session.inflight?.delete(first[0]);
        store.done(session, first[1]);
      }
    } else if (act === 9) {
      const bytes = random() < 0.3 ? 0 : step % 200;
      store.setRetained(message(`r/${step % 20}`, bytes, { retain: true }), session.account);
    } else if (act === 10) {
      if (random() < 0.5) store.beginIncoming(session, 1 + (step % 5));
      else store.endIncoming(session, 1 + (step % 5));
    } else if (random() < 0.3) store.detach(session, random() < 0.5 ? 0 : 60);

    if (step % 100 === 0) {
      const before = look(store);
      expect(before.counted).toEqual(before.held);
      expect(before.inAll).toEqual(before.sums);
      expect(before.sums.every((amount) => amount > 0)).toBe(true);
      await store.close();
      store = await open();
      const after = look(store);
      expect(after.counted).toEqual(after.held);
      expect(after.inAll).toEqual(after.sums);
      expect(after.durable).toEqual(before.durable);
    }
  }
  for (const session of [...store.all()]) store.drop(session);
  for (const {
    message: { topic },
  } of [...store.retained.all()]) {
    store.setRetained(message(topic, 0, { retain: true }), undefined);
  }
  expect(look(store).inAll).toEqual([0, 0, 0]);
  for (const name of names) expect(store.accounts.find(name)).toBeUndefined();
  await store.close();
}, 60_000);

it('gives an identity no more than an eighth of what is left of what all share', async () => {
  const store = await SessionStore.open({
    ...{ folder, clock, log, roles: noRoles },
    limits: { ...defaultLimits, maxQueuedBytesInAll: 100_000, maxRetainedBytesInAll: 100_000 },
  });
  const retainAll = (name: string): number => {
    const { account } = store.attach(name, name, { durable: true });
    let count = 0;
    while (store.setRetained(message(`${name}/${count}`, 100, { retain: true }), account))
      count += 1;
    return count;
  };
  const greedy = Array.from({ length: 30 }, (_, at) => retainAll(`greedy-${at}`));
  expect(greedy[0]! * 400).toBeLessThanOrEqual(12_500);
  // However many have taken what they could get, the next one gets some.
  expect(greedy.every((count) => count > 0)).toBe(true);
  // Beyond what all share stands what each may hold in any case: 4 KiB.
  expect(store.accounts.retainedBytes).toBeLessThanOrEqual(100_000 + 30 * 4096);
  await store.close();
});
