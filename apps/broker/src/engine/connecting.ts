// A CONNECT, from the policy's decision to the CONNACK that tells it.
import { encodePacket, type ConnectPacket, type ProtocolVersion, type Will } from '@keyline/mqtt';
import type { Clock } from '@keyline/kernel';
import type { Logger } from 'pino';
import type { Admission, ConnectPolicy } from '../connect-policy.ts';
import type { LiveSessions } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import { reasonStringOf, refuse, type Refusal } from '../refusal.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { Connection } from './connection.ts';
import type { Delivery } from './delivery.ts';
import { copyOf, ownPropertiesOf, type Message } from './message.ts';
import { topicAliasMaximum } from './publishing.ts';
import type { SessionStore } from './session-store.ts';
import { OutgoingAliases } from './topic-aliases.ts';
import type { Wills } from './wills.ts';

interface ConnectingOptions {
  readonly policy: ConnectPolicy;
  readonly store: SessionStore;
  readonly sessions: LiveSessions;
  readonly delivery: Delivery;
  readonly wills: Wills;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Topic aliases that we set at most, however many the client takes. */
const mostOutgoingAliases = 20;
const defaultReceiveMaximum = 65_535;

export class Connecting {
  readonly #options: ConnectingOptions;
  #stopping = false;

  constructor(options: ConnectingOptions) {
    this.#options = options;
  }

  /** From now on everybody is refused. */
  stop(): void {
    this.#stopping = true;
  }

  accept(connection: Connection, packet: ConnectPacket): void {
    connection.version = packet.protocolVersion;
    const answer = this.#judge(connection, packet);
    if ('reason' in answer) this.#refuse(connection, packet, answer);
    else this.#welcome(connection, packet, answer);
  }

  #judge({ peerIdentity }: Connection, packet: ConnectPacket): Admission | Refusal {
    const { policy, store, limits } = this.#options;
    if (this.#stopping) return refuse('shutting-down', 'The broker is stopping.');
    const answer = policy.decide(peerIdentity, packet);
    if ('reason' in answer) return answer;
    const { name } = answer.identity;
    if (packet.protocolVersion !== 5 && packet.clientId === '' && !packet.clean) {
      return refuse(
        'client-id',
        `"${name}" asked for a session that stays and gave no client id to keep it under (MQTT-3.1.3-8).`,
      );
    }
    const method = packet.properties?.authenticationMethod;
    if (method !== undefined) {
      return refuse(
        'authentication-method',
        `"${name}" asked for the authentication method "${method.slice(0, 100)}".`,
      );
    }
    const { will } = packet;
    if (
      will !== undefined &&
      limits.messageSizeLimit > 0 &&
      will.payload.length > limits.messageSizeLimit
    ) {
      return refuse('will-size', `"${name}" has a will of ${will.payload.length} bytes.`);
    }
    const account = store.accounts.find(name);
    const found = store.find(answer.clientId);
    // What it takes over counts once.
    const isNew = found?.account !== account || account === undefined;
    if (answer.isAdmin) return answer;
    const connections = (account?.connections ?? 0) - (found?.connection === undefined ? 0 : 1);
    if (connections >= limits.maxConnectionsPerIdentity) {
      return refuse('identity-connections', `"${name}" has ${connections} connections.`);
    }
    const sessions = account?.sessions.size ?? 0;
    if (isNew && sessions >= limits.maxSessionsPerIdentity) {
      return refuse('identity-sessions', `"${name}" has ${sessions} sessions.`);
    }
    if (found === undefined && store.size >= limits.maxSessions) {
      return refuse('sessions', `All ${limits.maxSessions} sessions are in use.`);
    }
    if (will !== undefined && !store.mayKeepWill(name, answer.clientId, messageOf(will))) {
      return refuse('will-quota', `"${name}" has as many bytes waiting as it may have.`);
    }
    return answer;
  }

  #welcome(connection: Connection, packet: ConnectPacket, admission: Admission): void {
    const { store, sessions, delivery, wills, limits, metrics, log } = this.#options;
    const { clientId, identity } = admission;
    const isFive = packet.protocolVersion === 5;
    const older = store.find(clientId)?.connection;
    older?.end(0x8e, 'Another connection has taken over this session.');
    const standing = store.find(clientId);
    const goesOn =
      !packet.clean && standing?.durable === true && standing.account.name === identity.name;
    if (standing !== undefined && !goesOn) {
      // A will is due with the end of its session at the latest (MQTT 5 §3.1.3.2.2).
      wills.sessionEnded(clientId);
      store.drop(standing);
    } else wills.cancel(clientId);

