// aedes as the MQTT engine, with our decisions at its hooks: who may connect, publish, subscribe and receive.
import type { TLSSocket } from 'node:tls';
import {
  Aedes,
  type AedesPublishPacket,
  type Client,
  type ConnectPacket,
  type PublishPacket,
  type Subscription,
} from 'aedes';
import type { Logger } from 'pino';
import type { DynsecEngine } from '@keyline/dynsec';
import type { ControlApi } from '../control-api.ts';
import type { Admission, Gate } from '../gate.ts';
import type { LiveSession, LiveSessions } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import type { Passport } from '../passport.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { acknowledge, answerConnect, sayGoodbye } from './wire.ts';
import { assertAedes, type EngineClient, type EnginePublish } from './aedes-client.ts';

interface MqttEngineOptions {
  readonly dynsec: DynsecEngine;
  readonly gate: Gate;
  readonly sessions: LiveSessions;
  readonly control: ControlApi;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly log: Logger;
}

interface Visitor {
  readonly passport: Passport;
  readonly address: string;
  session?: LiveSession;
  admission?: Admission;
  /** CONNACK is out: from then on MQTT 5 allows a DISCONNECT. */
  isGreeted?: boolean;
}

/** How long a client that is sent away gets to read why. */
const farewell = 250;

class Denied extends Error {}

export class MqttEngine {
  readonly #options: MqttEngineOptions;
  readonly #aedes: Aedes;
  readonly #visitors = new WeakMap<object, Visitor>();
  #stopping = false;

