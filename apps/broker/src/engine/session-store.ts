// All sessions, retained messages and wills, in memory and in the journal. Rights are applied to what lies here as they are to the living.
import type { Logger } from 'pino';
import type { Clock, Instant } from '@keyline/kernel';
import type { Metrics } from '../metrics.ts';
import { Journal, type JournalRecord } from './journal.ts';
import {
  decodeMessage,
  encodeMessage,
  isExpired,
  type Message,
  type MessageRecord,
} from './message.ts';
import { enqueue, type Delivery, type OutgoingLog } from './outbox.ts';
import { Retained } from './retained.ts';
import { Session, type Outgoing, type SubscriptionOptions } from './session.ts';
import { lazily, queuedRecord, recordsOf, replayInto, sentRecord } from './session-records.ts';
import { parseShared, showShared } from './shared-name.ts';
import { matches, TopicTree } from './topic-tree.ts';

/** The rights of an identity, asked in a session's name. */
export interface SessionRights {
  readonly isKnown: (owner: string) => boolean;
  readonly maySubscribe: (session: Session, filter: string) => boolean;
  readonly mayReceive: (session: Session, topic: string) => boolean;
}

export interface StoredWill {
  readonly clientId: string;
  readonly owner: string;
  readonly message: Message;
  readonly delaySeconds: number;
  /** Set when the connection ended. */
  readonly dueAt?: Instant | undefined;
}

interface SessionStoreOptions {
  readonly folder: string;
  readonly rights: SessionRights;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly maxQueued: number;
}

export interface AbsentSubscription {
  readonly session: Session;
  readonly filter: string;
  readonly shared: string | undefined;
}

export class SessionStore implements OutgoingLog {
  readonly retained = new Retained();
  readonly #options: SessionStoreOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #byOwner = new Map<string, Set<Session>>();
  /** Subscriptions of clients that are away; those of connected ones are in the fan-out. */
  readonly #absent = new TopicTree<AbsentSubscription>();
  readonly #absentOf = new Map<Session, AbsentSubscription[]>();
  readonly #wills = new Map<string, StoredWill>();
  #journal: Journal | undefined;