    const asked = isFive ? (packet.properties?.sessionExpiryInterval ?? 0) : Infinity;
    const expiry = Math.min(asked, limits.persistentClientExpiration);
    connection.admission = admission;
    connection.expirySeconds = !isFive && packet.clean ? 0 : expiry;
    const durable = connection.expirySeconds > 0;
    const session = store.attach(clientId, identity.name, { durable });
    session.connection = connection;
    connection.session = session;
    connection.account = session.account;
    session.account.connections += 1;
    this.#takeSettings(connection, packet);
    connection.state = 'open';
    connection.connectedAt = this.#options.clock.now();
    sessions.add(connection);
    if (packet.will !== undefined) this.#keepWill(connection, packet.will);

    metrics.connects.inc({ result: 'accepted', reason: '', version: packet.protocolVersion });
    connection.sendPacket({
      type: 'connack',
      sessionPresent: goesOn,
      reasonCode: 0,
      properties: isFive ? this.#welcomeProperties(connection, packet, admission) : undefined,
    });
    log.info(
      {
        event: 'connected',
        certificate: connection.peerIdentity.names,
        clientId,
        version: packet.protocolVersion,
        peer: connection.address,
      },
      'connected',
    );
    delivery.resume(session, connection);
  }

  #takeSettings(connection: Connection, { keepAlive, properties }: ConnectPacket): void {
    const { limits } = this.#options;
    const longest = limits.maxKeepalive;
    connection.keepAlive =
      longest < 65_535 && (keepAlive === 0 || keepAlive > longest) ? longest : keepAlive;
    const receiveMaximum = properties?.receiveMaximum ?? defaultReceiveMaximum;
    connection.window = Math.max(1, Math.min(receiveMaximum, limits.maxInflightMessages));
    connection.maximumPacketSize = properties?.maximumPacketSize ?? Infinity;
    const aliases = Math.min(properties?.topicAliasMaximum ?? 0, mostOutgoingAliases);
    if (aliases > 0) connection.outgoingAliases = new OutgoingAliases(aliases);
    connection.isPlain = aliases === 0 && connection.maximumPacketSize === Infinity;
    connection.wantsReasons = properties?.requestProblemInformation !== false;
  }

  #welcomeProperties(
    connection: Connection,
    { keepAlive, properties }: ConnectPacket,
    { assigned, clientId }: Admission,
  ) {
    const { limits } = this.#options;
    const asked = properties?.sessionExpiryInterval ?? 0;
    return {
      topicAliasMaximum,
      receiveMaximum: limits.maxIncomingMessages,
      maximumPacketSize: limits.maxPacketSize,
      ...(assigned ? { assignedClientIdentifier: clientId } : {}),
      ...(connection.keepAlive === keepAlive ? {} : { serverKeepAlive: connection.keepAlive }),
      ...(connection.expirySeconds === asked
        ? {}
        : { sessionExpiryInterval: connection.expirySeconds }),
    };
  }

  #keepWill(connection: Connection, will: Will): void {
    const { store } = this.#options;
    const { properties } = will;
    const message = messageOf(will);
    store.setWill({
      clientId: connection.clientId,
      owner: connection.username,
      message: { ...message, payload: copyOf(message.payload, 0, message.payload.length) },
      delaySeconds: Math.min(properties?.willDelayInterval ?? 0, connection.expirySeconds),
      expirySeconds: properties?.messageExpiryInterval,
      identity: connection.identity,
    });
  }

  #refuse(connection: Connection, packet: ConnectPacket, refusal: Refusal): void {
    const { metrics, refusals } = this.#options;
    const { reason, happened, remedy } = refusal;
    metrics.connects.inc({ result: 'refused', reason, version: packet.protocolVersion });
    refusals.write({
      event: 'connection refused',
      reason,
      certificate: connection.peerIdentity.names,
      clientId: packet.clientId,
      peer: connection.address,
      happened,
      remedy,
    });
    connection.close(refusalPacket(packet.protocolVersion, refusal));
  }
}

/** Its payload is still part of the packet. */
function messageOf({ topic, payload, qos, retain, properties }: Will): Message {
  const own = ownPropertiesOf(properties);
  return { topic, payload, qos, retain, properties: own, expiresAt: undefined };
}

function refusalPacket(version: ProtocolVersion, refusal: Refusal): Buffer {
  const { reasonCode, returnCode } = refusal;
  return version === 5
    ? encodePacket(
        {
          type: 'connack',
          sessionPresent: false,
          reasonCode,
          properties: { reasonString: reasonStringOf(refusal) },
        },
        5,
      )
    : encodePacket({ type: 'connack', sessionPresent: false, reasonCode: returnCode }, version);
}
