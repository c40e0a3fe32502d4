// aedes' persistence port over our session store. Sending is the outbox's business, so to aedes every queue is empty.
import { Readable } from 'node:stream';
import type { PublishPacket } from 'aedes';
import type { Clock } from '@keyline/kernel';
import type { EngineClient } from './aedes-client.ts';
import { isExpired, messageOf, type Message } from './message.ts';
import type { Outbox } from './outbox.ts';
import type { SubscriptionOptions } from './session.ts';
import type { AbsentSubscription, SessionStore } from './session-store.ts';
import { parseShared } from './shared-name.ts';

type PersistenceClient = Pick<EngineClient, 'id' | 'conn' | 'sessionExpiryInterval'>;

interface PersistenceOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  /** Whether somebody connected serves a shared subscription. */
  readonly isServed: (shared: string) => boolean;
  readonly outboxOf: (client: PersistenceClient) => Outbox | undefined;
  readonly maySubscribe: (client: PersistenceClient, name: string) => boolean;
}

interface AskedSubscription extends SubscriptionOptions {
  readonly topic: string;
}

interface AbsentMatch {
  /** aedes looks at it for $SYS. */
  readonly topic: string;
  readonly absent: AbsentSubscription;
}

type StoredPacket = PublishPacket & { messageExpiry?: number };

export function createPersistence(options: PersistenceOptions): object {
  const { store, clock, isServed, outboxOf, maySubscribe } = options;
  const sessionOf = (client: PersistenceClient) => outboxOf(client)?.session;
  const retainedFor = (names: readonly string[]): Readable => {
    const now = clock.now();
    // A shared subscription gets no retained messages (MQTT 5.0 §4.8.2).
    const found = names
      .filter((name) => parseShared(name) === undefined)
      .flatMap((name) => store.retained.matching(name))
      .filter((message) => !isExpired(message, now));
    return Readable.from([...new Set(found)].map(packetOf));
  };
  return {
    // aedes looks whether this is an async function.
    setup: async () => undefined,
    destroy: async () => undefined,

    async storeRetained(packet: StoredPacket) {
      store.setRetained(messageOf(packet, clock.now()));
    },
    createRetainedStream: (name: string) => retainedFor([name]),
    createRetainedStreamCombi: retainedFor,

    async addSubscriptions(client: PersistenceClient, asked: readonly AskedSubscription[]) {
      const session = sessionOf(client);
      if (session === undefined) return;
      // aedes hands over the whole packet when one of its filters was granted: the others have to be left out here.
      for (const { topic, qos, nl, rap, rh, subscriptionIdentifier } of asked) {
        if (maySubscribe(client, topic))
          store.subscribe(session, topic, { qos, nl, rap, rh, subscriptionIdentifier });
      }
    },
    async removeSubscriptions(client: PersistenceClient, names: readonly string[]) {
      const session = sessionOf(client);
      if (session !== undefined) for (const name of names) store.unsubscribe(session, name);
    },
    async subscriptionsByClient({ id }: { id: string }) {
      const session = store.find(id);
      return [...(session?.subscriptions ?? [])].map(([topic, rest]) => ({ topic, ...rest }));
    },
    async subscriptionsByTopic(topic: string): Promise<AbsentMatch[]> {
      return store.absentFor(topic, isServed).map((absent) => ({ topic: absent.filter, absent }));
    },
    // Sessions end where they are attached and detached, and by our own clock, which also runs over a restart.
    cleanSubscriptions: async () => undefined,
    countOffline: async () => ({ subsCount: 0, clientsCount: 0 }),
    getClientList: () => Readable.from([]),

    async outgoingEnqueueCombi(matches: readonly AbsentMatch[], packet: StoredPacket) {
      if (matches.length === 0) return;
      const message = messageOf(packet, clock.now());
      for (const { absent } of matches) {
        const { session, filter } = absent;
        const subscription = session.subscriptions.get(filter);
        const identifier = subscription?.subscriptionIdentifier;
        store.enqueue(session, {
          message,
          qos: Math.min(packet.qos, subscription?.qos ?? 0) as 0 | 1 | 2,
          retain: subscription?.rap === true && packet.retain,
          identifiers: identifier === undefined ? undefined : [identifier],
        });
      }
    },
    outgoingEnqueue: async () => undefined,
    outgoingStream: () => Readable.from([]),
    async outgoingUpdate(client: PersistenceClient, { messageId }: { messageId: number }) {
      outboxOf(client)?.release(messageId);
    },
    async outgoingClearMessageId(client: PersistenceClient, { messageId }: { messageId: number }) {
      return outboxOf(client)?.acknowledge(messageId);
    },

    async incomingStorePacket(client: PersistenceClient, { messageId }: { messageId: number }) {
      const session = sessionOf(client);
      if (session !== undefined) store.beginIncoming(session, messageId);
    },
    async incomingGetPacket(client: PersistenceClient, packet: { messageId: number }) {
      if (sessionOf(client)?.incoming.has(packet.messageId) !== true)
        throw new Error('no such packet');
      return packet;
    },
    async incomingDelPacket(client: PersistenceClient, { messageId }: { messageId: number }) {
      const session = sessionOf(client);
      if (session !== undefined) store.endIncoming(session, messageId);
    },

    async putWill(client: PersistenceClient, will: StoredPacket) {
      const session = sessionOf(client);
      if (session === undefined) return;
      const { clientId, owner } = session;
      const asked =
        (will.properties as { willDelayInterval?: number } | undefined)?.willDelayInterval ?? 0;
      // It is due with the end of the session at the latest (MQTT 5.0 §3.1.3.2.2).
      const delaySeconds = Math.min(asked, client.sessionExpiryInterval);
      store.setWill({ clientId, owner, message: messageOf(will, clock.now()), delaySeconds });
    },
    async delWill({ id }: { id: string }) {
      store.deleteWill(id);
    },
    getWill: async () => undefined,
    // Wills of an earlier run are sent by the engine, which knows their delays.
    streamWill: () => Readable.from([]),
  };
}

function packetOf(message: Message): StoredPacket {
  const { topic, payload, qos, properties, expiresAt } = message;
  return {
    cmd: 'publish',
    topic,
    payload,
    qos,
    retain: true,
    dup: false,
    ...(properties === undefined ? {} : { properties }),
    ...(expiresAt === undefined ? {} : { messageExpiry: expiresAt }),
  };
}
