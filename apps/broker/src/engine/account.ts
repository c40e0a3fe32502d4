// What one identity holds of the broker at this moment, whatever the number of its connections: what budgets are held against.
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
    return this.connections === 0 && this.sessions.size === 0 && this.retainedMessages === 0;
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

/** Every identity that holds anything, and what all of them hold together. */
export class Accounts {
  readonly #limits: Limits;
  readonly #accounts = new Map<string, Account>();
  subscriptions = 0;
  queuedBytes = 0;
  retainedBytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
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
    if (account.isEmpty && this.#accounts.get(account.name) === account) {
      this.#accounts.delete(account.name);
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

  mayQueue({ queuedBytes }: Account, bytes: number): boolean {
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
    const { maxMessageRate, maxByteRate } = this.#limits;
    if (maxMessageRate === 0 && maxByteRate === 0) return true;
    this.#refill(account, now);
    account.messageTokens -= 1;
    account.byteTokens -= bytes;
    return this.isWithinRates(account, now);
  }

  isWithinRates(account: Account, now: number): boolean {
    const { maxMessageRate, maxByteRate } = this.#limits;
    this.#refill(account, now);
    return (
      (maxMessageRate === 0 || account.messageTokens > 0) &&
      (maxByteRate === 0 || account.byteTokens > 0)
    );
  }

  /** A second's worth may come at once. */
  #refill(account: Account, now: number): void {
    const { maxMessageRate, maxByteRate } = this.#limits;
    const seconds = (now - account.refilledAt) / 1000;
    account.refilledAt = now;
    account.messageTokens = Math.min(
      maxMessageRate,
      account.messageTokens + seconds * maxMessageRate,
    );
    account.byteTokens = Math.min(maxByteRate, account.byteTokens + seconds * maxByteRate);
  }
}

function isFairShare(held: number, free: number): boolean {
  return held <= free * shareOfFree;
}
