// aedes as the MQTT engine: our decisions at its hooks, our message bus and our store at its ports.
import {
  Aedes,
  type AedesPublishPacket,
  type Client,
  type SubscribePacket,
  type UnsubscribePacket,
} from 'aedes';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { DynsecEngine, Executed } from '@keyline/dynsec';
import type { ControlApi } from '../control-api.ts';
import type { Visit } from '../door.ts';
import type { Gate } from '../gate.ts';
import type { LiveSession, LiveSessions } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { assertAedes, type DeliveredPacket, type EngineClient } from './aedes-client.ts';
import { Connecting } from './connecting.ts';
import { FanOut } from './fan-out.ts';
import { messageOf, type Qos } from './message.ts';
import type { Delivery } from './outbox.ts';
import { createPersistence } from './persistence.ts';
import { Publishing } from './publishing.ts';
import type { Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import { hideShared, isForged, refusedName, showShared } from './shared-name.ts';
import { matches } from './topic-tree.ts';
import { Visitors } from './visitor.ts';
import { topicAliasMaximum } from './wire.ts';
import { Wills } from './wills.ts';

interface MqttEngineOptions {
  readonly dynsec: DynsecEngine;
  readonly gate: Gate;
  readonly store: SessionStore;
  readonly sessions: LiveSessions;
  readonly control: ControlApi;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly log: Logger;
}

const brokerId = 'keyline';
const expiryInterval = 1000;

export class MqttEngine {
  readonly #options: MqttEngineOptions;
  readonly #aedes: Aedes;
  readonly #visitors = new Visitors();
  readonly #fanOut: FanOut;
  readonly #connecting: Connecting;
  readonly #publishing: Publishing;
  readonly #wills: Wills;
  /** Who gets the message that the fan-out is at, once each, however many of their subscriptions match. */
  #round: Map<Session, Delivery> | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;

  private constructor(options: MqttEngineOptions) {
    const { limits, store, clock } = options;
    const visitors = this.#visitors;
    this.#options = options;
    this.#connecting = new Connecting({
      ...options,
      visitors,
      applyRights: (client, live) => {
        this.#applyRightsTo(client, live);
      },
    });
    this.#publishing = new Publishing({
      ...options,
      visitors,
      publish: (packet, done) => {
        this.#aedes.publish(packet, done);
      },
    });
    this.#wills = new Wills({
      ...options,
      publish: (packet, done) => {
        this.#aedes.publish(packet, done);
      },
    });
    this.#fanOut = new FanOut({
      ownPrefix: `$SYS/${brokerId}/`,
      begin: () => {
        this.#round = new Map();
      },
      end: (packet, done) => {
        this.#finishRound(packet, done);
      },
    });
    this.#aedes = new Aedes({
      id: brokerId,
      mq: this.#fanOut,
      persistence: createPersistence({
        store,
        clock,
        isServed: (shared) => this.#fanOut.isServed(shared),
        outboxOf: (client) => visitors.of(client).outbox,
        maySubscribe: (client, name) => this.#maySubscribe(visitors.of(client).live, name),
      }),
      connectTimeout: limits.connectTimeout,
      maximumPacketSize: limits.maxPacketSize,
      sessionExpiryIntervalLimit: limits.persistentClientExpiration,
      keepaliveLimit: limits.maxKeepalive >= 65_535 ? 0 : limits.maxKeepalive,
      topicAliasMaximum,
      drainTimeout: 10_000,
      preConnect: (client, packet, done) => {
        done(null, this.#connecting.admit(client, packet));
      },
      authenticate: (client, _username, _password, done) => {
        this.#begin(client as unknown as EngineClient);
        done(null, true);
      },
      authorizePublish: (client, packet, done) => {
        this.#publishing.authorize(client, packet, done);
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, this.#authorizeSubscribe(client, subscription.topic) ? subscription : null);
      },
    });
  }

  static async open(options: MqttEngineOptions): Promise<MqttEngine> {
    assertAedes();
    const engine = new MqttEngine(options);
    engine.#observe();
    await engine.#aedes.listen();
    engine.#wills.resume();
    engine.#expiryTimer = setInterval(() => {
      options.store.expire();
    }, expiryInterval);
    engine.#expiryTimer.unref();
    return engine;
  }

  get subscriptions(): number {
    return this.#fanOut.subscriptions;
  }

  /** Takes over a connection whose TLS handshake is done. */
  accept({ conn, passport, address }: Visit): void {
    this.#visitors.add(conn, { passport, address });
    const client = this.#aedes.handle(conn) as unknown as EngineClient;
    client.deliver0 = client.deliverQoS = (packet, done) => {
      this.#deliver(client, packet);
      done();
    };
    client._parser.prependListener('packet', (packet: SubscribePacket | UnsubscribePacket) => {
      this.#translate(client, packet);
    });
    conn.once('close', () => {
      // After aedes has noticed too, which sends the will and takes the subscriptions away.
      setImmediate(() => {
        this.#leave(client);
      });
    });
  }

  /** From the broker itself: no right is asked for. */
  publishRetained(topic: string, payload: string): void {
    this.#aedes.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 0, retain: true, dup: false },
      (error?: Error | null) => {
        if (error)
          this.#options.log.error({ topic, error: error.message }, 'the broker could not publish');
      },
    );
  }

  /** Applies changed rights to subscriptions and queues, of the connected and of the absent. */
  applyRights(changed: Executed['rightsChanged']): void {
    const { sessions, store } = this.#options;
    if (changed === true) {
      for (const live of sessions.all()) live.applyRights();
    } else if (changed !== false) {
      for (const username of changed) {
        for (const live of sessions.named(username)) live.applyRights();
      }
    }
    store.applyRights(changed);
  }

  /** Takes no further CONNECT, and tells MQTT 5 clients that the server shuts down (0x8B). */
  dismiss(): void {
    this.#connecting.stop();
    for (const live of this.#options.sessions.all()) {
      live.end(0x8b, 'The broker is stopping. Connect again in a few seconds.');
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#expiryTimer);
    this.#wills.stop();
    await new Promise<void>((resolve) => {
      this.#aedes.close(resolve);
    });
  }

  #begin(client: EngineClient): void {
    this.#connecting.begin(client);
  }

  #maySubscribe(live: LiveSession | undefined, name: string): boolean {
    return live !== undefined && this.#options.dynsec.maySubscribe(live, showShared(name));
  }

  #authorizeSubscribe(client: Client, name: string): boolean {
    const { metrics, refusals, store } = this.#options;
    const { live, outbox, isGreeted } = this.#visitors.of(client);
    // A restored session: aedes registers this subscription, and the others of the session, within this turn of the loop.
    if (isGreeted !== true && outbox !== undefined) store.setPresent(outbox.session);
    if (this.#maySubscribe(live, name)) return true;
    const filter = showShared(name).slice(0, 200);
    if (isGreeted !== true && outbox !== undefined) store.unsubscribe(outbox.session, name);
    metrics.denied.inc({ action: 'subscribe' });
    refusals.write({
      event: 'subscription denied',
      reason: 'subscribe',
      certificate: { cn: live?.username, serialHex: live?.identity.serialHex },
      clientId: live?.clientId,
      topic: filter,
      happened: `"${live?.username ?? ''}" may not subscribe to "${filter}".`,
      remedy:
        'Subscribe to a filter of its role, or add the right subscribePattern or subscribeLiteral to the role.',
    });
    return false;
  }

  /** Before aedes sees the packet. */
  #translate(client: EngineClient, packet: SubscribePacket | UnsubscribePacket): void {
    if (packet.cmd === 'subscribe') {
      if (packet.subscriptions.some(({ topic }) => isForged(topic))) client.conn.destroy();
      for (const subscription of packet.subscriptions)
        subscription.topic = hideShared(subscription.topic);
    } else if ((packet.cmd as string) === 'unsubscribe') {
      if (packet.unsubscriptions.some(isForged)) client.conn.destroy();
      const { live } = this.#visitors.of(client);
      packet.unsubscriptions = packet.unsubscriptions.map((filter) =>
        live !== undefined && this.#options.dynsec.mayUnsubscribe(live, filter)
          ? hideShared(filter)
          : refusedName(filter),
      );
    }
  }

  #deliver(client: EngineClient, packet: DeliveredPacket): void {
    const { live, outbox } = this.#visitors.of(client);
    if (live === undefined || outbox === undefined) return;
    if (packet.nl === true && packet.clientId === client.id) return;
    const { dynsec, metrics, clock } = this.#options;
    if (!dynsec.mayReceive(live, packet.topic)) {
      metrics.denied.inc({ action: 'receive' });
      return;
    }
    const given = packet.properties?.subscriptionIdentifier;
    const identifiers = given === undefined ? undefined : [given].flat();
    if (this.#round === undefined || packet.brokerId === null) {
      // A retained message for a new subscription.
      const qos = Math.min(packet.qos, grantedFor(client, packet.topic)) as Qos;
      outbox.offer({ message: messageOf(packet, clock.now()), qos, retain: true, identifiers });
      return;
    }
    const granted = client.subscriptions[this.#fanOut.current]?.qos ?? 0;
    const qos = Math.min(packet.qos, granted) as Qos;
    const other = this.#round.get(outbox.session);
    this.#round.set(outbox.session, {
      message: other?.message ?? messageOf(packet, clock.now()),
      qos: Math.max(qos, other?.qos ?? 0) as Qos,
      retain: packet.retain || other?.retain === true,
      identifiers:
        other?.identifiers === undefined
          ? identifiers
          : [...other.identifiers, ...(identifiers ?? [])],
    });
  }

  #finishRound(packet: AedesPublishPacket, done: (error?: Error) => void): void {
    const round = this.#round;
    this.#round = undefined;
    if (round !== undefined) {
      for (const [session, delivery] of round) session.outbox?.offer(delivery);
    }
    // What was promised with QoS 1 or 2 has to be on disk before the promise is given.
    if (packet.qos > 0) this.#options.store.durable(done);
    else done();
  }

  #applyRightsTo(client: EngineClient, live: LiveSession): void {
    const { log, metrics, store } = this.#options;
    const lost = Object.keys(client.subscriptions).filter(
      (name) => !this.#maySubscribe(live, name),
    );
    if (lost.length === 0) return;
    metrics.denied.inc({ action: 'keep-subscription' }, lost.length);
    log.info(
      { event: 'subscriptions ended', clientId: live.clientId, filters: lost.map(showShared) },
      'subscriptions ended, because the rights to them are gone',
    );
    const { outbox } = this.#visitors.of(client);
    if (outbox !== undefined) for (const name of lost) store.unsubscribe(outbox.session, name);
    client.unsubscribe({ cmd: 'unsubscribe', unsubscriptions: lost }, () => undefined);
  }

  #leave(client: EngineClient): void {
    const { sessions, store } = this.#options;
    const { live, outbox } = this.#visitors.of(client);
    if (live !== undefined) sessions.remove(live);
    if (outbox === undefined || outbox.session.outbox !== outbox) return;
    const { clientId } = outbox.session;
    if (store.find(clientId) === outbox.session) this.#wills.connectionEnded(clientId);
    store.detach(outbox.session, client.sessionExpiryInterval);
  }

  #observe(): void {
    const { log, metrics } = this.#options;
    this.#aedes.on('connackSent', (_packet, client) => {
      this.#connecting.welcome(client as unknown as EngineClient);
    });
    this.#aedes.on('clientReady', (client) => {
      const { live, passport, outbox } = this.#visitors.of(client);
      metrics.connects.inc({ result: 'accepted', reason: '', version: client.version });
      log.info(
        {
          event: 'connected',
          certificate: passport.names,
          clientId: live?.clientId,
          version: client.version,
          peer: live?.address,
        },
        'connected',
      );
      outbox?.start();
    });
    this.#aedes.on('clientDisconnect', (client) => {
      log.info({ event: 'disconnected', clientId: client.id }, 'disconnected');
      this.#leave(client as unknown as EngineClient);
    });
    this.#aedes.on('subscribe', (subscriptions, client) => {
      const filters = subscriptions.map(({ topic }) => showShared(topic));
      log.debug({ event: 'subscribed', clientId: client.id, filters }, 'subscribed');
    });
    const onError = (client: Client, error: Error): void => {
      const { live, passport, address } = this.#visitors.of(client);
      log.info(
        {
          event: 'connection ended',
          certificate: passport.names,
          clientId: live?.clientId,
          peer: address,
          error: error.message,
        },
        `connection ended: ${error.message}`,
      );
    };
    this.#aedes.on('clientError', onError);
    this.#aedes.on('connectionError', onError);
    (this.#aedes as NodeJS.EventEmitter).on('error', (error: Error) => {
      log.error({ error: error.message }, 'the MQTT engine reported an error');
    });
  }
}

function grantedFor({ subscriptions }: EngineClient, topic: string): Qos {
  let granted: Qos = 0;
  for (const [name, subscription] of Object.entries(subscriptions)) {
    const qos = subscription?.qos ?? 0;
    if (qos > granted && matches(name, topic)) granted = qos;
  }
  return granted;
}