  private constructor(options: MqttEngineOptions) {
    const { limits } = options;
    this.#options = options;
    this.#aedes = new Aedes({
      connectTimeout: limits.connectTimeout,
      maximumPacketSize: limits.maxPacketSize,
      receiveMaximum: limits.maxInflightMessages,
      sessionExpiryIntervalLimit: limits.persistentClientExpiration,
      keepaliveLimit: limits.maxKeepalive >= 65_535 ? 0 : limits.maxKeepalive,
      topicAliasMaximum: 10,
      drainTimeout: 10_000,
      preConnect: (client, packet, done) => {
        done(null, this.#connect(client, packet));
      },
      authenticate: (client, _username, _password, done) => {
        const { admission } = this.#visitorOf(client);
        if (admission?.assigned === true)
          (client as EngineClient)._assignedClientId = admission.clientId;
        done(null, true);
      },
      authorizePublish: (client, packet, done) => {
        this.#authorizePublish(client, packet, done);
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, this.#maySubscribe(client, subscription) ? subscription : null);
      },
      authorizeForward: (client, packet) => this.#authorizeForward(client, packet),
    });
  }

  static async open(options: MqttEngineOptions): Promise<MqttEngine> {
    assertAedes();
    const engine = new MqttEngine(options);
    engine.#observe();
    await engine.#aedes.listen();
    return engine;
  }

  /** Takes over a connection whose TLS handshake is done. */
  accept(socket: TLSSocket, passport: Passport): void {
    const visitor: Visitor = { passport, address: socket.remoteAddress ?? '' };
    this.#visitors.set(socket, visitor);
    socket.once('close', () => {
      if (visitor.session !== undefined) this.#options.sessions.remove(visitor.session);
    });
    this.#aedes.handle(socket);
  }

  /** From the broker itself: no right is asked for. */
  publish(topic: string, payload: string): void {
    this.#aedes.publish(
      { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false },
      (error?: Error | null) => {
        if (error)
          this.#options.log.error({ topic, error: error.message }, 'the broker could not publish');
      },
    );
  }

  /** Takes no further CONNECT, and tells MQTT 5 clients that the server shuts down (0x8B). */
  dismiss(): void {
    this.#stopping = true;
    for (const session of this.#options.sessions.all()) {
      session.end(0x8b, 'The broker is stopping. Connect again in a few seconds.');
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#aedes.close(resolve);
    });
  }

  #visitorOf(client: Client): Visitor {
    const visitor = this.#visitors.get(client.conn);
    if (visitor === undefined) throw new Error('a connection that did not come through the door');
    return visitor;
  }

  #connect(client: Client, packet: ConnectPacket): boolean {
    const visitor = this.#visitorOf(client);
    const answer = this.#stopping
      ? refuse('shutting-down', 'The broker is stopping.')
      : this.#options.gate.decide(visitor.passport, packet);
    if ('reason' in answer) {
      this.#refuse(client, packet, answer);
      return false;
    }
    // aedes goes on with the packet, and takes its client id from there.
    Object.assign(packet, { clientId: answer.clientId });
    visitor.admission = answer;
    visitor.session = this.#createSession(client as EngineClient, visitor, answer);
    // From here on a kick reaches it, also while aedes still loads its session.
    this.#options.sessions.add(visitor.session);
    return true;
  }

  #refuse(client: Client, packet: ConnectPacket, refusal: Refusal): void {
    const { metrics, refusals } = this.#options;
    const { passport, address } = this.#visitorOf(client);
    const version = packet.protocolVersion ?? 4;
    const { reason, happened, remedy } = refusal;
    metrics.connects.inc({ result: 'refused', reason, version });
    refusals.write({
      event: 'connection refused',
      reason,
      certificate: passport.names,
      clientId: packet.clientId,
      peer: address,
      happened,
      remedy,
    });
    const { conn } = client;
    answerConnect(client, version, refusal);
    conn.end();
    setTimeout(() => conn.destroy(), farewell).unref();
  }

  #createSession(client: EngineClient, visitor: Visitor, admission: Admission): LiveSession {
    const { identity, clientId, isAdmin } = admission;
    const session: LiveSession = {
      username: identity.name,
      clientId,
      identity,
      isAdmin,
      address: visitor.address,
      end: (reasonCode, reasonString) => {
        const { conn } = client;
        // aedes would tell nothing to a client whose queue it still empties after CONNACK.
        if (visitor.isGreeted === true) sayGoodbye(client, reasonCode, reasonString);
        setImmediate(() => {
          client.close();
        });
        // It may not read any more, and must not stay because of that.
        setTimeout(() => conn.destroy(), farewell).unref();
      },
      applyRights: () => {
        this.#applyRights(client, session);
      },
    };
    return session;
  }

  #applyRights(client: EngineClient, session: LiveSession): void {
    const { dynsec, log, metrics } = this.#options;
    const lost = Object.keys(client.subscriptions).filter(
      (filter) => !dynsec.maySubscribe(session, filter),
    );
    if (lost.length === 0) return;
    metrics.denied.inc({ action: 'keep-subscription' }, lost.length);
    log.info(
      { event: 'subscriptions ended', clientId: session.clientId, filters: lost },
      'subscriptions ended, because the rights to them are gone',
    );
    client.unsubscribe({ cmd: 'unsubscribe', unsubscriptions: lost }, () => undefined);
  }

  #authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    if (client === null) {
      done();
      return;
    }
    const { dynsec, gate, metrics, control, limits } = this.#options;
    const { session } = this.#visitorOf(client);
    if (session === undefined) throw new Error('a message from a connection without a session');
    const { topic } = packet;
    // A will is the CONNECT packet's own object, and no packet.
    const isWill = (packet.cmd as string | undefined) !== 'publish';
    if (isWill) {
      const isGone = gate.refusalOf(session.identity) !== undefined;
      done(isGone || !dynsec.mayPublish(session, topic) ? new Denied('will dropped') : null);
      return;
    }
    metrics.received.inc({ qos: packet.qos });
    if (limits.messageSizeLimit > 0 && packet.payload.length > limits.messageSizeLimit) {
      this.#deny(
        client,
        session,
        packet,
        {
          action: 'publish-size',
          happened: `"${session.username}" published ${packet.payload.length} bytes to "${topic}".`,
          remedy: `Send at most ${limits.messageSizeLimit} bytes, or raise --message-size-limit.`,
          reasonCode: 0x95,
        },
        done,
      );
      return;
    }
    if (topic.startsWith('$SYS/') || !dynsec.mayPublish(session, topic)) {
      this.#deny(
        client,
        session,
        packet,
        {
          action: 'publish',
          happened: `"${session.username}" may not publish to "${topic}".`,
          remedy: `Publish to a topic of its role, or add the right publishClientSend to the role.`,
          reasonCode: 0x87,
        },
        done,
      );
      return;
    }
    if (!topic.startsWith('$CONTROL/')) {
      done();
      return;
    }
    (packet as EnginePublish)._notAuthorized = true;
    void control.handle(topic, packet.payload, session).then((reasonCode) => {
      acknowledge(client, packet, reasonCode);
      done();
    });
  }

  /**
   * A denied message ends there, and the connection stands: cutting it, as AWS IoT does, would turn one wrong topic in a
   * firmware into a storm of reconnects. MQTT 5 says why in the acknowledgement; MQTT 3.1.1 has no word for it, and without
   * an acknowledgement the client would send the message again and again, so it gets a plain one, as from Mosquitto.
   */
  #deny(
    client: Client,
    session: LiveSession,
    packet: EnginePublish,
    denial: { action: string; happened: string; remedy: string; reasonCode: number },
    done: (error?: Error | null) => void,
  ): void {
    const { metrics, refusals } = this.#options;
    const { action, happened, remedy, reasonCode } = denial;
    metrics.denied.inc({ action });
    refusals.write({
      event: 'message denied',
      reason: action,
      certificate: { cn: session.username, serialHex: session.identity.serialHex },
      clientId: session.clientId,
      topic: packet.topic.slice(0, 200),
      happened,
      remedy,
    });
    packet._notAuthorized = true;
    acknowledge(client, packet, reasonCode, `${happened} ${remedy}`);
    done();
  }

  #maySubscribe(client: Client, { topic }: Subscription): boolean {
    const { dynsec, metrics, refusals } = this.#options;
    const { session } = this.#visitorOf(client);
    if (session !== undefined && dynsec.maySubscribe(session, topic)) return true;
    metrics.denied.inc({ action: 'subscribe' });
    refusals.write({
      event: 'subscription denied',
      reason: 'subscribe',
      certificate: { cn: session?.username, serialHex: session?.identity.serialHex },
      clientId: session?.clientId,
      topic: topic.slice(0, 200),
      happened: `"${session?.username ?? ''}" may not subscribe to "${topic.slice(0, 200)}".`,
      remedy:
        'Subscribe to a filter of its role, or add the right subscribePattern or subscribeLiteral to the role.',
    });
    return false;
  }

  #authorizeForward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const { dynsec, metrics } = this.#options;
    const { session } = this.#visitorOf(client);
    if (session === undefined) return null;
    if (!dynsec.mayReceive(session, packet.topic)) {
      metrics.denied.inc({ action: 'receive' });
      return null;
    }
    metrics.sent.inc({ qos: packet.qos });
    return packet;
  }

  #observe(): void {
    const { log, metrics } = this.#options;
    this.#aedes.on('connackSent', (_packet, client) => {
      this.#visitorOf(client).isGreeted = true;
    });
    this.#aedes.on('clientReady', (client) => {
      const { session, passport } = this.#visitorOf(client);
      metrics.connects.inc({ result: 'accepted', reason: '', version: client.version });
      log.info(
        {
          event: 'connected',
          certificate: passport.names,
          clientId: session?.clientId,
          version: client.version,
          peer: session?.address,
        },
        'connected',
      );
    });
    this.#aedes.on('clientDisconnect', (client) => {
      log.info({ event: 'disconnected', clientId: client.id }, 'disconnected');
    });
    this.#aedes.on('subscribe', (subscriptions, client) => {
      const filters = subscriptions.map(({ topic }) => topic);
      log.debug({ event: 'subscribed', clientId: client.id, filters }, 'subscribed');
    });
    const onError = (client: Client, error: Error): void => {
      const { session, passport, address } = this.#visitorOf(client);
      log.info(
        {
          event: 'connection ended',
          certificate: passport.names,
          clientId: session?.clientId,
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
