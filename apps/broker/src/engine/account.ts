// What one identity holds of the broker at this moment, whatever the number of its connections: what budgets are held against.
import type { DynsecEngine } from '@keyline/dynsec';
import type { Limits } from '../options.ts';
import type { Session } from './session.ts';

export class Account {
  readonly name: string;
  readonly sessions = new Set<Session>();
  connections = 0;
  /** In units: a long or deep filter counts as several. */
  subscriptions = 0;
  /** Of messages that wait for its sessions, connected or not. */
  queuedBytes = 0;
  retainedMessages = 0;
  retainedBytes = 0;
  /** Messages and bytes in a second that it may send; 0: no limit. */
  messageRate = 0;
  byteRate = 0;
  /** Of the rights that these are of; -1: it was never asked. */
  ratesVersion = -1;
  /** What its rates still allow; below 0 its connections are not read. */
  messageTokens = 0;
  byteTokens = 0;
  refilledAt = 0;
  #work = 0;
  #workedAt = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** What was done for it lately, half of it forgotten with each look of the engine's clock. @param now milliseconds of that clock */
  addWork(units: number, now: number): void {
    if (now !== this.#workedAt) {
      this.#work /= 2 ** Math.min(30, Math.max(1, (now - this.#workedAt) / forgetting));
      this.#workedAt = now;
    }
    this.#work += units;
  }

  /** Whether it has had more than somebody who only does what devices do. */
  get hasHadMuch(): boolean {
    return this.#work > muchWork;
  }

  get isEmpty(): boolean {
    return (
      this.connections === 0 &&
      this.sessions.size === 0 &&
      this.retainedMessages === 0 &&
      // A will may outlive its session by a moment.
      this.queuedBytes === 0
    );
  }
}

/** Packets read for an identity, and messages given to receivers, of the last moments. */
const muchWork = 64;
/** Milliseconds. */
const forgetting = 100;

/** A filter of this many bytes, or levels, is one subscription; a larger one counts as several. */
const bytesPerUnit = 128;
const levelsPerUnit = 8;

export function subscriptionUnits(filter: string): number {
  let levels = 1;
  for (let at = filter.indexOf('/'); at !== -1; at = filter.indexOf('/', at + 1)) levels += 1;
  return Math.max(
    Math.ceil(Buffer.byteLength(filter) / bytesPerUnit),
    Math.ceil(levels / levelsPerUnit),
  );
}

/** Of what is left of a shared limit, no identity may hold more than this part: so there is always some for the others. */
const shareOfFree = 1 / 8;
/** Bytes that each may hold in any case: after fifty of the greedy, an eighth of what is left is not enough for one message. */
const leastShare = 4096;

/** Rates of identities: those of their roles. */
export type RoleRates = Pick<DynsecEngine, 'ratesOf' | 'version'>;

/** Every identity that holds anything, and what all of them hold together. */
export class Accounts {
  readonly #limits: Limits;
  readonly #roles: RoleRates;
  readonly #accounts = new Map<string, Account>();
  /** They hold nothing any more, but have sent more than their rates allow: coming back must not make that undone. */
  readonly #indebted = new Set<Account>();
  subscriptions = 0;
  queuedBytes = 0;
  retainedBytes = 0;

  constructor(limits: Limits, roles: RoleRates) {
    this.#limits = limits;
    this.#roles = roles;
  }

  find(name: string): Account | undefined {
    return this.#accounts.get(name);
  }

  open(name: string): Account {
    let account = this.#accounts.get(name);
    if (account === undefined) {
      account = new Account(name);
      this.#accounts.set(name, account);
    }
    return account;
  }

