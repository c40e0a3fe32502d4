// The MQTT engine: connections, sessions and messages, put together of their parts. Who may be here and what they may do is asked outside.
import { clientPacketLimits, encodePacket, MalformedPacket, type Packet } from '@keyline/mqtt';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { DynsecEngine, Executed } from '@keyline/dynsec';
import type { ControlApi } from '../control-api.ts';
import type { PeerConnection } from '../tls-listener.ts';
import type { ConnectPolicy } from '../connect-policy.ts';
import type { LiveSessions } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import { findForeignProtocol } from '../foreign-protocol.ts';
import type { Limits } from '../options.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { BusyConnections } from './busy-connections.ts';
import { Connecting } from './connecting.ts';
import { Connection } from './connection.ts';
import { hold } from './hold.ts';
import { Delivery } from './delivery.ts';
import { Endings } from './endings.ts';
import { guard } from './guard.ts';
import { Publishing } from './publishing.ts';
import { Routes } from './routes.ts';
import type { Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import { SharedBudget } from './shared-budget.ts';
import { Subscribing } from './subscribing.ts';
import type { Surroundings } from './surroundings.ts';
import { Wills } from './wills.ts';

interface MqttEngineOptions {
  readonly dynsec: DynsecEngine;
  readonly admins: ReadonlySet<string>;
  readonly policy: ConnectPolicy;
  readonly store: SessionStore;
  readonly sessions: LiveSessions;
  readonly control: ControlApi;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly log: Logger;
}

const pong = encodePacket({ type: 'pingresp' }, 5);
/** Milliseconds between two looks at what is overdue. */
const tickInterval = 100;
/** In so many ticks every connection has been looked at once. */
const ticksPerRound = 10;
const sessionsEvery = 10;

export class MqttEngine {
  readonly #options: MqttEngineOptions;
  readonly #connections = new Set<Connection>();
  readonly #connecting: Connecting;
  readonly #publishing: Publishing;
  readonly #subscribing: Subscribing;
  readonly #delivery: Delivery;
  readonly #wills: Wills;
  readonly #endings: Endings;
  readonly #surroundings: Surroundings;
  /** To be counted with the next tick. */
  readonly #held = new Set<Connection>();
  /** Where the round over the connections is. */
  #round: Iterator<Connection> | undefined;
  #ticks = 0;
  #now = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MqttEngineOptions) {
    const { limits, store, dynsec, admins, policy } = options;
    this.#options = options;
    this.#endings = new Endings(options);
    const mayReceive = (session: Session, topic: string): boolean =>
      dynsec.mayReceive(session, topic);
    const isKnown = (owner: string): boolean =>
      admins.has(owner) || dynsec.checkIdentity(owner) === 'known';
    const now = (): number => this.#now;
    const routes = new Routes({ index: store.index, mayReceive });
    this.#delivery = new Delivery({ ...options, mayReceive });
    store.onOrphan = (outgoing) => {
      this.#delivery.deliverOrphan(outgoing);
    };
    this.#publishing = new Publishing({
      ...options,
      routes,
      delivery: this.#delivery,
      now,
      mayReceive,
    });
    this.#subscribing = new Subscribing({ ...options, delivery: this.#delivery, isKnown });
    this.#wills = new Wills({
      ...options,
      isAllowed: (name, identity) =>
        identity === undefined ? isKnown(name) : policy.refusalOf(identity) === undefined,
      publish: (message, owner) => {
        this.#publishing.publish(message, owner);
      },
    });
    this.#connecting = new Connecting({ ...options, delivery: this.#delivery, wills: this.#wills });
    this.#surroundings = {
      limits,
      readLimits: {
        ...clientPacketLimits,
        filtersPerPacket: limits.maxFiltersPerPacket,
        userPropertiesPerPacket: limits.maxUserProperties,
      },
      busy: new BusyConnections(),
      partials: new SharedBudget(
        'packets that are not whole or wait is used up (--max-partial-bytes)',
        limits.maxPartialBytes,
      ),
      unread: new SharedBudget(
        'what was not read is used up (--max-unread-bytes-in-all)',
        limits.maxUnreadBytesInAll,
      ),
      now,
      onPublish: (connection, bytes, start, end) =>
        this.#publishing.takeUsual(connection, bytes, start, end),
      onPacket: (connection, packet) => {
        const { appended } = store;
        const work = this.#take(connection, packet);
        if (store.appended !== appended) this.#publishing.holdWhileBehind(connection);
        return work;
      },
      onRefused: (connection, error) => {
        this.#endings.refuse(connection, error);
      },
      onLimit: (connection, reasonCode, text) => {
        this.#endings.limit(connection, reasonCode, text);
      },
      onFailure: (connection, error) => {
        this.#endings.fail(connection, error);
      },
      onHeld: (connection) => {
        this.#held.add(connection);
      },
      onDrained: ({ session }) => {
        if (session?.connection !== undefined) this.#delivery.pump(session, session.connection);
      },
      onLeave: (connection) => {
        this.#leave(connection);
      },
      applyRights: (connection) => {
        this.#subscribing.applyRightsTo(connection);
      },
      sendTo: (connection, topic, payload) => {
        this.#subscribing.sendTo(connection, topic, payload);
      },
    };
  }

  /** After the store was opened: everybody in it is away, whatever it remembers. */
  start(): void {
    this.#subscribing.applyRights(true);
    this.#wills.resume();
    this.#timer = setInterval(() => {
      this.#tick();
    }, tickInterval);
    this.#timer.unref();
  }

  get subscriptions(): number {
    return this.#options.store.index.size;
  }

  /** Bytes of what is bounded for all together. */
  get memory(): { readonly partial: number; readonly unread: number } {
    return { partial: this.#surroundings.partials.used, unread: this.#surroundings.unread.used };
  }

  /** Takes over a connection whose TLS handshake is done. */
  accept(peer: PeerConnection): void {
    const connection = new Connection(peer, this.#surroundings);
    this.#connections.add(connection);
    // Before the connection has them: it would take them for the beginning of a packet, and wait for its end.
    peer.conn.prependOnceListener('data', (first: Buffer) => {
      const protocol = findForeignProtocol(first);
      if (protocol !== undefined) this.#endings.sendAway(connection, protocol);
    });
  }

  /** From the broker itself: no right is asked for. */
  publishRetained(topic: string, payload: string): void {
    this.#publishing.publish(
      {
        ...{ topic, payload: Buffer.from(payload), qos: 0, retain: true },
        ...{ properties: undefined, expiresAt: undefined },
      },
      undefined,
    );
  }

  /** Applies changed rights to subscriptions and queues, of the connected and of the absent. */
  applyRights(changed: Executed['rightsChanged']): void {
    this.#subscribing.applyRights(changed);
  }

  /** Takes no further CONNECT, and tells MQTT 5 clients that the server shuts down (0x8B). */
  dismiss(): void {
    this.#connecting.stop();
    for (const live of [...this.#options.sessions.all()]) {
      live.end(0x8b, 'The broker is stopping. Connect again in a few seconds.');
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#publishing.finish();
    for (const connection of this.#connections) connection.close();
  }

  #take(connection: Connection, packet: Packet): number {
    if (connection.state === 'arriving') {
      // [MQTT-3.1.0-1]
      if (packet.type !== 'connect')
        throw protocolError('MQTT-3.1.0-1', 'The first packet was no CONNECT.');
      this.#connecting.accept(connection, packet);
      return 16;
    }
    const { session } = connection;
    if (session === undefined) throw new Error('an open connection without a session');
    switch (packet.type) {
      case 'publish':
        return this.#publishing.take(connection, packet);
      case 'puback':
      case 'pubcomp':
        this.#delivery.acknowledge(session, packet.packetId);
        return 1;
      case 'pubrec':
        this.#received(connection, packet.packetId, packet.reasonCode);
        return 1;
      case 'pubrel':
        this.#publishing.release(connection, session, packet.packetId);
        return 1;
      case 'subscribe':
        return this.#subscribing.subscribe(connection, packet);
      case 'unsubscribe':
        return this.#subscribing.unsubscribe(connection, packet);
      case 'pingreq':
        connection.output.append(pong);
        return 1;
      case 'disconnect':
        this.#disconnect(connection, packet.reasonCode, packet.properties?.sessionExpiryInterval);
        return 1;
      case 'connect':
        throw protocolError('MQTT-3.1.0-2', 'A second CONNECT came.');
      default:
        throw protocolError('MQTT 5 §4.12', `A client may not send ${packet.type} here.`);
    }
  }

  #received(connection: Connection, packetId: number, reasonCode: number): void {
    const { session } = connection;
    if (session === undefined) return;
    if (reasonCode >= 0x80) {
      this.#delivery.acknowledge(session, packetId);
      return;
    }
    if (this.#delivery.release(session, packetId) || connection.version !== 5)
      connection.output.appendShort(0x62, packetId);
    else connection.sendPacket({ type: 'pubrel', packetId, reasonCode: 0x92 });
  }

  #disconnect(connection: Connection, reasonCode: number, expiry: number | undefined): void {
    if (expiry !== undefined) {
      // [MQTT-3.1.2-23, MQTT 5 §3.14.2.2.2]
      if (expiry > 0 && connection.expirySeconds === 0) {
        throw protocolError(
          'MQTT 5 §3.14.2.2.2',
          'DISCONNECT sets a session expiry, which CONNECT had not.',
        );
      }
      connection.expirySeconds = Math.min(expiry, this.#options.limits.persistentClientExpiration);
    }
    connection.hasSaidGoodbye = reasonCode === 0;
    connection.close();
  }

  #leave(connection: Connection): void {
    const { sessions, store, log } = this.#options;
    this.#connections.delete(connection);
    const { session, account } = connection;
    if (session === undefined || account === undefined) return;
    sessions.remove(connection);
    account.connections -= 1;
    const { clientId } = connection;
    if (connection.hasSaidGoodbye) this.#wills.cancel(clientId);
    else this.#wills.connectionEnded(clientId);
    store.detach(session, connection.expirySeconds);
    if (store.find(clientId) === session) this.#delivery.passOn(session);
    else this.#wills.sessionEnded(clientId);
    store.accounts.close(account);
    log.info({ event: 'disconnected', clientId }, 'disconnected');
  }

  #tick(): void {
    const { store } = this.#options;
    this.#now = performance.now();
    this.#ticks += 1;
    for (const connection of this.#held) {
      this.#held.delete(connection);
      if (connection.state !== 'ended') guard(connection, () => connection.countPartial());
    }
    this.#wills.tick();
    if (this.#ticks % sessionsEvery === 0) {
      store.expire();
      store.accounts.forgive(this.#now);
    }
    const count = Math.ceil(this.#connections.size / ticksPerRound);
    for (let looked = 0; looked < count; looked += 1) {
      this.#round ??= this.#connections.values();
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = undefined;
        return;
      }
      this.#look(next.value);
    }
  }

  #look(connection: Connection): void {
    const { store } = this.#options;
    guard(connection, () => {
      const overdue = connection.findOverdue(this.#now);
      if (overdue !== undefined) {
        this.#endings.limit(connection, ...overdue);
        return;
      }
      const { account } = connection;
      if (
        connection.isHeldBy(hold.rate) &&
        (account === undefined || store.accounts.isWithinRates(account, this.#now))
      ) {
        connection.letGo(hold.rate);
      }
    });
  }
}

function protocolError(clause: string, message: string): MalformedPacket {
  return new MalformedPacket({ reasonCode: 0x82, clause, message });
}
