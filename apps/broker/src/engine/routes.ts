// Who gets what is published to a topic: found out once, and kept until a subscription or a right changes.
import { SharedGroup } from './shared-group.ts';
import type { Qos } from './message.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription.ts';
import type { SubscriptionIndex } from './subscription-index.ts';

/** A session that gets a message of a topic, once, however many of its filters match. */
export class Receiver {
  readonly session: Session;
  readonly qos: Qos;
  readonly retainAsPublished: boolean;
  /** MQTT 5's subscription identifiers, of all filters that matched. */
  readonly identifiers: readonly number[] | undefined;
  /** For its own messages: without the filters that have No Local. Undefined: it gets none of its own. */
  readonly forOwn: Receiver | undefined;

  constructor(session: Session, subscriptions: readonly Subscription[]) {
    let qos: Qos = 0;
    let retainAsPublished = false;
    let identifiers: number[] | undefined;
    for (const { options } of subscriptions) {
      if (options.qos > qos) ({ qos } = options);
      if (options.retainAsPublished) retainAsPublished = true;
      if (options.identifier !== undefined) (identifiers ??= []).push(options.identifier);
    }
    this.session = session;
    this.qos = qos;
    this.retainAsPublished = retainAsPublished;
    this.identifiers = identifiers;
    const others = subscriptions.filter(({ options }) => !options.noLocal);
    if (others.length === subscriptions.length) this.forOwn = this;
    else this.forOwn = others.length === 0 ? undefined : new Receiver(session, others);
  }
}

export class Route {
  readonly topic: string;
  readonly topicBytes: Buffer;
  version: number;
  receivers: readonly Receiver[];
  groups: readonly SharedGroup[];
  /** Subscribers that may not receive it. */
  readonly denied: number;
  /** What finding it out again would cost, in nodes looked at. */
  readonly cost: number;

  constructor(topic: string, found: Omit<Route, 'topic' | 'topicBytes'>) {
    this.topic = topic;
    this.topicBytes = Buffer.from(topic);
    this.version = found.version;
    this.receivers = found.receivers;
    this.groups = found.groups;
    this.denied = found.denied;
    this.cost = found.cost;
  }
}

interface RoutesOptions {
  readonly index: SubscriptionIndex;
  readonly mayReceive: (session: Session, topic: string) => boolean;
}

const mostRoutes = 10_000;
/** In all routes: one to ten thousand subscribers takes more than ten thousand to one. */
const mostReceivers = 200_000;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #routes = new Map<string, Route>();
  #receivers = 0;
  #version = -1;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  isCurrent(route: Route): boolean {
    return route.version === this.#options.index.version;
  }

  /** Only what was found out before: the bytes may be no valid topic. */
  findKnown(bytes: Buffer, start: number, end: number): Route | undefined {
    if (this.#version !== this.#options.index.version) return undefined;
    const route = this.#routes.get(bytes.toString('utf8', start, end));
    // What is no UTF-8 may read as a topic that is.
    return route !== undefined && equals(route.topicBytes, bytes, start, end) ? route : undefined;
  }

  find(topic: string): Route {
    if (this.#version !== this.#options.index.version) this.#clear();
    const known = this.#routes.get(topic);
    if (known !== undefined) return known;
    const route = this.#create(topic);
    if (this.#routes.size >= mostRoutes || this.#receivers >= mostReceivers) this.#clear();
    this.#routes.set(topic, route);
    this.#receivers += route.receivers.length;
    return route;
  }

  #clear(): void {
    // A connection may hold on to one for long after.
    for (const route of this.#routes.values()) {
      route.version = -1;
      route.receivers = [];
      route.groups = [];
    }
    this.#routes.clear();
    this.#receivers = 0;
    this.#version = this.#options.index.version;
  }

  #create(topic: string): Route {
    const { index, mayReceive } = this.#options;
    const bySession = new Map<Session, Subscription | Subscription[]>();
    const groups: SharedGroup[] = [];
    let found = 0;
    const looked = index.match(topic, (target) => {
      found += 1;
      if (target instanceof SharedGroup) groups.push(target);
      else {
        const others = bySession.get(target.session);
        if (others === undefined) bySession.set(target.session, target);
        else if (Array.isArray(others)) others.push(target);
        else bySession.set(target.session, [others, target]);
      }
    });
    const receivers: Receiver[] = [];
    let denied = 0;
    for (const [session, matched] of bySession) {
      if (!mayReceive(session, topic)) denied += 1;
      else if (Array.isArray(matched)) receivers.push(new Receiver(session, matched));
      else receivers.push((matched.receiver ??= new Receiver(session, [matched])));
    }
    const { version } = index;
    return new Route(topic, { version, receivers, groups, denied, cost: looked + found * 4 });
  }
}

export function equals(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let at = known.length - 1; at >= 0; at -= 1) {
    // From the end: that is where the topics of a fleet differ.
    if (known[at] !== bytes[start + at]) return false;
  }
  return true;
}
