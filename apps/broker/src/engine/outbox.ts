// Messages to one connected client: within its window and its packet size, by its rights, and never waiting for it in anybody else's way.
import type { Client } from 'aedes';
import { generate, writeToStream } from 'mqtt-packet';
import type { Clock } from '@keyline/kernel';
import type { Metrics } from '../metrics.ts';
import { isExpired, type Message, type PublishProperties, type Qos } from './message.ts';
import type { Outgoing, Session } from './session.ts';
import { encodePublish, isPlain, type PublishParts } from './publish-encoder.ts';
import { holdTurn } from './write-batch.ts';

/** What becomes of a session's messages, for the journal. */
export interface OutgoingLog {
  queued(session: Session, outgoing: Outgoing): void;
  sent(session: Session, outgoing: Outgoing): void;
  done(session: Session, outgoing: Outgoing): void;
}

type Receiver = Pick<
  Client,
  'receiveMaximum' | 'maximumPacketSize' | 'version' | 'conn' | 'closed'
>;

interface OutboxOptions {
  readonly client: Receiver;
  readonly session: Session;
  readonly log: OutgoingLog;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly mayReceive: (topic: string) => boolean;
  readonly maxInflight: number;
  readonly maxQueued: number;
}

export interface Delivery {
  readonly message: Message;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
}

interface PublishPacket extends PublishParts {
  readonly cmd: 'publish';
}

interface PubrelPacket {
  readonly cmd: 'pubrel';
  readonly messageId: number | undefined;
}

/** Bytes that may wait in a socket before messages of QoS 0 to it are dropped. */
const socketLimit = 1_048_576;

