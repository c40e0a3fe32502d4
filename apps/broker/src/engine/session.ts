// What a client id leaves at the broker: subscriptions, messages under way and waiting, and the QoS 2 messages it has begun to send.
import type { Instant } from '@keyline/kernel';
import type { Message } from './message.ts';
import type { Outbox } from './outbox.ts';

export interface SubscriptionOptions {
  readonly qos: 0 | 1 | 2;
  readonly nl?: boolean | undefined;
  readonly rap?: boolean | undefined;
  readonly rh?: number | undefined;
  readonly subscriptionIdentifier?: number | undefined;
}

/** A message for one session, with QoS 1 or 2. */
export interface Outgoing {
  /** Names it in the journal. */
  readonly sequence: number;
  readonly message: Message;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** Set when it was sent. */
  messageId: number | undefined;
  /** QoS 2: the client has it (PUBREC), and PUBREL is what remains to be said. */
  released: boolean;
}

export class Session {
  readonly clientId: string;
  /** The identity it belongs to. */
  readonly owner: string;
  /** Whether it outlives the connection, and so is kept in the journal. */
  durable = false;
  /** When an absent client's session ends; undefined while it is connected. */
  expiresAt: Instant | undefined;
  readonly subscriptions = new Map<string, SubscriptionOptions>();
  /** Sent and not acknowledged, by message id, in the order of sending. */
  readonly inflight = new Map<number, Outgoing>();
  queue: Outgoing[] = [];
  readonly incoming = new Set<number>();
  outbox: Outbox | undefined;
  /** The newest message it was given, by aedes' counter: the same one can arrive on two ways while a client connects. */
  lastCounter = 0;
  #sequence = 0;
  #messageId = 0;

  constructor(clientId: string, owner: string) {
    this.clientId = clientId;
    this.owner = owner;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** When it is read back from the journal. */
  restoreOutgoing(outgoing: Outgoing): void {
    this.#sequence = Math.max(this.#sequence, outgoing.sequence);
    this.queue.push(outgoing);
  }

  restoreSent(sequence: number, messageId: number, released: boolean): void {
    for (const outgoing of this.inflight.values()) {
      if (outgoing.sequence === sequence) {
        outgoing.released = released;
        return;
      }
    }
    const index = this.queue.findIndex((outgoing) => outgoing.sequence === sequence);
    const [outgoing] = index === -1 ? [] : this.queue.splice(index, 1);
    if (outgoing === undefined) return;
    outgoing.messageId = messageId;
    outgoing.released = released;
    this.inflight.set(messageId, outgoing);
    this.#messageId = messageId;
  }

  restoreDone(sequence: number): void {
    for (const [messageId, outgoing] of this.inflight) {
      if (outgoing.sequence === sequence) {
        this.inflight.delete(messageId);
        return;
      }
    }
    const index = this.queue.findIndex((outgoing) => outgoing.sequence === sequence);
    if (index !== -1) this.queue.splice(index, 1);
  }

  /** A message id that is not under way; the window is far smaller than their number. */
  nextMessageId(): number {
    do {
      this.#messageId = (this.#messageId % 65_535) + 1;
    } while (this.inflight.has(this.#messageId));
    return this.#messageId;
  }
}
