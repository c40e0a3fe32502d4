// From a message to its receivers: within each one's window and budgets, by its rights, and never waiting for one in anybody else's way.
import { encodePacket } from '@keyline/mqtt';
import type { Clock } from '@keyline/kernel';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import type { Connection } from './connection.ts';
import { guard } from './guard.ts';
import { bytesOf, isExpired, type Message, type Qos } from './message.ts';
import type { Publication } from './publication.ts';
import type { Receiver, Route } from './routes.ts';
import { unkept, type Outgoing, type Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import type { SharedGroup } from './shared-group.ts';

interface DeliveryOptions {
  readonly store: SessionStore;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly mayReceive: (session: Session, topic: string) => boolean;
}

/** What one session gets of a message. */
interface Offer {
  readonly message: Message;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  readonly group?: SharedGroup | undefined;
}

export class Delivery {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** @param publisher gets nothing of what it subscribed to with No Local */
  deliver(route: Route, publication: Publication, publisher: Session | undefined): void {
    const { receivers, groups, denied } = route;
    this.countDenied(denied);
    for (const receiver of receivers) this.give(receiver, publication, publisher);
    for (const group of groups) this.giveToOne(group, publication);
  }

  /** Subscribers that may not receive a message. */
  countDenied(count: number): void {
    if (count > 0) this.#options.metrics.denied.inc({ action: 'receive' }, count);
  }

  give(receiver: Receiver, publication: Publication, publisher: Session | undefined): void {
    if (receiver.session !== publisher) this.#deliverTo(receiver, publication);
    else if (receiver.forOwn !== undefined) this.#deliverTo(receiver.forOwn, publication);
  }

  /** To one member of a shared subscription. */
  giveToOne(group: SharedGroup, publication: Publication): void {
    const { metrics, mayReceive } = this.#options;
    const member = group.choose((session) => mayReceive(session, publication.topic));
    if (member === undefined) {
      metrics.denied.inc({ action: 'receive' });
      return;
    }
    const { session, options } = member;
    const { message } = publication;
    const qos = Math.min(options.qos, message.qos) as Qos;
    const retain = options.retainAsPublished && message.retain;
    const identifiers = options.identifier === undefined ? undefined : [options.identifier];
    const give = (): void => {
      this.offer(session, { message, qos, retain, identifiers, group });
    };
    if (session.connection === undefined) give();
    else guard(session.connection, give);
  }

  /** To one session: a retained message, or an answer to its administrator alone. */
  offer(session: Session, offer: Offer): void {
    const { connection } = session;
    if (offer.qos === 0) {
      if (connection !== undefined) this.#sendOnce(connection, offer);
      return;
    }
    if (this.#enqueue(session, { ...offer, qos: offer.qos }) && connection !== undefined)
      this.pump(session, connection);
  }

  /** After CONNACK: what was under way comes again, in its order [MQTT-4.4.0-1], then what waits. */
  resume(session: Session, connection: Connection): void {
    const again = [...(session.inflight?.values() ?? [])];
    // The window may be smaller than it was: the rest follows as it opens.
    connection.toRepeat = again.splice(connection.window);
    for (const outgoing of again) this.#repeat(session, connection, outgoing);
    this.pump(session, connection);
  }

  /** As much of what waits as the window takes, and the peer reads. */
  pump(session: Session, connection: Connection): void {
    const { store, limits } = this.#options;
    const { queue } = session;
    if (queue === undefined) return;
    while (
      queue.length > 0 &&
      (session.inflight?.size ?? 0) < connection.window &&
      connection.output.unreadBytes < limits.maxUnreadBytes
    ) {
      const outgoing = queue.shift() as Outgoing;
      outgoing.packetId = session.nextPacketId();
      (session.inflight ??= new Map()).set(outgoing.packetId, outgoing);
      if (this.#send(connection, outgoing, { dup: false })) store.sent(session, outgoing);
      else this.#discard(session, outgoing);
    }
  }

  /** PUBACK, PUBCOMP, or a PUBREC that refuses. @returns whether there was such a message */
  acknowledge(session: Session, packetId: number): boolean {
    const { inflight } = session;
    const outgoing = inflight?.get(packetId);
    if (inflight === undefined || outgoing === undefined) return false;
    inflight.delete(packetId);
    if (outgoing !== unkept) this.#options.store.done(session, outgoing);
    const { connection } = session;
    if (connection === undefined) return true;
    const next = connection.toRepeat?.shift();
    if (next !== undefined) this.#repeat(session, connection, next);
    if (session.queue !== undefined) this.pump(session, connection);
    connection.wake();
    return true;
  }

  /** PUBREC: from now on only PUBREL is repeated. @returns whether there was such a message */
  release(session: Session, packetId: number): boolean {
    const outgoing = session.inflight?.get(packetId);
    if (outgoing?.qos !== 2) return false;
    if (!outgoing.released) {
      outgoing.released = true;
      this.#options.store.sent(session, outgoing);
    }
    return true;
  }

  /** The connection is gone: what a shared subscription gave it and others can do meanwhile is theirs (MQTT 5 §4.8.2). */
  passOn(session: Session): void {
    const isForOthers = ({ group, qos, packetId }: Outgoing): boolean =>
      group !== undefined &&
      (qos === 1 || packetId === 0) &&
      group.members.some((member) => member.session.connection !== undefined);
    this.#passOnThose(session, isForOthers);
  }

  /** It has left the shared subscription. */
  passOnOf(session: Session, group: SharedGroup): void {
    // Sent and not acknowledged: it may still acknowledge it.
    this.#passOnThose(session, (outgoing) => outgoing.group === group && outgoing.packetId === 0);
  }

  /** Another member gets it. */
  deliverOrphan({ message, group, retain }: Outgoing): void {
    if (group === undefined) return;
    const { metrics, mayReceive } = this.#options;
    const member = group.choose((session) => mayReceive(session, message.topic));
    if (member === undefined) {
      metrics.dropped.inc({ reason: 'no-member' });
      return;
    }
    const { qos, identifier } = member.options;
    const identifiers = identifier === undefined ? undefined : [identifier];
    const least = Math.min(qos, message.qos) as Qos;
    this.offer(member.session, { message, qos: least, retain, identifiers, group });
  }

  #repeat(session: Session, connection: Connection, outgoing: Outgoing): void {
    if (session.inflight?.get(outgoing.packetId) !== outgoing) return;
    if (outgoing.released) connection.output.appendShort(0x62, outgoing.packetId);
    else if (!this.#send(connection, outgoing, { dup: true })) this.#discard(session, outgoing);
  }

  #passOnThose(session: Session, isMeant: (outgoing: Outgoing) => boolean): void {
    const meant = [...(session.inflight?.values() ?? []), ...(session.queue ?? [])].filter(isMeant);
    for (const outgoing of meant) {
      if (outgoing.packetId !== 0) session.inflight?.delete(outgoing.packetId);
      this.#options.store.done(session, outgoing);
    }
    if (meant.length === 0) return;
    // As a set: whoever goes may leave a great many behind.
    const gone = new Set(meant);
    session.queue = session.queue?.filter((outgoing) => !gone.has(outgoing));
    for (const outgoing of meant) this.deliverOrphan(outgoing);
  }

  #deliverTo(receiver: Receiver, publication: Publication): void {
    const { connection } = receiver.session;
    const qos = receiver.qos < publication.qos ? receiver.qos : publication.qos;
    if (connection === undefined) {
      // One that is not durable has ended while this message was under way.
      if (qos > 0 && receiver.session.durable) this.#offerPublication(receiver, publication, qos);
      return;
    }
    // Whatever is wrong with a receiver is no matter of the publisher's. Not by `guard`: a closure for each receiver is too much here.
    try {
      this.#deliverToPresent(receiver, connection, publication, qos);
    } catch (error) {
      connection.fail(error);
    }
  }

  #deliverToPresent(
    receiver: Receiver,
    connection: Connection,
    publication: Publication,
    qos: Qos,
  ): void {
    const { session } = receiver;
    if (
      !connection.isPlain ||
      !publication.isPlain ||
      receiver.identifiers !== undefined ||
      (qos > 0 && (session.durable || !this.#hasRoom(session, connection)))
    ) {
      this.#offerPublication(receiver, publication, qos);
      return;
    }
    const { metrics, limits } = this.#options;
    const { output } = connection;
    if (qos === 0 && output.unreadBytes > limits.maxUnreadBytes) {
      metrics.dropped.inc({ reason: 'slow-client' });
      return;
    }
    let packetId = 0;
    if (qos > 0) {
      packetId = session.nextPacketId();
      (session.inflight ??= new Map()).set(packetId, qos === 1 ? unkept : { ...unkept, qos: 2 });
    }
    const retain = receiver.retainAsPublished && publication.retain ? 1 : 0;
    publication.write(output, 0x30 | (qos << 1) | retain, packetId, connection.version === 5);
    metrics.sent.count(qos);
  }

  #hasRoom(session: Session, connection: Connection): boolean {
    return (
      (session.queue === undefined || session.queue.length === 0) &&
      (session.inflight?.size ?? 0) < connection.window &&
      connection.output.unreadBytes < this.#options.limits.maxUnreadBytes
    );
  }

  #offerPublication(receiver: Receiver, publication: Publication, qos: Qos): void {
    const { session, identifiers, retainAsPublished } = receiver;
    const { message } = publication;
    this.offer(session, { message, qos, retain: retainAsPublished && message.retain, identifiers });
  }

  #enqueue(session: Session, offer: Offer & { readonly qos: 1 | 2 }): boolean {
    const { store, metrics, limits } = this.#options;
    const queue = (session.queue ??= []);
    if (
      queue.length >= limits.maxQueuedMessages ||
      !store.accounts.mayQueue(session.account, bytesOf(offer.message))
    ) {
      metrics.dropped.inc({ reason: 'queue-full' });
      return false;
    }
    const outgoing: Outgoing = {
      sequence: session.nextSequence(),
      message: offer.message,
      qos: offer.qos,
      retain: offer.retain,
      identifiers: offer.identifiers,
      group: offer.group,
      packetId: 0,
      released: false,
    };
    queue.push(outgoing);
    store.queued(session, outgoing);
    return true;
  }

  #sendOnce(connection: Connection, { message, retain, identifiers }: Offer): void {
    const { metrics, limits } = this.#options;
    if (connection.output.unreadBytes > limits.maxUnreadBytes) {
      metrics.dropped.inc({ reason: 'slow-client' });
      return;
    }
    this.#write(connection, { message, qos: 0, retain, identifiers }, 0, false);
  }

  #discard(session: Session, outgoing: Outgoing): void {
    session.inflight?.delete(outgoing.packetId);
    this.#options.store.done(session, outgoing);
  }

  #send(connection: Connection, outgoing: Outgoing, { dup }: { dup: boolean }): boolean {
    const { clock, metrics, mayReceive } = this.#options;
    const { message, packetId } = outgoing;
    if (isExpired(message, clock.now())) {
      metrics.dropped.inc({ reason: 'expired' });
      return false;
    }
    // Between being queued and being sent, the right may have gone.
    if (connection.session === undefined || !mayReceive(connection.session, message.topic)) {
      metrics.denied.inc({ action: 'receive' });
      return false;
    }
    return this.#write(connection, outgoing, packetId, dup);
  }

  /** @returns false when the packet is larger than the client takes: as if it had been delivered [MQTT-3.1.2-25] */
  #write(connection: Connection, offer: Offer, packetId: number, dup: boolean): boolean {
    const { metrics, clock } = this.#options;
    const { message, qos, retain, identifiers } = offer;
    const { topic, payload } = message;
    const isFive = connection.version === 5;
    const own = isFive ? propertiesOf(message, identifiers, clock.now()) : undefined;
    const packet = { type: 'publish', topic, payload, qos, retain, dup, packetId } as const;
    const bytes = encodePacket({ ...packet, properties: own }, connection.version);
    if (bytes.length > connection.maximumPacketSize) {
      metrics.dropped.inc({ reason: 'packet-too-large' });
      return false;
    }
    const alias = isFive ? connection.outgoingAliases?.use(topic) : undefined;
    if (alias === undefined) connection.output.append(bytes);
    else {
      const properties = { ...own, topicAlias: alias.number };
      const name = alias.isNew ? topic : '';
      connection.output.append(encodePacket({ ...packet, topic: name, properties }, 5));
    }
    metrics.sent.count(qos);
    return true;
  }
}

function propertiesOf(
  { properties, expiresAt }: Message,
  identifiers: readonly number[] | undefined,
  now: number,
) {
  if (expiresAt === undefined && identifiers === undefined) return properties;
  return {
    ...properties,
    ...(expiresAt === undefined
      ? {}
      : { messageExpiryInterval: Math.max(1, Math.ceil((expiresAt - now) / 1000)) }),
    ...(identifiers === undefined ? {} : { subscriptionIdentifiers: identifiers }),
  };
}
