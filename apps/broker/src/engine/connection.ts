// One connection: bytes in, packets out of them, bytes out again, all within bounds. What a packet means is its surroundings' matter.
import type { Duplex } from 'node:stream';
import {
  encodePacket,
  MalformedPacket,
  readPacket,
  readPacketLength,
  type Packet,
  type ProtocolVersion,
} from '@keyline/mqtt';
import type { PeerConnection } from '../tls-listener.ts';
import type { Admission } from '../connect-policy.ts';
import type { LiveSession } from '../live-sessions.ts';
import type { Identity, PeerIdentity } from '../peer-identity.ts';
import type { Account } from './account.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { hold, type Hold } from './hold.ts';
import { limitTexts } from './limit-texts.ts';
import { Output } from './output.ts';
import { PartialPacket } from './partial-packet.ts';
import { RetainedFeeds } from './retained-feeds.ts';
import type { Route } from './routes.ts';
import type { Outgoing, Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import type { IncomingAliases, OutgoingAliases } from './topic-aliases.ts';
import type { UnfinishedFrame } from '../unfinished-frame.ts';

/** What a connection may do in one turn of the event loop: packets read and messages given to receivers. */
const workPerTurn = 128;
/** Milliseconds that a client which is sent away gets to read why. */
const farewell = 250;
/** Milliseconds without a byte taken by the peer, while some wait for it. */
const longestStall = 60_000;
/** Above so many times the bytes at which reading stops, the connection ends. */
const endFactor = 4;
/** Of a CONNECT by somebody whose certificate is refused. */
const refusedPacketBytes = 32 * 1024;
/** What one connection may have unread without its being counted: part of what a connection takes. */
const uncountedBytes = 8192;

export class Connection implements LiveSession {
  readonly conn: Duplex;
  readonly peerIdentity: PeerIdentity;
  readonly address: string;
  readonly output: Output;
  readonly #surroundings: Surroundings;
  /** `arriving`: before its CONNECT was accepted. */
  state: 'arriving' | 'open' | 'ended' = 'arriving';
  version: ProtocolVersion = 4;
  connectedAt = 0;
  admission: Admission | undefined = undefined;
  session: Session | undefined = undefined;
  account: Account | undefined = undefined;
  /** Seconds; 0: none. */
  keepAlive = 0;
  /** Seconds that its session stays after it. */
  expirySeconds = 0;
  /** QoS 1 and 2 messages under way to it at most. */
  window = 1;
  maximumPacketSize = Infinity;
  /** Neither a limit to look at for each packet, nor aliases. */
  isPlain = true;
  /** Request Problem Information (MQTT 5 §3.1.2.11.7). */
  wantsReasons = true;
  /** The topic of its last message, who gets it, and whether it may publish there: what most of its messages have in common. */
  route: Route | undefined = undefined;
  mayPublish = false;
  /** Of an earlier connection, sent again as the window opens. */
  toRepeat: Outgoing[] | undefined = undefined;
  /** It ended with DISCONNECT 0x00: its will is void [MQTT-3.14.4-3]. */
  hasSaidGoodbye = false;
  incomingAliases: IncomingAliases | undefined = undefined;
  outgoingAliases: OutgoingAliases | undefined = undefined;
  /** Retained messages that it still has to get. */
  #feeds: RetainedFeeds | undefined = undefined;
  #acknowledgements: Acknowledgements | undefined = undefined;
  #partial: PartialPacket | undefined = undefined;
  readonly #unfinished: UnfinishedFrame | undefined;
  /** What a turn had no time for. */
  #backlog: Buffer | undefined = undefined;
  #backlogStart = 0;
  #isPaused = false;
  #held = 0;
  /** Of the memory that all share for it. */
  #isUnreadCounted = false;
  #work = 0;
  /** Milliseconds of the engine's clock. */
  readonly #since: number;
  #lastPacket: number;

  constructor(peer: PeerConnection, surroundings: Surroundings) {
    const { conn, peerIdentity, address, unfinished } = peer;
    this.conn = conn;
    this.peerIdentity = peerIdentity;
    this.address = address;
    this.#surroundings = surroundings;
    this.#since = this.#lastPacket = surroundings.now();
    this.#unfinished = unfinished;
    unfinished?.watch(() => {
      if (this.state !== 'ended') this.countPartial();
    });
    this.output = new Output(conn, (unreadBytes) => {
      this.#onUnread(unreadBytes);
    });
    conn.on('data', (chunk: Buffer) => {
      try {
        this.#receive(chunk);
      } catch (error) {
        this.fail(error);
      }
    });
    conn.on('error', destroyThis);
    conn.on('end', () => {
      this.close();
    });
    conn.on('close', () => {
      this.#leave();
    });
  }

  get identity(): Identity {
    return this.#admitted.identity;
  }

  get username(): string {
    return this.#admitted.identity.name;
  }

  get clientId(): string {
    return this.#admitted.clientId;
  }

  get isAdmin(): boolean {
    return this.#admitted.isAdmin;
  }

  get #admitted(): Admission {
    if (this.admission === undefined) throw new Error('a connection that was not admitted');
    return this.admission;
  }

  /** Answers that it is owed, in their order. */
  get acknowledgements(): Acknowledgements {
    this.#acknowledgements ??= new Acknowledgements((bytes) => {
      this.output.append(bytes);
    });
    return this.#acknowledgements;
  }

  get acknowledgementsOwed(): number {
    return this.#acknowledgements?.size ?? 0;
  }

  /** Ends it now; MQTT 5 clients are told why. */
  end(reasonCode: number, reasonString: string): void {
    const canBeTold = this.state === 'open' && this.version === 5;
    this.close(
      canBeTold
        ? encodePacket({ type: 'disconnect', reasonCode, properties: { reasonString } }, 5)
        : undefined,
    );
  }

  /** Ends it now. @param last what it is told */
  close(last?: Buffer): void {
    if (this.state === 'ended') return;
    this.#leave();
    if (last !== undefined) this.output.append(last);
    this.output.end();
    // What it still sends is nobody's concern; but it may not read any more, and must not stay because of that.
    this.conn.resume();
    setTimeout(() => this.conn.destroy(), farewell).unref();
  }

  /** What was thrown while something was done for this peer: the end of this peer. */
  fail(error: unknown): void {
    const { onRefused, onFailure } = this.#surroundings;
    if (this.state === 'ended') return;
    try {
      if (error instanceof MalformedPacket) onRefused(this, error);
      else onFailure(this, error);
    } finally {
      this.close();
    }
  }

  applyRights(): void {
    this.#surroundings.applyRights(this);
  }

  send(topic: string, payload: string): void {
    this.#surroundings.sendTo(this, topic, payload);
  }

  sendPacket(packet: Packet): void {
    if (this.state !== 'ended') this.output.append(encodePacket(packet, this.version));
  }

  /** It is not read until `letGo`. */
  hold(reason: Hold): void {
    if (this.#held === 0) this.#surroundings.onHeld(this);
    this.#held |= reason;
  }

  letGo(reason: Hold): void {
    if ((this.#held & reason) === 0) return;
    this.#held &= ~reason;
    if (this.#held === 0) this.#surroundings.busy.add(this);
  }

  #isHeld(): boolean {
    return this.#held !== 0;
  }

  isHeldBy(reason: Hold): boolean {
    return (this.#held & reason) !== 0;
  }

  /** In a turn of its own: with what an earlier one had no time for. */
  goOn(): void {
    if (this.state === 'ended' || this.#isHeld()) return;
    this.#surroundings.onHeld(this);
    this.#work = 0;
    const backlog = this.#backlog;
    if (backlog !== undefined) {
      this.#backlog = undefined;
      this.#take(this.#backlogStart === 0 ? backlog : backlog.subarray(this.#backlogStart));
    }
    this.#feed();
    this.account?.addWork(this.#work, this.#surroundings.now());
    if (this.#backlog !== undefined || this.#isHeld() || !this.#isPaused) return;
    this.#isPaused = false;
    this.conn.resume();
  }

  addFeed(filter: string, feed: Iterator<void>): void {
    (this.#feeds ??= new RetainedFeeds()).set(filter, feed);
    this.#feed();
  }

  /** Its subscription has ended. */
  endFeed(filter: string): void {
    this.#feeds?.delete(filter);
  }

  /** When its peer has read or acknowledged something. */
  wake(): void {
    if (this.#feeds !== undefined) this.#surroundings.busy.add(this);
  }

  /** What it holds of the memory for packets that are not whole, and for topics behind aliases. */
  countPartial(): void {
    const bytes =
      (this.#partial?.bytes ?? 0) +
      (this.#unfinished?.bytes ?? 0) +
      this.#heldBytes +
      (this.incomingAliases?.length ?? 0) * 2;
    this.#surroundings.partials.set(this, bytes);
  }

  /** What it has sent while it is held back; about half of it is there once more as it came, encrypted. */
  get #heldBytes(): number {
    if (this.#held === 0) return 0;
    const aside = this.#backlog === undefined ? 0 : this.#backlog.length - this.#backlogStart;
    return (aside + this.conn.readableLength) * 1.5;
  }

  /** The memory that all connections share is used up, and this one has the most of it. */
  evict(what: string): void {
    this.refuse(0x97, limitTexts.evicted(what));
  }

  /** It is beyond a limit: ended, counted and logged. */
  refuse(reasonCode: number, text: string): void {
    if (this.state !== 'ended') this.#surroundings.onLimit(this, reasonCode, text);
  }

  /** Called now and then. @param now milliseconds of the engine's clock @returns why it has to end */
  findOverdue(now: number): readonly [reasonCode: number, text: string] | undefined {
    const { connectTimeout, packetTimeout } = this.#surroundings.limits;
    if (this.state === 'arriving') {
      const isLate = now - this.#since > connectTimeout;
      return isLate ? [0x80, limitTexts.late(connectTimeout)] : undefined;
    }
    // While the broker is what does not read, there may be packets, and ends of packets, that it has not seen.
    if (this.#held === 0 ? this.#backlog !== undefined : !this.isHeldBy(hold.output))
      this.#lastPacket = now;
    const since = this.#partial?.since ?? this.#unfinished?.since ?? now;
    if (now - Math.max(since, this.#lastPacket) > packetTimeout)
      return [0x80, limitTexts.slowPacket(packetTimeout)];
    if (this.output.stalledFor(now) > longestStall)
      return [0x80, 'The client does not read what it is sent.'];
    if (this.keepAlive > 0 && now - this.#lastPacket > this.keepAlive * 1500)
      return [0x8d, `No packet within 1.5 times ${this.keepAlive} s.`];
    return undefined;
  }

  #receive(chunk: Buffer): void {
    if (this.state === 'ended') return;
    this.#work = 0;
    const { account } = this;
    if (account?.hasHadMuch === true && this.#surroundings.busy.isTurnLong) {
      this.#setAside(this.#withBacklog(chunk), 0);
      return;
    }
    this.#take(chunk);
    // The piece itself costs about as much as three messages.
    this.#surroundings.busy.addWork(this.#work + 3);
    account?.addWork(this.#work + 3, this.#surroundings.now());
  }

  #withBacklog(chunk: Buffer): Buffer {
    return this.#backlog === undefined
      ? chunk
      : Buffer.concat([this.#backlog.subarray(this.#backlogStart), chunk]);
  }

  /** Whoever will be turned away need not send much for it. */
  get #largestPacket(): number {
    const { maxPacketSize } = this.#surroundings.limits;
    return this.state === 'arriving' && 'refusal' in this.peerIdentity.verdict
      ? Math.min(maxPacketSize, refusedPacketBytes)
      : maxPacketSize;
  }

  #take(chunk: Buffer): void {
    let at = 0;
    if (this.#partial !== undefined) {
      at = this.#partial.take(chunk, 0, this.#largestPacket);
      const { whole } = this.#partial;
      if (whole !== undefined) {
        this.#partial = undefined;
        this.#read(whole, 0);
      }
      this.countPartial();
    }
    if (at === chunk.length) return;
    if (this.#backlog === undefined) this.#read(chunk, at);
    else this.#setAside(this.#withBacklog(chunk.subarray(at)), 0);
  }

  #read(bytes: Buffer, start: number): void {
    const { limits, readLimits, onPublish, onPacket, now } = this.#surroundings;
    const largest = this.#largestPacket;
    const end = bytes.length;
    let at = start;
    while (at < end && this.state !== 'ended') {
      if (this.output.unreadBytes > limits.maxUnreadBytes) this.hold(hold.output);
      if (this.#work >= workPerTurn || this.#held !== 0) {
        this.#setAside(bytes, at);
        return;
      }
      const total = readPacketLength(bytes, at, end, largest);
      if (total === 0 || at + total > end) {
        this.#partial = new PartialPacket(now());
        this.#partial.take(bytes, at, largest);
        this.countPartial();
        return;
      }
      const next = at + total;
      let work = 0;
      if (((bytes[at] ?? 0) & 0xf0) === 0x30 && this.state === 'open') {
        work = onPublish(this, bytes, at, next);
      }
      if (work === 0) work = onPacket(this, readPacket(bytes, at, next, this.version, readLimits));
      this.#work += work;
      // Only whole packets count: bytes that trickle in keep nobody alive.
      this.#lastPacket = now();
      at = next;
    }
  }

  #setAside(bytes: Buffer, at: number): void {
    this.#backlog = bytes;
    this.#backlogStart = at;
    if (!this.#isPaused) {
      this.#isPaused = true;
      this.conn.pause();
    }
    if (this.#held === 0) this.#surroundings.busy.add(this);
  }

  /** As long as its peer reads and its window is open: what waits here takes no memory. */
  #feed(): void {
    if (this.state !== 'open' || this.#feeds === undefined) return;
    if (this.#feeds.run(() => this.#mayFeed())) this.#feeds = undefined;
    else if (this.#work >= workPerTurn) this.#surroundings.busy.add(this);
  }

  #mayFeed(): boolean {
    const isReading = this.output.unreadBytes < this.#surroundings.limits.maxUnreadBytes;
    const hasRoom = isReading && (this.session?.queue?.length ?? 0) === 0;
    if (this.state !== 'open' || !hasRoom || this.#work >= workPerTurn) return false;
    this.#work += 1;
    return true;
  }

  #onUnread(unreadBytes: number): void {
    // After nearly every write: everything was taken, and nothing waits for it.
    if (unreadBytes === 0 && !this.#isUnreadCounted && (this.#held & hold.output) === 0) {
      if (this.#feeds === undefined && this.session?.queue === undefined) return;
    }
    const { limits, unread, onDrained } = this.#surroundings;
    this.#isUnreadCounted = unreadBytes > uncountedBytes;
    unread.set(this, this.#isUnreadCounted ? unreadBytes : 0);
    if (this.state !== 'open') return;
    if (unreadBytes > limits.maxUnreadBytes * endFactor) {
      this.refuse(0x97, limitTexts.unread(limits.maxUnreadBytes * endFactor));
    } else if (unreadBytes > limits.maxUnreadBytes) this.hold(hold.output);
    else if (unreadBytes <= limits.maxUnreadBytes / 2) {
      try {
        this.letGo(hold.output);
        onDrained(this);
        this.wake();
      } catch (error) {
        this.fail(error);
      }
    }
  }

  #leave(): void {
    if (this.state === 'ended') return;
    const { partials, unread, onLeave } = this.#surroundings;
    this.state = 'ended';
    this.#partial = this.#backlog = this.#feeds = undefined;
    partials.set(this, 0);
    unread.set(this, 0);
    try {
      onLeave(this);
    } catch (error) {
      this.#surroundings.onFailure(this, error);
    }
  }
}

function destroyThis(this: Duplex): void {
  this.destroy();
}