export class Outbox {
  readonly session: Session;
  readonly client: Receiver;
  readonly #options: OutboxOptions;
  readonly #window: number;
  #isOpen = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.client = options.client;
    this.session = options.session;
    this.#window = Math.max(1, Math.min(options.client.receiveMaximum, options.maxInflight));
  }

  /** After CONNACK: what was under way comes again, in its order [MQTT-4.4.0-1], then what waits. */
  start(): void {
    this.#isOpen = true;
    for (const outgoing of this.session.inflight.values()) {
      if (outgoing.released) this.#write({ cmd: 'pubrel', messageId: outgoing.messageId });
      else this.#send(outgoing, { dup: true });
    }
    this.#pump();
  }

  offer(delivery: Delivery): void {
    if (delivery.qos === 0) this.#offerOnce(delivery);
    else if (enqueue(this.session, { ...delivery, qos: delivery.qos }, this.#options)) this.#pump();
  }

  /** PUBACK, PUBCOMP, or a PUBREC that refuses. */
  acknowledge(messageId: number): Outgoing | undefined {
    const outgoing = this.session.inflight.get(messageId);
    if (outgoing === undefined) return undefined;
    this.session.inflight.delete(messageId);
    this.#options.log.done(this.session, outgoing);
    this.#pump();
    return outgoing;
  }

  /** PUBREC: from now on only PUBREL is repeated. */
  release(messageId: number): void {
    const outgoing = this.session.inflight.get(messageId);
    if (outgoing === undefined) return;
    outgoing.released = true;
    this.#options.log.sent(this.session, outgoing);
  }

  #offerOnce({ message, retain, identifiers }: Delivery): void {
    const { metrics } = this.#options;
    const { conn } = this.client;
    if (!this.#isOpen || conn.writableLength > socketLimit) {
      metrics.dropped.inc({ reason: this.#isOpen ? 'slow-client' : 'not-connected' });
      return;
    }
    this.#writeMessage({ message, qos: 0, retain, identifiers }, undefined, false);
  }

  #pump(): void {
    const { session } = this;
    while (this.#isOpen && session.inflight.size < this.#window) {
      const outgoing = session.queue.shift();
      if (outgoing === undefined) return;
      outgoing.messageId = session.nextMessageId();
      session.inflight.set(outgoing.messageId, outgoing);
      if (this.#send(outgoing, { dup: false })) this.#options.log.sent(session, outgoing);
      else this.#discard(outgoing);
    }
  }

  #discard(outgoing: Outgoing): void {
    if (outgoing.messageId !== undefined) this.session.inflight.delete(outgoing.messageId);
    this.#options.log.done(this.session, outgoing);
  }

  #send(outgoing: Outgoing, { dup }: { dup: boolean }): boolean {
    const { clock, metrics, mayReceive } = this.#options;
    const { message, messageId } = outgoing;
    if (isExpired(message, clock.now())) {
      metrics.dropped.inc({ reason: 'expired' });
      return false;
    }
    // Between being queued and being sent, the right may have gone.
    if (!mayReceive(message.topic)) {
      metrics.denied.inc({ action: 'receive' });
      return false;
    }
    return this.#writeMessage(outgoing, messageId, dup);
  }

  #writeMessage(
    { message, qos, retain, identifiers }: Delivery,
    messageId: number | undefined,
    dup: boolean,
  ): boolean {
    const { metrics, clock } = this.#options;
    const packet = {
      cmd: 'publish',
      topic: message.topic,
      payload: message.payload,
      qos,
      retain,
      dup,
      ...(messageId === undefined ? {} : { messageId }),
      ...(this.client.version === 5
        ? { properties: propertiesOf(message, identifiers, clock.now()) }
        : {}),
    } as const;
    if (!this.#fits(packet, message)) {
      // As if it had been delivered [MQTT-3.1.2-25].
      metrics.dropped.inc({ reason: 'packet-too-large' });
      return false;
    }
    this.#write(packet);
    metrics.sent.inc({ qos });
    return true;
  }

  #fits(packet: Parameters<typeof generate>[0], { topic, payload }: Message): boolean {
    const limit = this.client.maximumPacketSize;
    if (limit === undefined) return true;
    // Counted exactly only when it might matter: user properties have no bound that is cheap to know.
    if (topic.length * 3 + payload.length > limit) return false;
    return generate(packet, { protocolVersion: 5 }).length <= limit;
  }

  #write(packet: PublishPacket | PubrelPacket): void {
    const { conn, closed, version } = this.client;
    if (closed || conn.destroyed) return;
    holdTurn(conn);
    if (packet.cmd === 'publish' && isPlain(packet)) conn.write(encodePublish(packet, version));
    else
      writeToStream(packet as Parameters<typeof writeToStream>[0], conn, {
        protocolVersion: version,
      });
  }
}

interface QueueOptions {
  readonly log: OutgoingLog;
  readonly metrics: Metrics;
  /** Most messages that wait for one client. Mosquitto: max_queued_messages. */
  readonly maxQueued: number;
}

/** Puts a message at the end of a session's queue, connected or not. @returns false when the queue is full */
export function enqueue(
  session: Session,
  delivery: Delivery & { readonly qos: 1 | 2 },
  { log, metrics, maxQueued }: QueueOptions,
): boolean {
  if (session.queue.length >= maxQueued) {
    metrics.dropped.inc({ reason: 'queue-full' });
    return false;
  }
  const outgoing: Outgoing = {
    sequence: session.nextSequence(),
    message: delivery.message,
    qos: delivery.qos,
    retain: delivery.retain,
    identifiers: delivery.identifiers,
    messageId: undefined,
    released: false,
  };
  session.queue.push(outgoing);
  log.queued(session, outgoing);
  return true;
}

function propertiesOf(
  { properties, expiresAt }: Message,
  identifiers: readonly number[] | undefined,
  now: number,
): PublishProperties {
  const result: PublishProperties = { ...properties };
  if (expiresAt !== undefined) {
    result.messageExpiryInterval = Math.max(1, Math.ceil((expiresAt - now) / 1000));
  }
  if (identifiers !== undefined) result.subscriptionIdentifier = [...identifiers];
  return result;
}
