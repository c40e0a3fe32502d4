// A PUBLISH from a client, from the question whether it may to its acknowledgement.
import { MalformedPacket, type PublishPacket } from '@keyline/mqtt';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { DynsecEngine } from '@keyline/dynsec';
import type { ControlApi } from '../control-api.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { Slot } from './acknowledgements.ts';
import type { Connection } from './connection.ts';
import { hold } from './hold.ts';
import type { Delivery } from './delivery.ts';
import { FanOut } from './fan-out.ts';
import { guard } from './guard.ts';
import { copyOf, expiryOf, ownPropertiesOf, type Message, type Qos } from './message.ts';
import { Publication } from './publication.ts';
import { findDenial, retainedDenial, type Denial } from './publish-denials.ts';
import { answer, shortAnswer, storedAnswer } from './publish-answers.ts';
import { equals, type Route, type Routes } from './routes.ts';
import type { Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import { IncomingAliases } from './topic-aliases.ts';

interface PublishingOptions {
  readonly store: SessionStore;
  readonly routes: Routes;
  readonly delivery: Delivery;
  readonly dynsec: Pick<DynsecEngine, 'mayPublish' | 'rolesOf'>;
  readonly control: ControlApi;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly now: () => number;
  readonly mayReceive: (session: Session, topic: string) => boolean;
  readonly log: Logger;
}

/** What a record of the journal costs, beside what one more receiver does. */
const recordWork = 4;
const dollar = 0x24;
/** As if something had been written down since. */
const neverWritten = -1;
/** How many topic aliases a client may set [MQTT-3.2.2-18]. */
export const topicAliasMaximum = 10;

export class Publishing {
  readonly #options: PublishingOptions;
  readonly #publication = new Publication();
  readonly #fanOut: FanOut;

  constructor(options: PublishingOptions) {
    this.#options = options;
    this.#fanOut = new FanOut({ ...options, index: options.store.index });
  }

  /**
   * The usual PUBLISH, without looking at more of it than its bounds: QoS 0 or 1, not retained, no properties, to a topic that is
   * known already and may be published to.
   * @returns what it has cost; 0: it is something else
   */
  takeUsual(connection: Connection, bytes: Buffer, start: number, end: number): number {
    const { routes, limits, metrics, delivery, store } = this.#options;
    const first = bytes[start] ?? 0;
    const qos = ((first >> 1) & 3) as Qos;
    // Retained, QoS 2, and a duplicate at QoS 0, which there is not.
    if ((first & 1) !== 0 || qos > 1 || (qos === 0 && (first & 8) !== 0)) return 0;
    const isFive = connection.version === 5;
    const body = start + 1 + lengthBytes(bytes, start + 1);
    // A length in more bytes than it needs [MQTT-1.5.5-1].
    if (bytes[body - 1] === 0) return 0;
    const topicStart = body + 2;
    const topicEnd = topicStart + (((bytes[body] ?? 0) << 8) | (bytes[body + 1] ?? 0));
    const payloadStart = topicEnd + (qos > 0 ? 2 : 0) + (isFive ? 1 : 0);
    if (payloadStart > end || bytes[topicStart] === dollar) return 0;
    if (isFive && bytes[payloadStart - 1] !== 0) return 0;
    const packetId = qos > 0 ? ((bytes[topicEnd] ?? 0) << 8) | (bytes[topicEnd + 1] ?? 0) : 1;
    if (
      packetId === 0 ||
      (limits.messageSizeLimit > 0 && end - payloadStart > limits.messageSizeLimit)
    )
      return 0;
    const { session, account } = connection;
    if (session === undefined || account === undefined) return 0;
    let { route } = connection;
    if (
      route === undefined ||
      !routes.isCurrent(route) ||
      !equals(route.topicBytes, bytes, topicStart, topicEnd)
    ) {
      route = routes.findKnown(bytes, topicStart, topicEnd);
      if (route === undefined) return 0;
      connection.route = route;
      connection.mayPublish = this.#options.dynsec.mayPublish(connection, route.topic);
    }
    if (!connection.mayPublish || this.#fanOut.takes(route, account)) return 0;
    if (qos > 0 && !this.#hasRoom(connection, session)) return 1;
    metrics.received.count(qos);
    this.#spend(connection, end - start);
    const publication = this.#publication;
    publication.topic = route.topic;
    publication.topicBytes = route.topicBytes;
    publication.qos = qos;
    publication.retain = false;
    publication.bytes = bytes;
    publication.start = start;
    publication.topicEnd = topicEnd;
    publication.payloadStart = payloadStart;
    publication.end = end;
    publication.isFive = isFive;
    publication.begin();
    const appended = qos > 0 ? store.appended : 0;
    delivery.deliver(route, publication, session);
    if (qos === 0) return 1 + route.receivers.length + route.groups.length;
    this.#acknowledgeStored(connection, 0x40, packetId, appended);
    const written = (store.appended - appended) * recordWork;
    if (written > 0) this.holdWhileBehind(connection);
    return 1 + route.receivers.length + route.groups.length + written;
  }

  /** Whoever has something written down waits while the disk takes less than that: what is on its way to it takes memory. */
  holdWhileBehind(connection: Connection): void {
    const { store } = this.#options;
    if (!store.isBehind || connection.isHeldBy(hold.disk)) return;
    connection.hold(hold.disk);
    store.whenCaughtUp(() => {
      connection.letGo(hold.disk);
    });
  }

  /** Any PUBLISH. @returns what it has cost */
  take(connection: Connection, packet: PublishPacket): number {
    const { metrics, routes, store } = this.#options;
    const { session } = connection;
    if (session === undefined) throw new Error('a message from a connection without a session');
    const topic = this.#topicOf(connection, packet);
    const { qos, packetId } = packet;
    const isRepeated = qos === 2 && session.incoming?.has(packetId) === true;
    if (qos > 0 && !isRepeated && !this.#hasRoom(connection, session)) return 1;
    metrics.received.count(qos);
    this.#spend(connection, packet.payload.length + topic.length);
    if (isRepeated) {
      // However often it repeats it, the answers that wait are not more than they may be.
      if (connection.acknowledgementsOwed >= this.#options.limits.maxIncomingMessages)
        connection.hold(hold.acknowledgements);
      // What it was sent for the first time may not be on disk yet.
      this.#acknowledgeStored(connection, 0x50, packetId, neverWritten);
      return 1;
    }
    const denial = findDenial(connection, topic, packet.payload.length, this.#options);
    if (denial !== undefined) {
      this.#deny(connection, topic, packet, denial);
      return 1;
    }
    if (topic.startsWith('$CONTROL/')) {
      this.#control(connection, topic, packet);
      return 1;
    }
    const appended = store.appended;
    const message = this.#messageOf(topic, packet);
    if (message.retain && !store.setRetained(message, connection.account)) {
      this.#deny(connection, topic, packet, retainedDenial(connection, topic));
      return 1;
    }
    const route = routes.find(topic);
    if (!topic.startsWith('$')) {
      connection.route = route;
      connection.mayPublish = true;
    }
    if (this.#fanOut.takes(route, connection.account)) {
      this.#deliverInTurns(connection, session, route, { message, packetId });
      return 1 + route.receivers.length + route.groups.length + (route.cost >> 4);
    }
    if (qos === 2) store.beginIncoming(session, packetId);
    this.#publication.setMessage(message, route.topicBytes);
    this.#options.delivery.deliver(route, this.#publication, session);
    if (qos > 0) this.#acknowledgeStored(connection, qos === 1 ? 0x40 : 0x50, packetId, appended);
    const written = (store.appended - appended) * recordWork;
    return 1 + route.receivers.length + route.groups.length + (route.cost >> 4) + written;
  }

  /** From the broker itself, or a will: no right is asked for. */
  publish(message: Message, owner: string | undefined): void {
    const { routes, store, delivery } = this.#options;
    const account = owner === undefined ? undefined : store.accounts.open(owner);
    if (message.retain) store.setRetained(message, account);
    if (account !== undefined) store.accounts.close(account);
    const route = routes.find(message.topic);
    // Not the one that a message from a client is in: it may be its delivery that this one comes of.
    const publication = new Publication();
    publication.setMessage(message, route.topicBytes);
    if (this.#fanOut.takes(route, undefined))
      this.#fanOut.add(route, publication, undefined, () => undefined);
    else delivery.deliver(route, publication, undefined);
  }

  /** The broker stops: whoever is still to get something gets it now. */
  finish(): void {
    this.#fanOut.finish();
  }

  /** What the client sends next waits for it, and so does its acknowledgement. */
  #deliverInTurns(
    connection: Connection,
    session: Session,
    route: Route,
    { message, packetId }: { readonly message: Message; readonly packetId: number },
  ): void {
    const { store } = this.#options;
    const { qos } = message;
    const publication = new Publication();
    publication.setMessage(message, route.topicBytes);
    connection.hold(hold.fanOut);
    // Written down only with the last of its receivers: a crash before makes the client send it again.
    if (qos === 2) (session.incoming ??= new Set()).add(packetId);
    this.#fanOut.add(route, publication, connection, () => {
      guard(connection, () => {
        if (qos === 2 && session.incoming?.has(packetId) === true)
          store.beginIncoming(session, packetId);
        connection.letGo(hold.fanOut);
        if (qos > 0 && connection.state !== 'ended')
          this.#acknowledgeStored(connection, qos === 1 ? 0x40 : 0x50, packetId, neverWritten);
        this.holdWhileBehind(connection);
      });
    });
  }

  /** PUBREL: the message is the client's no longer, and its identifier free again. */
  release(connection: Connection, session: Session, packetId: number): void {
    const { store } = this.#options;
    const appended = store.appended;
    const wasThere = store.endIncoming(session, packetId);
    if (!wasThere && connection.version === 5) {
      connection.sendPacket({ type: 'pubcomp', packetId, reasonCode: 0x92 });
      return;
    }
    // Before it is on disk that the identifier is free, its next message could be taken for this one.
    this.#acknowledgeStored(connection, 0x70, packetId, appended);
  }

  /** [MQTT-3.3.2-7 to -12]: the topic, by its name or its alias. */
  #topicOf(connection: Connection, { topic, properties }: PublishPacket): string {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (alias > topicAliasMaximum) {
      throw new MalformedPacket({
        ...{ reasonCode: 0x94, clause: 'MQTT-3.3.2-9', version: 5 },
        message: `The topic alias ${alias} is above the maximum of ${topicAliasMaximum}.`,
      });
    }
    if (topic !== '') {
      connection.incomingAliases ??= new IncomingAliases();
      connection.incomingAliases.set(alias, topic);
      connection.countPartial();
      return topic;
    }
    const known = connection.incomingAliases?.find(alias);
    if (known !== undefined) return known;
    throw new MalformedPacket({
      ...{ reasonCode: 0x82, clause: 'MQTT 5 §3.3.2.3.4', version: 5 },
      message: `The topic alias ${alias} was not set before it was used.`,
    });
  }

  /** Whether the client may have one more message under way [MQTT-3.3.4-9]; before MQTT 5 nothing tells it that it may not. */
  #hasRoom(connection: Connection, session: Session): boolean {
    const { maxIncomingMessages } = this.#options.limits;
    const incoming = session.incoming?.size ?? 0;
    const owed = connection.acknowledgementsOwed;
    if (incoming + owed < maxIncomingMessages) return true;
    if (connection.version !== 5 && incoming < maxIncomingMessages) {
      connection.hold(hold.acknowledgements);
      return true;
    }
    connection.refuse(
      0x93,
      `More than ${maxIncomingMessages} messages of QoS 1 and 2 are under way, which is the receive maximum.`,
    );
    return false;
  }

  #spend(connection: Connection, bytes: number): void {
    const { account } = connection;
    const { store, now } = this.#options;
    if (account !== undefined && !store.accounts.spend(account, bytes, now()))
      connection.hold(hold.rate);
  }

  #messageOf(topic: string, { payload, qos, retain, properties }: PublishPacket): Message {
    return {
      topic,
      payload: copyOf(payload, 0, payload.length),
      qos,
      retain,
      properties: ownPropertiesOf(properties),
      expiresAt: expiryOf(properties, this.#options.clock.now()),
    };
  }

  /**
   * A denied message ends there, and the connection stands: cutting it, as AWS IoT does, would turn one wrong topic in a
   * firmware into a storm of reconnects. MQTT 5 says why in the acknowledgement; MQTT 3.1.1 has no word for it, and without
   * an acknowledgement the client would send the message again and again, so it gets a plain one, as from Mosquitto.
   */
  #deny(connection: Connection, topic: string, packet: PublishPacket, denial: Denial): void {
    const { metrics, refusals } = this.#options;
    const { action, happened, remedy, told = remedy, reasonCode } = denial;
    metrics.denied.inc({ action });
    refusals.write({
      event: 'message denied',
      reason: action,
      certificate: { cn: connection.username, serialHex: connection.identity.serialHex },
      clientId: connection.clientId,
      peer: connection.address,
      topic: topic.slice(0, 200),
      happened,
      remedy,
    });
    this.#acknowledge(connection, packet, reasonCode, `${happened} ${told}`);
  }

  #control(connection: Connection, topic: string, packet: PublishPacket): void {
    const { qos } = packet;
    const slot = qos > 0 ? connection.acknowledgements.open() : undefined;
    // The bytes it came in are used again for what comes next.
    const payload = copyOf(packet.payload, 0, packet.payload.length);
    void this.#options.control
      .handle(topic, payload, connection)
      .then((reasonCode) => {
        guard(connection, () => {
          if (slot !== undefined)
            this.#settle(connection, slot, answer(connection, packet, reasonCode));
        });
      })
      .catch((error: unknown) => {
        connection.fail(error);
      });
  }

  #acknowledge(
    connection: Connection,
    packet: PublishPacket,
    reasonCode: number,
    reasonString?: string,
  ): void {
    if (packet.qos === 0) return;
    const bytes = answer(connection, packet, reasonCode, reasonString);
    if (connection.acknowledgementsOwed === 0) connection.output.append(bytes);
    else this.#settle(connection, connection.acknowledgements.open(), bytes);
  }

  /** PUBACK, PUBREC or PUBCOMP, when what was written down for the message is on disk: a crash before would lose what was promised. */
  #acknowledgeStored(
    connection: Connection,
    first: number,
    packetId: number,
    appendedBefore: number,
  ): void {
    const { store } = this.#options;
    if (store.appended === appendedBefore && connection.acknowledgementsOwed === 0) {
      connection.output.appendShort(first, packetId);
      return;
    }
    const slot = connection.acknowledgements.open();
    if (store.appended === appendedBefore) {
      this.#settle(connection, slot, shortAnswer(first, packetId));
      return;
    }
    store.durable((error) => {
      guard(connection, () => {
        // After the refusal that MQTT 5 has, the next message with this identifier is another one.
        if (error !== undefined && connection.version === 5 && connection.session !== undefined)
          store.endIncoming(connection.session, packetId);
        this.#settle(connection, slot, storedAnswer(connection, first, packetId, error));
      });
    });
  }

  #settle(connection: Connection, slot: Slot, bytes: Buffer): void {
    if (connection.state === 'ended') return;
    connection.acknowledgements.settle(slot, bytes);
    if (connection.acknowledgementsOwed < this.#options.limits.maxIncomingMessages / 2)
      connection.letGo(hold.acknowledgements);
  }
}

/** Of a remaining length that is whole. */
function lengthBytes(bytes: Buffer, at: number): number {
  let count = 1;
  while (count < 4 && (bytes[at + count - 1] ?? 0) > 127) count += 1;
  return count;
}
