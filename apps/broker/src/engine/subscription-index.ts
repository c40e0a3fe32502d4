// All subscriptions of all sessions, connected or not: who is meant by a topic. Filters without wildcards, nearly all of a fleet's, take a
// map alone; the others a tree.
import { parseSharedFilter } from '@keyline/mqtt';
import { FilterTree } from './filter-tree.ts';
import type { Session } from './session.ts';
import { SharedGroup } from './shared-group.ts';
import { Subscription, type SubscriptionOptions } from './subscription.ts';

type Target = Subscription | SharedGroup;

export class SubscriptionIndex {
  readonly #exact = new Map<string, Target | Set<Target>>();
  readonly #wide = new FilterTree<Target>();
  readonly #groups = new Map<string, SharedGroup>();
  /** Grows with each change: what was found out before it holds no longer. */
  version = 0;
  size = 0;

  /** Adds a subscription, or gives one that stands other options. */
  set(session: Session, filter: string, options: SubscriptionOptions): void {
    this.version += 1;
    const standing = session.subscriptions?.get(filter);
    if (standing !== undefined) {
      standing.options = options;
      standing.receiver = undefined;
      return;
    }
    const topicFilter = parseSharedFilter(filter)?.filter ?? filter;
    const group = topicFilter === filter ? undefined : this.#openGroup(filter, topicFilter);
    const subscription = new Subscription(session, { filter, topicFilter }, group, options);
    (session.subscriptions ??= new Map()).set(filter, subscription);
    if (group === undefined) this.#add(topicFilter, subscription);
    else group.members.push(subscription);
    this.size += 1;
  }

  /** @returns the subscription that was there */
  delete(session: Session, filter: string): Subscription | undefined {
    const subscription = session.subscriptions?.get(filter);
    if (subscription === undefined) return undefined;
    this.version += 1;
    this.size -= 1;
    session.subscriptions?.delete(filter);
    const { group, topicFilter } = subscription;
    if (group === undefined) this.#remove(topicFilter, subscription);
    else {
      const at = group.members.indexOf(subscription);
      if (at !== -1) group.members.splice(at, 1);
      if (group.members.length === 0) {
        this.#groups.delete(group.name);
        this.#remove(topicFilter, group);
      }
    }
    return subscription;
  }

  findGroup(name: string): SharedGroup | undefined {
    return this.#groups.get(name);
  }

  /** @returns what it has cost: nodes looked at */
  match(topic: string, visit: (target: Target) => void): number {
    const exact = this.#exact.get(topic);
    if (exact instanceof Set) exact.forEach(visit);
    else if (exact !== undefined) visit(exact);
    return 1 + this.#wide.match(topic, visit);
  }

  #openGroup(name: string, topicFilter: string): SharedGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new SharedGroup(name, topicFilter);
      this.#groups.set(name, group);
      this.#add(topicFilter, group);
    }
    return group;
  }

  #add(filter: string, target: Target): void {
    if (isWide(filter)) {
      this.#wide.add(filter, target);
      return;
    }
    const there = this.#exact.get(filter);
    if (there === undefined) this.#exact.set(filter, target);
    else if (there instanceof Set) there.add(target);
    else this.#exact.set(filter, new Set([there, target]));
  }

  #remove(filter: string, target: Target): void {
    if (isWide(filter)) {
      this.#wide.remove(filter, target);
      return;
    }
    const there = this.#exact.get(filter);
    if (there === target) this.#exact.delete(filter);
    else if (there instanceof Set) {
      there.delete(target);
      if (there.size === 0) this.#exact.delete(filter);
    }
  }
}

function isWide(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}
