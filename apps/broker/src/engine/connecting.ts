// A CONNECT, from the gate's decision to the CONNACK that tells it.
import type { Client, ConnectPacket } from 'aedes';
import type { Clock } from '@keyline/kernel';
import type { DynsecEngine } from '@keyline/dynsec';
import type { Admission, Gate } from '../gate.ts';
import type { LiveSession, LiveSessions } from '../live-sessions.ts';
import type { Metrics } from '../metrics.ts';
import type { Limits } from '../options.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { EngineClient } from './aedes-client.ts';
import { Outbox } from './outbox.ts';
import type { SessionStore } from './session-store.ts';
import { matches } from './topic-tree.ts';
import type { Visitor, Visitors } from './visitor.ts';
import { answerRefused, answerWelcome, holdBack, letGo, sayGoodbye } from './wire.ts';

interface ConnectingOptions {
  readonly visitors: Visitors;
  readonly gate: Gate;
  readonly store: SessionStore;
  readonly sessions: LiveSessions;
  readonly dynsec: Pick<DynsecEngine, 'mayReceive'>;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly applyRights: (client: EngineClient, live: LiveSession) => void;
}

/** Milliseconds that a client which is sent away gets to read why. */
const farewell = 250;

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

  /** aedes' preConnect hook. @returns whether aedes shall go on */
  admit(client: Client, packet: ConnectPacket): boolean {
    const { visitors, gate, sessions } = this.#options;
    const visitor = visitors.of(client);
    const answer = this.#stopping
      ? refuse('shutting-down', 'The broker is stopping.')
      : gate.decide(visitor.passport, packet);
    if ('reason' in answer) {
      this.#refuse(client, packet, visitor, answer);
      return false;
    }
    // aedes goes on with the packet, and takes its client id from there.
    Object.assign(packet, { clientId: answer.clientId });
    visitor.admission = answer;
    visitor.live = this.#createLive(client as unknown as EngineClient, visitor, answer);
    // From here on a kick reaches it, also while aedes still loads its session.
    sessions.add(visitor.live);
    return true;
  }

  /** aedes' authenticate hook, where it has read the packet: the session is taken up. */
  begin(client: EngineClient): void {
    const { visitors, store, metrics, clock, limits, dynsec } = this.#options;
    const visitor = visitors.of(client);
    const { live } = visitor;
    if (live === undefined) throw new Error('a session for a connection that was not admitted');
    const found = store.find(live.clientId);
    visitor.sessionPresent =
      !client._cleanStart && found?.durable === true && found.owner === live.username;
    if (!visitor.sessionPresent) store.drop(live.clientId);
    const session = store.attach(live.clientId, live.username, { durable: !client.clean });
    client.clean = false;
    visitor.outbox = new Outbox({
      client,
      session,
      log: store,
      metrics,
      clock,
      mayReceive: (topic) => dynsec.mayReceive(live, topic),
      maxInflight: limits.maxInflightMessages,
      maxQueued: limits.maxQueuedMessages,
    });
    session.outbox = visitor.outbox;
    // A session without subscriptions is not asked about again.
    if (session.subscriptions.size === 0) store.setPresent(session);
    holdBack(client.conn);
  }

  /** After aedes believes it has sent CONNACK: ours goes out instead. */
  welcome(client: EngineClient): void {
    const { visitors, limits } = this.#options;
    const visitor = visitors.of(client);
    visitor.isGreeted = true;
    letGo(client.conn);
    answerWelcome(client, {
      sessionPresent: visitor.sessionPresent === true,
      assignedClientId: visitor.admission?.assigned === true ? client.id : undefined,
      limits,
    });
  }

  #refuse(client: Client, packet: ConnectPacket, visitor: Visitor, refusal: Refusal): void {
    const { metrics, refusals } = this.#options;
    const { passport, address } = visitor;
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
    answerRefused(client, version, refusal);
    conn.end();
    setTimeout(() => conn.destroy(), farewell).unref();
  }

  #createLive(client: EngineClient, visitor: Visitor, admission: Admission): LiveSession {
    const { identity, clientId, isAdmin } = admission;
    const live: LiveSession = {
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
        this.#options.applyRights(client, live);
      },
      send: (topic, payload) => {
        if (this.#options.dynsec.mayReceive(live, topic))
          this.#send(client, visitor, { topic, payload });
      },
    };
    return live;
  }

  #send(
    client: EngineClient,
    { outbox }: Visitor,
    { topic, payload }: { readonly topic: string; readonly payload: string },
  ): void {
    const names = Object.keys(client.subscriptions).filter((name) => matches(name, topic));
    if (outbox === undefined || names.length === 0) return;
    const { subscriptions } = outbox.session;
    const identifiers = names.flatMap(
      (name) => subscriptions.get(name)?.subscriptionIdentifier ?? [],
    );
    outbox.offer({
      message: { topic, payload: Buffer.from(payload), qos: 0, retain: false },
      qos: 0,
      retain: false,
      identifiers: identifiers.length === 0 ? undefined : identifiers,
    });
  }
}
