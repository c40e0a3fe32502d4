// SUBSCRIBE and UNSUBSCRIBE: by rights and budgets, durable before they are acknowledged, retained messages after it.
import {
  isSharedFilter,
  isTopicFilter,
  matchesTopic,
  parseSharedFilter,
  type SubscribePacket,
  type UnsubscribePacket,
} from '@keyline/mqtt';
import type { Logger } from 'pino';
import { messageOf, type Clock } from '@keyline/kernel';
import type { DynsecEngine } from '@keyline/dynsec';
import type { Metrics } from '../metrics.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { subscriptionUnits } from './account.ts';
import type { Connection } from './connection.ts';
import type { Delivery } from './delivery.ts';
import { guard } from './guard.ts';
import { isExpired, type Message, type Qos } from './message.ts';
import { rightRemedy } from './right-remedy.ts';
import type { Outgoing, Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import type { SubscriptionOptions } from './subscription.ts';

interface SubscribingOptions {
  readonly store: SessionStore;
  readonly delivery: Delivery;
  readonly dynsec: Pick<
    DynsecEngine,
    'maySubscribe' | 'mayUnsubscribe' | 'mayReceive' | 'checkIdentity' | 'rolesOf'
  >;
  readonly isKnown: (owner: string) => boolean;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** MQTT 5 §3.9.3; before, everything that is refused is 0x80. */
const refused = { right: 0x87, filter: 0x8f, quota: 0x97 } as const;
const noSubscription = 0x11;
const rightsSlice = 200;

export class Subscribing {
  readonly #options: SubscribingOptions;

  constructor(options: SubscribingOptions) {
    this.#options = options;
  }

  /** @returns what it has cost */
  subscribe(connection: Connection, packet: SubscribePacket): number {
    const { store, log } = this.#options;
    const session = sessionOf(connection);
    const { packetId, subscriptions, properties } = packet;
    const appended = store.appended;
    const identifier = properties?.subscriptionIdentifier;
    const retained: (readonly [filter: string, feed: Iterator<void>])[] = [];
    const reasonCodes = subscriptions.map((asked) => {
      const isNew = session.subscriptions?.has(asked.filter) !== true;
      const code = this.#judge(connection, asked.filter, isNew);
      if (code !== undefined) return connection.version === 5 ? code : 0x80;
      const { filter, qos, noLocal, retainAsPublished, retainHandling } = asked;
      const options = { qos, noLocal, retainAsPublished, identifier };
      store.subscribe(session, filter, options);
      // A shared subscription gets no retained messages (MQTT 5 §4.8.2).
      const wantsRetained = retainHandling === 0 || (retainHandling === 1 && isNew);
      if (wantsRetained && !isSharedFilter(filter))
        retained.push([filter, this.#sendRetained(connection, session, filter, options)]);
      return qos;
    });
    log.debug(
      {
        event: 'subscribed',
        clientId: connection.clientId,
        filters: subscriptions.map(({ filter }) => filter),
      },
      'subscribed',
    );
    this.#answer(connection, appended, () => {
      connection.sendPacket({ type: 'suback', packetId, reasonCodes });
      for (const [filter, feed] of retained) connection.addFeed(filter, feed);
    });
    return 2 + subscriptions.length * 2;
  }

  unsubscribe(connection: Connection, { packetId, filters }: UnsubscribePacket): number {
    const { store, dynsec } = this.#options;
    const session = sessionOf(connection);
    const appended = store.appended;
    const reasonCodes = filters.map((filter) => {
      const subscription = session.subscriptions?.get(filter);
      if (subscription === undefined) return noSubscription;
      if (!dynsec.mayUnsubscribe(connection, filter)) {
        this.#refuse(connection, 'unsubscribe', filter);
        return refused.right;
      }
      this.#end(session, filter);
      return 0;
    });
    this.#answer(connection, appended, () => {
      connection.sendPacket({ type: 'unsuback', packetId, reasonCodes });
    });
    return 2 + filters.length * 2;
  }

  /** What the broker says to a session alone, if it has subscribed to the topic. */
  sendTo(connection: Connection, topic: string, payload: string): void {
    const { session } = connection;
    if (session === undefined || !this.#options.dynsec.mayReceive(connection, topic)) return;
    const matching = [...(session.subscriptions?.values() ?? [])].filter(
      ({ group, topicFilter }) => group === undefined && matchesTopic(topicFilter, topic),
    );
    if (matching.length === 0) return;
    const identifiers = matching.flatMap(({ options }) => options.identifier ?? []);
    const message: Message = {
      ...{ topic, payload: Buffer.from(payload), qos: 0, retain: false },
      ...{ properties: undefined, expiresAt: undefined },
    };
    this.#options.delivery.offer(session, {
      ...{ message, qos: 0, retain: false },
      identifiers: identifiers.length === 0 ? undefined : identifiers,
    });
  }

  /** Takes from sessions what the rights no longer cover; `true` means everybody's. Those of absent clients in slices, between other work. */
  applyRights(owners: boolean | ReadonlySet<string>): void {
    const { store } = this.#options;
    if (owners === false) return;
    // What was found out about who may receive what holds no longer.
    store.index.version += 1;
    if (owners === true) {
      for (const session of store.all()) {
        if (session.connection !== undefined) this.#applyRightsWithin(session);
      }
      void this.#applyRightsInSlices([...store.all()]);
      return;
    }
    for (const owner of owners) {
      for (const session of [...(store.accounts.find(owner)?.sessions ?? [])])
        this.#applyRightsWithin(session);
    }
  }

  applyRightsTo(connection: Connection): void {
    if (connection.session !== undefined) this.#applyRightsTo(connection.session);
  }

  /** @returns the reason code with which a filter is refused */
  #judge(connection: Connection, filter: string, isNew: boolean): number | undefined {
    const { store, dynsec } = this.#options;
    const topicFilter = isSharedFilter(filter) ? parseSharedFilter(filter)?.filter : filter;
    if (topicFilter === undefined || !isTopicFilter(topicFilter)) return refused.filter;
    if (!dynsec.maySubscribe(connection, filter)) {
      this.#refuse(connection, 'subscribe', filter);
      return refused.right;
    }
    const { account } = connection;
    if (
      isNew &&
      (account === undefined || !store.accounts.maySubscribe(account, subscriptionUnits(filter)))
    ) {
      this.#refuse(connection, 'subscribe-quota', filter);
      return refused.quota;
    }
    return undefined;
  }

  #refuse(connection: Connection, action: keyof typeof refusalTexts, filter: string): void {
    const { metrics, refusals, dynsec } = this.#options;
    const shown = filter.slice(0, 200);
    const [event, verb, quota] = refusalTexts[action];
    const remedy =
      action === 'subscribe-quota' ? quota : rightRemedy(dynsec, connection.username, action);
    metrics.denied.inc({ action });
    refusals.write({
      event,
      reason: action,
      certificate: { cn: connection.username, serialHex: connection.identity.serialHex },
      clientId: connection.clientId,
      peer: connection.address,
      topic: shown,
      happened: `"${connection.username}" ${verb} "${shown}".`,
      remedy,
    });
  }

  /** When what was changed is on disk. While the disk takes nothing, the subscription is in force all the same, and the log says it. */
  #answer(connection: Connection, appendedBefore: number, send: () => void): void {
    const { store } = this.#options;
    if (store.appended === appendedBefore) send();
    else {
      store.durable(() => {
        if (connection.state !== 'ended') guard(connection, send);
      });
    }
  }

  *#sendRetained(
    connection: Connection,
    session: Session,
    filter: string,
    { qos, identifier }: SubscriptionOptions,
  ): Generator<void> {
    const { store, delivery, dynsec, clock, metrics } = this.#options;
    const identifiers = identifier === undefined ? undefined : [identifier];
    for (const message of store.retained.matching(filter)) {
      if (session.subscriptions?.has(filter) !== true) return;
      if (isExpired(message, clock.now())) continue;
      if (dynsec.mayReceive(connection, message.topic)) {
        const least = Math.min(qos, message.qos) as Qos;
        delivery.offer(session, { message, qos: least, retain: true, identifiers });
      } else metrics.denied.inc({ action: 'receive' });
      yield;
    }
  }

  #end(session: Session, filter: string): void {
    const { store, delivery } = this.#options;
    const group = session.subscriptions?.get(filter)?.group;
    store.unsubscribe(session, filter);
    session.connection?.endFeed(filter);
    if (group !== undefined) delivery.passOnOf(session, group);
  }

  async #applyRightsInSlices(sessions: readonly Session[]): Promise<void> {
    for (let start = 0; start < sessions.length; start += rightsSlice) {
      for (const session of sessions.slice(start, start + rightsSlice)) {
        if (session.connection === undefined) this.#applyRightsWithin(session);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** One session that it fails for must not keep the others from it: it ends. */
  #applyRightsWithin(session: Session): void {
    try {
      this.#applyRightsTo(session);
    } catch (error) {
      const { connection, clientId } = session;
      const said = messageOf(error);
      this.#options.log.error({ event: 'session failed', clientId, error: said }, said);
      this.#options.store.drop(session);
      connection?.fail(error);
    }
  }

  #applyRightsTo(session: Session): void {
    const { store, dynsec, metrics, log, isKnown } = this.#options;
    if (!isKnown(session.account.name)) {
      // The client itself is cut by whoever cuts; a connected one goes on until then.
      if (session.connection === undefined) store.drop(session);
      return;
    }
    const lost = [...(session.subscriptions?.keys() ?? [])].filter(
      (filter) => !dynsec.maySubscribe(session, filter),
    );
    for (const filter of lost) this.#end(session, filter);
    if (lost.length > 0) {
      metrics.denied.inc({ action: 'keep-subscription' }, lost.length);
      log.info(
        { event: 'subscriptions ended', clientId: session.clientId, filters: lost },
        'subscriptions ended, because the rights to them are gone',
      );
    }
    this.#dropLost(session, lost.length > 0);
  }

  /** With a subscription go the messages that waited because of it alone. */
  #dropLost(session: Session, hasLost: boolean): void {
    const { store, dynsec, metrics } = this.#options;
    const kept = [...(session.subscriptions?.values() ?? [])];
    const isCovered = (topic: string): boolean =>
      kept.some(({ topicFilter }) => matchesTopic(topicFilter, topic));
    const isLost = ({ message: { topic } }: Outgoing): boolean =>
      !dynsec.mayReceive(session, topic) || (hasLost && !isCovered(topic));
    const lost = session.queue?.filter(isLost) ?? [];
    if (lost.length > 0) {
      const gone = new Set(lost);
      session.queue = session.queue?.filter((outgoing) => !gone.has(outgoing));
    }
    if (session.connection === undefined) {
      for (const [packetId, outgoing] of session.inflight ?? []) {
        if (outgoing.released || !isLost(outgoing)) continue;
        session.inflight?.delete(packetId);
        lost.push(outgoing);
      }
    }
    for (const outgoing of lost) {
      metrics.dropped.inc({ reason: 'right-gone' });
      store.done(session, outgoing);
    }
  }
}

const refusalTexts = {
  subscribe: ['subscription denied', 'may not subscribe to', ''],
  'subscribe-quota': [
    'subscription denied',
    'has as many subscriptions as it may have and asked for',
    'End some of its subscriptions (a long or deep filter counts as several), or raise --max-subscriptions-per-identity.',
  ],
  unsubscribe: ['unsubscription denied', 'may not end its subscription to', ''],
} as const;

function sessionOf({ session }: Connection): Session {
  if (session === undefined) throw new Error('a subscription from a connection without a session');
  return session;
}