  private constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  static async open(options: SessionStoreOptions): Promise<SessionStore> {
    const store = new SessionStore(options);
    const journal = await Journal.open({
      folder: options.folder,
      replay: (record) => {
        store.#replay(record);
      },
      snapshot: () => store.#snapshot(),
      onFailure: (error) => {
        options.log.error(
          { event: 'sessions not kept', error: error.message },
          `sessions and messages are not kept on disk: ${error.message}. Make room in ${options.folder} or repair it; it is tried again every few seconds`,
        );
      },
      onRecovery: () => {
        options.log.info(
          { event: 'sessions kept' },
          'sessions and messages are kept on disk again',
        );
      },
    });
    store.#journal = journal;
    // Nobody is connected yet, whatever the journal remembers.
    for (const session of store.#sessions.values()) store.#setAway(session);
    store.applyRights(true);
    return store;
  }

  /** False while the disk takes nothing. */
  get isKept(): boolean {
    return this.#journal?.isFailing !== true;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get messagesWaiting(): number {
    let count = 0;
    for (const { queue, inflight } of this.#sessions.values())
      count += queue.length + inflight.size;
    return count;
  }

  find(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  /** The session a client goes on with, made when there is none. */
  attach(clientId: string, owner: string, { durable }: { durable: boolean }): Session {
    let session = this.#sessions.get(clientId);
    if (session?.owner !== owner) {
      if (session !== undefined) this.drop(clientId);
      session = new Session(clientId, owner);
      this.#sessions.set(clientId, session);
      const owned = this.#byOwner.get(owner);
      if (owned === undefined) this.#byOwner.set(owner, new Set([session]));
      else owned.add(session);
    }
    if (session.durable !== durable) {
      session.durable = durable;
      if (durable) for (const record of recordsOf(session)) this.#append(record);
      else this.#append(['d', clientId]);
    }
    return session;
  }

  /** The client is here: its messages go through its outbox. */
  setPresent(session: Session): void {
    this.#removeAbsent(session);
    if (session.expiresAt === undefined) return;
    session.expiresAt = undefined;
    if (session.durable) this.#append(['o', session.clientId, null]);
  }

  detach(session: Session, expirySeconds: number): void {
    session.outbox = undefined;
    if (this.#sessions.get(session.clientId) !== session) return;
    if (!session.durable || expirySeconds === 0) {
      this.drop(session.clientId);
      return;
    }
    session.expiresAt = this.#options.clock.now() + expirySeconds * 1000;
    this.#append(['o', session.clientId, session.expiresAt]);
    this.#setAway(session);
    this.#applyRightsTo(session);
  }

  drop(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    this.#sessions.delete(clientId);
    this.#removeAbsent(session);
    const owned = this.#byOwner.get(session.owner);
    owned?.delete(session);
    if (owned?.size === 0) this.#byOwner.delete(session.owner);
    if (session.durable) this.#append(['d', clientId]);
  }

  subscribe(session: Session, filter: string, options: SubscriptionOptions): void {
    session.subscriptions.set(filter, options);
    if (session.durable) this.#append(['u', session.clientId, filter, options]);
  }

  unsubscribe(session: Session, filter: string): void {
    if (!session.subscriptions.delete(filter)) return;
    if (session.durable) this.#append(['x', session.clientId, filter]);
    if (this.#absentOf.has(session)) this.#setAway(session);
  }

  /** Subscriptions of absent clients to a topic; of a shared group only one. */
  absentFor(topic: string, isServed: (shared: string) => boolean): AbsentSubscription[] {
    const found = new Map<Session | string, AbsentSubscription>();
    this.#absent.match(topic, (subscription) => {
      const { session, filter, shared } = subscription;
      if (shared !== undefined) {
        if (!isServed(filter) && !found.has(filter)) found.set(filter, subscription);
        return;
      }
      const other = found.get(session);
      const qos = session.subscriptions.get(filter)?.qos ?? 0;
      if (other === undefined || (session.subscriptions.get(other.filter)?.qos ?? 0) < qos)
        found.set(session, subscription);
    });
    return [...found.values()];
  }

  enqueue(session: Session, delivery: Delivery): void {
    const { qos, message } = delivery;
    if (qos === 0 || !this.#options.rights.mayReceive(session, message.topic)) return;
    enqueue(session, { ...delivery, qos }, { ...this.#options, log: this });
  }

  beginIncoming(session: Session, messageId: number): void {
    session.incoming.add(messageId);
    if (session.durable) this.#append(['i', session.clientId, messageId]);
  }

  endIncoming(session: Session, messageId: number): void {
    if (session.incoming.delete(messageId) && session.durable)
      this.#append(['j', session.clientId, messageId]);
  }

  queued(session: Session, outgoing: Outgoing): void {
    if (session.durable) this.#append(queuedRecord(session, outgoing));
  }

  sent(session: Session, outgoing: Outgoing): void {
    if (session.durable) this.#append(sentRecord(session, outgoing));
  }

  done(session: Session, { sequence }: Outgoing): void {
    if (session.durable) this.#append(['a', session.clientId, sequence]);
  }

  setRetained(message: Message): void {
    if (message.payload.length === 0) {
      if (this.retained.delete(message.topic)) this.#append(['r', message.topic, null]);
      return;
    }
    this.retained.set(message);
    // The broker's own figures are made anew after a start.
    if (!message.topic.startsWith('$SYS/'))
      this.#append(['r', message.topic, encodeMessage(message)]);
  }

  setWill(will: StoredWill): void {
    this.#wills.set(will.clientId, will);
    this.#append(['w', will.clientId, { ...will, message: encodeMessage(will.message) }]);
  }

  deleteWill(clientId: string): void {
    if (this.#wills.delete(clientId)) this.#append(['w', clientId, null]);
  }

  will(clientId: string): StoredWill | undefined {
    return this.#wills.get(clientId);
  }

  wills(): readonly StoredWill[] {
    return [...this.#wills.values()];
  }

  /** Calls back when everything that was changed so far is on disk. */
  durable(done: (error?: Error) => void): void {
    if (this.#journal === undefined) done();
    else this.#journal.durable(done);
  }

  /** Takes from sessions what the rights no longer cover; `true` means everybody's. Large fleets in slices, between other work. */
  applyRights(owners: boolean | ReadonlySet<string>): void {
    if (owners === false) return;
    if (owners === true) {
      void this.#applyRightsInSlices([...this.#sessions.values()]);
      return;
    }
    for (const owner of owners) {
      for (const session of [...(this.#byOwner.get(owner) ?? [])]) this.#applyRightsTo(session);
    }
  }

  /** Ends the sessions of clients that stayed away too long. */
  expire(): void {
    const now = this.#options.clock.now();
    for (const session of [...this.#absentOf.keys()]) {
      if ((session.expiresAt ?? Infinity) > now) continue;
      const { clientId, queue } = session;
      this.#options.log.info(
        { event: 'session expired', clientId, waiting: queue.length },
        'the session of an absent client has expired',
      );
      this.drop(clientId);
    }
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }

  async #applyRightsInSlices(sessions: readonly Session[]): Promise<void> {
    for (let start = 0; start < sessions.length; start += rightsSlice) {
      for (const session of sessions.slice(start, start + rightsSlice))
        this.#applyRightsTo(session);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #applyRightsTo(session: Session): void {
    const { rights, metrics, log } = this.#options;
    if (!rights.isKnown(session.owner)) {
      // The client itself is cut by whoever cuts; a connected one goes on until then.
      if (session.outbox === undefined) this.drop(session.clientId);
      return;
    }
    const lost = [...session.subscriptions.keys()].filter(
      (filter) => !rights.maySubscribe(session, showShared(filter)),
    );
    if (session.outbox === undefined) {
      for (const filter of lost) this.unsubscribe(session, filter);
      if (lost.length > 0) {
        metrics.denied.inc({ action: 'keep-subscription' }, lost.length);
        log.info(
          {
            event: 'subscriptions ended',
            clientId: session.clientId,
            filters: lost.map(showShared),
          },
          'stored subscriptions ended, because the rights to them are gone',
        );
      }
    }
    // With a subscription go the messages that waited because of it alone.
    const kept = [...session.subscriptions.keys()].filter((filter) => !lost.includes(filter));
    const isCovered = (topic: string): boolean =>
      kept.some((name) => matches(parseShared(name)?.filter ?? name, topic));
    const isLost = ({ message: { topic } }: Outgoing): boolean =>
      !rights.mayReceive(session, topic) || (lost.length > 0 && !isCovered(topic));
    for (const outgoing of session.queue.filter(isLost)) {
      metrics.dropped.inc({ reason: 'right-gone' });
      this.done(session, outgoing);
    }
    session.queue = session.queue.filter((outgoing) => !isLost(outgoing));
    if (session.outbox !== undefined) return;
    for (const [messageId, outgoing] of [...session.inflight]) {
      if (outgoing.released || !isLost(outgoing)) continue;
      metrics.dropped.inc({ reason: 'right-gone' });
      session.inflight.delete(messageId);
      this.done(session, outgoing);
    }
  }

  #setAway(session: Session): void {
    this.#removeAbsent(session);
    const subscriptions = [...session.subscriptions.keys()].map((filter) => ({
      session,
      filter,
      shared: parseShared(filter)?.filter,
    }));
    for (const subscription of subscriptions) {
      this.#absent.add(subscription.shared ?? subscription.filter, subscription);
    }
    this.#absentOf.set(session, subscriptions);
  }

  #removeAbsent(session: Session): void {
    for (const subscription of this.#absentOf.get(session) ?? []) {
      this.#absent.remove(subscription.shared ?? subscription.filter, subscription);
    }
    this.#absentOf.delete(session);
  }

  #append(record: JournalRecord): void {
    this.#journal?.append(record);
  }

  *#snapshot(): Generator<JournalRecord> {
    const now = this.#options.clock.now();
    for (const message of this.retained.all()) {
      if (!message.topic.startsWith('$SYS/') && !isExpired(message, now))
        yield ['r', message.topic, lazily(message)];
    }
    for (const will of this.#wills.values()) {
      yield ['w', will.clientId, { ...will, message: lazily(will.message) }];
    }
    for (const session of this.#sessions.values()) {
      if (session.durable) yield* recordsOf(session);
    }
  }

  #replay(record: JournalRecord): void {
    const [kind, key, value] = record as [string, string, unknown];
    if (kind === 'r') {
      if (value === null) this.retained.delete(key);
      else this.retained.set(decodeMessage(value as MessageRecord));
      return;
    }
    if (kind === 'w') {
      if (value === null) this.#wills.delete(key);
      else {
        const will = value as Omit<StoredWill, 'message'> & { message: MessageRecord };
        this.#wills.set(key, { ...will, message: decodeMessage(will.message) });
      }
      return;
    }
    if (kind === 's') {
      this.attach(key, value as string, { durable: true });
      return;
    }
    if (kind === 'd') {
      this.drop(key);
      return;
    }
    const session = this.#sessions.get(key);
    // Records of a session that ended earlier in the same file.
    if (session !== undefined) replayInto(session, record);
  }
}

const rightsSlice = 200;