  /** After something was given back. */
  close(account: Account): void {
    if (!account.isEmpty || this.#accounts.get(account.name) !== account) return;
    if (account.messageRate > 0 || account.byteRate > 0) this.#indebted.add(account);
    else this.#accounts.delete(account.name);
  }

  /** Called now and then: forgets those that have waited for as long as their rates ask for. @param now of the engine's clock */
  forgive(now: number): void {
    for (const account of this.#indebted) {
      if (account.isEmpty) {
        this.#refill(account, now);
        const { messageTokens, messageRate, byteTokens, byteRate } = account;
        if (messageTokens < messageRate || byteTokens < byteRate) continue;
        this.#accounts.delete(account.name);
      }
      this.#indebted.delete(account);
    }
  }

  maySubscribe(account: Account, units: number): boolean {
    const { maxSubscriptionsPerIdentity, maxSubscriptions } = this.#limits;
    return (
      account.subscriptions + units <= maxSubscriptionsPerIdentity &&
      this.subscriptions + units <= maxSubscriptions
    );
  }

  countSubscription(account: Account, units: number): void {
    account.subscriptions += units;
    this.subscriptions += units;
  }

  mayQueue({ queuedBytes }: Pick<Account, 'queuedBytes'>, bytes: number): boolean {
    const { maxQueuedBytes, maxQueuedBytesInAll } = this.#limits;
    const after = queuedBytes + bytes;
    return after <= maxQueuedBytes && isFairShare(after, maxQueuedBytesInAll - this.queuedBytes);
  }

  countQueued(account: Account, bytes: number): void {
    account.queuedBytes += bytes;
    this.queuedBytes += bytes;
  }

  mayRetain(
    { retainedBytes, retainedMessages }: Account,
    messages: number,
    bytes: number,
  ): boolean {
    const { maxRetainedMessages, maxRetainedBytes, maxRetainedBytesInAll } = this.#limits;
    const after = retainedBytes + bytes;
    return (
      retainedMessages + messages <= maxRetainedMessages &&
      after <= maxRetainedBytes &&
      isFairShare(after, maxRetainedBytesInAll - this.retainedBytes)
    );
  }

  countRetained(account: Account, messages: number, bytes: number): void {
    account.retainedMessages += messages;
    account.retainedBytes += bytes;
    this.retainedBytes += bytes;
    this.close(account);
  }

  /** Whether the identity's rates allow one more message now; it is counted in any case. */
  spend(account: Account, bytes: number, now: number): boolean {
    if (account.ratesVersion !== this.#roles.version) this.#readRates(account);
    if (account.messageRate === 0 && account.byteRate === 0) return true;
    this.#refill(account, now);
    if (account.messageRate > 0) account.messageTokens -= 1;
    if (account.byteRate > 0) account.byteTokens -= bytes;
    return isWithin(account);
  }

  isWithinRates(account: Account, now: number): boolean {
    if (account.ratesVersion !== this.#roles.version) this.#readRates(account);
    this.#refill(account, now);
    return isWithin(account);
  }

  /** Those of its role, and of the broker where the role says nothing or more. */
  #readRates(account: Account): void {
    const { maxMessageRate, maxByteRate } = this.#limits;
    const { messages, bytes } = this.#roles.ratesOf(account.name);
    account.ratesVersion = this.#roles.version;
    const messageRate = lowerOf(messages, maxMessageRate);
    const byteRate = lowerOf(bytes, maxByteRate);
    // A new rate begins with a second's worth of it, as every other does.
    if (messageRate !== account.messageRate) account.messageTokens = messageRate;
    if (byteRate !== account.byteRate) account.byteTokens = byteRate;
    account.messageRate = messageRate;
    account.byteRate = byteRate;
  }

  /** A second's worth may come at once. */
  #refill(account: Account, now: number): void {
    const { messageRate, byteRate } = account;
    const seconds = (now - account.refilledAt) / 1000;
    account.refilledAt = now;
    account.messageTokens = Math.min(messageRate, account.messageTokens + seconds * messageRate);
    account.byteTokens = Math.min(byteRate, account.byteTokens + seconds * byteRate);
  }
}

function isWithin({ messageRate, messageTokens, byteRate, byteTokens }: Account): boolean {
  return (messageRate === 0 || messageTokens > 0) && (byteRate === 0 || byteTokens > 0);
}

/** 0: no limit. */
function lowerOf(one: number, other: number): number {
  return one === 0 || other === 0 ? Math.max(one, other) : Math.min(one, other);
}

function isFairShare(held: number, free: number): boolean {
  return held <= Math.max(leastShare, free * shareOfFree);
}
