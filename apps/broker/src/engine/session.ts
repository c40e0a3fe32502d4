// What a client id leaves at the broker: subscriptions, messages under way and waiting, and the QoS 2 messages it has begun to send.
import type { Instant } from '@keyline/kernel';
import type { Account } from './account.ts';
import type { Connection } from './connection.ts';
import type { Message } from './message.ts';
import type { SharedGroup } from './shared-group.ts';
import type { Subscription } from './subscription.ts';

/** A message for one session, with QoS 1 or 2. */
export interface Outgoing {
  /** Names it in the journal. */
  readonly sequence: number;
  readonly message: Message;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** It came by this shared subscription: when the session ends, another member gets it. */
  readonly group: SharedGroup | undefined;
  /** 0 until it is sent. */
  packetId: number;
  /** QoS 2: the client has it (PUBREC), and PUBREL is what remains to be said. */
  released: boolean;
}

/**
 * A message of a session that ends with its connection: nobody will ask for it again, so nothing of it is kept but its packet
 * identifier.
 */
export const unkept: Outgoing = Object.freeze({
  sequence: 0,
  message: Object.freeze({
    topic: '',
    payload: Buffer.alloc(0),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAt: undefined,
  }),
  qos: 1,
  retain: false,
  identifiers: undefined,
  group: undefined,
  packetId: 0,
  released: false,
});

export class Session {
  readonly clientId: string;
  /** The identity it belongs to. */
  readonly account: Account;
  /** Whether it outlives the connection, and so is kept in the journal. */
  durable = false;
  /** When an absent client's session ends; undefined while it is connected. */
  expiresAt: Instant | undefined = undefined;
  connection: Connection | undefined = undefined;
  // Made when they are needed: most sessions of a large fleet have one or none of these.
  subscriptions: Map<string, Subscription> | undefined = undefined;
  /** Sent and not acknowledged, by packet identifier, in the order of sending. */
  inflight: Map<number, Outgoing> | undefined = undefined;
  queue: Outgoing[] | undefined = undefined;
  /** Packet identifiers of QoS 2 messages that came and whose PUBREL has not. */
  incoming: Set<number> | undefined = undefined;
  #sequence = 0;
  #packetId = 0;

  constructor(clientId: string, account: Account) {
    this.clientId = clientId;
    this.account = account;
  }

  /** For its rights. */
  get username(): string {
    return this.account.name;
  }

  get waiting(): number {
    return (this.queue?.length ?? 0) + (this.inflight?.size ?? 0);
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** A packet identifier that is not under way; the window is far smaller than their number. */
  nextPacketId(): number {
    do {
      this.#packetId = (this.#packetId % 65_535) + 1;
    } while (this.inflight?.has(this.#packetId) === true);
    return this.#packetId;
  }

  /** When it is read back from the journal. */
  restoreOutgoing(outgoing: Outgoing): void {
    this.#sequence = Math.max(this.#sequence, outgoing.sequence);
    (this.queue ??= []).push(outgoing);
  }

  restoreSent(sequence: number, packetId: number, released: boolean): void {
    for (const outgoing of this.inflight?.values() ?? []) {
      if (outgoing.sequence === sequence) {
        outgoing.released = released;
        return;
      }
    }
    const outgoing = this.#takeQueued(sequence);
    if (outgoing === undefined) return;
    outgoing.packetId = packetId;
    outgoing.released = released;
    (this.inflight ??= new Map()).set(packetId, outgoing);
    this.#packetId = packetId;
  }

  restoreDone(sequence: number): Outgoing | undefined {
    for (const [packetId, outgoing] of this.inflight ?? []) {
      if (outgoing.sequence === sequence) {
        this.inflight?.delete(packetId);
        return outgoing;
      }
    }
    return this.#takeQueued(sequence);
  }

  #takeQueued(sequence: number): Outgoing | undefined {
    const at = this.queue?.findIndex((outgoing) => outgoing.sequence === sequence) ?? -1;
    return at === -1 ? undefined : this.queue?.splice(at, 1)[0];
  }
}
