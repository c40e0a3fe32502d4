// aedes' message bus: finds who subscribed and hands each of them one copy. Nobody waits here for a client that does not read.
import type { AedesPublishPacket } from 'aedes';
import { parseShared } from './shared-name.ts';
import { TopicTree } from './topic-tree.ts';

type Listener = (packet: AedesPublishPacket, done: () => void) => void;

interface Subscription {
  readonly name: string;
  readonly listener: Listener;
}

interface SharedGroup {
  readonly name: string;
  readonly members: Subscription[];
  /** Whose turn it is. */
  next: number;
}

interface FanOutOptions {
  /** `$SYS/…/` below which aedes tells other brokers of a cluster about itself: there is none. */
  readonly ownPrefix: string;
  /** Around the listeners of one message. */
  readonly begin: () => void;
  readonly end: (packet: AedesPublishPacket, done: (error?: Error) => void) => void;
}

/** The interface is mqemitter's, as far as aedes uses it. */
export class FanOut {
  closed = false;
  /** The subscription whose listener is being called: aedes' listeners do not say. */
  current = '';
  readonly #options: FanOutOptions;
  readonly #subscriptions = new TopicTree<Subscription>();
  readonly #groups = new TopicTree<SharedGroup>();
  readonly #groupByName = new Map<string, SharedGroup>();
  readonly #byListener = new Map<Listener, Subscription>();

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  get subscriptions(): number {
    return this.#byListener.size;
  }

  /** Whether somebody who is connected serves a shared subscription. */
  isServed(name: string): boolean {
    return this.#groupByName.has(name);
  }

  on(name: string, listener: Listener, done?: () => void): this {
    const subscription = { name, listener };
    this.#byListener.set(listener, subscription);
    const shared = parseShared(name);
    if (shared === undefined) this.#subscriptions.add(name, subscription);
    else this.#join(subscription, shared.filter);
    done?.();
    return this;
  }

  removeListener(name: string, listener: Listener, done?: () => void): this {
    const subscription = this.#byListener.get(listener);
    if (subscription !== undefined) {
      this.#byListener.delete(listener);
      const shared = parseShared(name);
      if (shared === undefined) this.#subscriptions.remove(name, subscription);
      else this.#leave(subscription, shared.filter);
    }
    done?.();
    return this;
  }

  emit(packet: AedesPublishPacket, done: (error?: Error) => void = () => undefined): this {
    if (this.closed || packet.topic.startsWith(this.#options.ownPrefix)) {
      done();
      return this;
    }
    this.#options.begin();
    this.#subscriptions.match(packet.topic, (subscription) => {
      this.#call(subscription, packet);
    });
    this.#groups.match(packet.topic, (group) => {
      const member = group.members[group.next % group.members.length];
      group.next = (group.next + 1) % group.members.length;
      if (member !== undefined) this.#call(member, packet);
    });
    this.#options.end(packet, done);
    return this;
  }

  close(done: () => void): this {
    this.closed = true;
    setImmediate(done);
    return this;
  }

  #call({ name, listener }: Subscription, packet: AedesPublishPacket): void {
    this.current = name;
    listener(packet, () => undefined);
  }

  #join(subscription: Subscription, filter: string): void {
    let group = this.#groupByName.get(subscription.name);
    if (group === undefined) {
      group = { name: subscription.name, members: [], next: 0 };
      this.#groupByName.set(group.name, group);
      this.#groups.add(filter, group);
    }
    group.members.push(subscription);
  }

  #leave(subscription: Subscription, filter: string): void {
    const group = this.#groupByName.get(subscription.name);
    if (group === undefined) return;
    const index = group.members.indexOf(subscription);
    if (index !== -1) group.members.splice(index, 1);
    if (group.members.length > 0) return;
    this.#groupByName.delete(group.name);
    this.#groups.remove(filter, group);
  }
}
