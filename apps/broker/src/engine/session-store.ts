// All sessions, their subscriptions, retained messages and wills, in memory and in the journal.
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { Limits } from '../options.ts';
import { Accounts, subscriptionUnits, type Account, type RoleRates } from './account.ts';
import { Journal } from './journal.ts';
import {
  bytesOf,
  decodeMessage,
  encodeMessage,
  isExpired,
  type Message,
  type MessageRecord,
} from './message.ts';
import type { JournalRecord } from './record-lines.ts';
import { Retained } from './retained.ts';
import { Session, type Outgoing } from './session.ts';
import {
  lazily,
  optionsOf,
  outgoingOf,
  queuedRecord,
  recordsOf,
  replayInto,
  sentRecord,
  subscriptionRecord,
} from './session-records.ts';
import type { SubscriptionOptions } from './subscription.ts';
import { StoredWills, type StoredWill } from './stored-wills.ts';
import { SubscriptionIndex } from './subscription-index.ts';

interface SessionStoreOptions {
  readonly folder: string;
  readonly limits: Limits;
  readonly roles: RoleRates;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SessionStore {
  readonly retained = new Retained();
  readonly index = new SubscriptionIndex();
  readonly accounts: Accounts;
  /** A message of a shared subscription whose session is gone: another member's. */
  onOrphan: (outgoing: Outgoing) => void = () => undefined;
  readonly #options: SessionStoreOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #wills: StoredWills;
  #journal: Journal | undefined;

  private constructor(options: SessionStoreOptions) {
    this.#options = options;
    this.accounts = new Accounts(options.limits, options.roles);
    this.#wills = new StoredWills(this.accounts);
  }

  /** @throws {KeylineError} FILE_UNREADABLE when what is stored is damaged */
  static async open(options: SessionStoreOptions): Promise<SessionStore> {
    const store = new SessionStore(options);
    store.#journal = await Journal.open({
      folder: options.folder,
      replay: (record) => {
        store.#replay(record);
      },
      snapshot: () => store.#snapshot(),
      onCut: (message) => {
        options.log.warn({ event: 'journal cut short' }, message);
      },
      onFailure: (error) => {
        options.log.error(
          { event: 'sessions not kept', error: error.message },
          `sessions and messages are not kept on disk: ${error.message}. Make room in ${options.folder} or repair it; it is tried again every few seconds`,
        );
      },
      onRecovery: () => {
        options.log.info(
          { event: 'sessions kept' },
          'sessions and messages are kept on disk again',
        );
      },
    });
    return store;
  }

  /** False while the disk takes nothing. */
  get isKept(): boolean {
    return this.#journal?.isFailing !== true;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Grows with everything that is written down: what did not make it grow needs not be waited for. */
  get appended(): number {
    return this.#journal?.appended ?? 0;
  }

  get messagesWaiting(): number {
    let count = 0;
    for (const session of this.#sessions.values()) count += session.waiting;
    return count;
  }

  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  find(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  /** The session a client goes on with, made when there is none. */
  attach(clientId: string, owner: string, { durable }: { durable: boolean }): Session {
    let session = this.#sessions.get(clientId);
    if (session?.account.name !== owner) {
      if (session !== undefined) this.drop(session);
      session = new Session(clientId, this.accounts.open(owner));
      session.account.sessions.add(session);
      this.#sessions.set(clientId, session);
    }
    if (session.durable !== durable) {
      session.durable = durable;
      if (durable) for (const record of recordsOf(session)) this.#append(record);
      else this.#append(['d', clientId]);
    }
    if (session.expiresAt !== undefined) {
      session.expiresAt = undefined;
      if (durable) this.#append(['o', clientId, null]);
    }
    return session;
  }

  /** Its client has gone; without a session that outlives it, everything has. */
  detach(session: Session, expirySeconds: number): void {
    session.connection = undefined;
    if (this.#sessions.get(session.clientId) !== session) return;
    if (!session.durable || expirySeconds === 0) {
      this.drop(session);
      return;
    }
    session.expiresAt = this.#options.clock.now() + expirySeconds * 1000;
    this.#append(['o', session.clientId, session.expiresAt]);
  }

  drop(session: Session): void {
    const { clientId, account } = session;
    if (this.#sessions.get(clientId) !== session) return;
    this.#sessions.delete(clientId);
    account.sessions.delete(session);
    for (const filter of [...(session.subscriptions?.keys() ?? [])]) this.#forget(session, filter);
    if (session.durable) this.#append(['d', clientId]);
    const left = [...(session.inflight?.values() ?? []), ...(session.queue ?? [])];
    session.inflight = session.queue = session.incoming = undefined;
    for (const outgoing of left) {
      this.#release(session, outgoing);
      // A QoS 2 message that was sent belongs to its receiver for good [MQTT-4.8.2-5].
      const isSent = outgoing.packetId !== 0;
      if (outgoing.group !== undefined && (outgoing.qos === 1 || !isSent)) this.onOrphan(outgoing);
    }
    this.accounts.close(account);
  }

  subscribe(session: Session, filter: string, options: SubscriptionOptions): void {
    if (session.subscriptions?.has(filter) !== true) {
      this.accounts.countSubscription(session.account, subscriptionUnits(filter));
    }
    this.index.set(session, filter, options);
    if (session.durable) this.#append(subscriptionRecord(session, filter, options));
  }

  /** @returns whether there was one */
  unsubscribe(session: Session, filter: string): boolean {
    if (!this.#forget(session, filter)) return false;
    if (session.durable) this.#append(['x', session.clientId, filter]);
    return true;
  }

  beginIncoming(session: Session, packetId: number): void {
    (session.incoming ??= new Set()).add(packetId);
    if (session.durable) this.#append(['i', session.clientId, packetId]);
  }

  endIncoming(session: Session, packetId: number): boolean {
    if (session.incoming?.delete(packetId) !== true) return false;
    if (session.durable) this.#append(['j', session.clientId, packetId]);
    return true;
  }

  queued(session: Session, outgoing: Outgoing): void {
    this.accounts.countQueued(session.account, bytesOf(outgoing.message));
    if (session.durable) this.#append(queuedRecord(session, outgoing));
  }

  sent(session: Session, outgoing: Outgoing): void {
    if (session.durable) this.#append(sentRecord(session, outgoing));
  }

  done(session: Session, outgoing: Outgoing): void {
    this.#release(session, outgoing);
    if (session.durable && outgoing.sequence !== 0)
      this.#append(['a', session.clientId, outgoing.sequence]);
  }

  /** @param account who pays for it; undefined: the broker itself. @returns false when that is more than it may hold */
  setRetained(message: Message, account: Account | undefined): boolean {
    const { topic } = message;
    const bytes = bytesOf(message);
    const before = this.retained.find(topic);
    if (message.payload.length === 0) {
      if (before === undefined) return true;
      if (before.account !== undefined) {
        this.accounts.countRetained(before.account, -1, -before.bytes);
      }
      this.retained.delete(topic);
      this.#append(['r', topic, null]);
      return true;
    }
    const isReplaced = before?.account !== undefined && before.account === account;
    const more = bytes - (isReplaced ? before.bytes : 0);
    if (account !== undefined && !this.accounts.mayRetain(account, isReplaced ? 0 : 1, more)) {
      return false;
    }
    if (before?.account !== undefined) {
      this.accounts.countRetained(before.account, -1, -before.bytes);
    }
    // The one it replaces may have been the last thing that it had here.
    const payer = account === undefined ? undefined : this.accounts.open(account.name);
    if (payer !== undefined) this.accounts.countRetained(payer, 1, bytes);
    this.retained.set({ message, account: payer, bytes });
    // The broker's own figures are made anew after a start.
    if (payer !== undefined) this.#append(['r', topic, encodeMessage(message), payer.name]);
    return true;
  }

  setWill(will: StoredWill): void {
    this.#wills.set(will);
    this.#append(['w', will.clientId, { ...will, message: encodeMessage(will.message) }]);
  }

  deleteWill(clientId: string): void {
    if (this.#wills.delete(clientId)) this.#append(['w', clientId, null]);
  }

  mayKeepWill(owner: string, clientId: string, message: Message): boolean {
    return this.#wills.mayKeep(owner, clientId, message);
  }

  will(clientId: string): StoredWill | undefined {
    return this.#wills.find(clientId);
  }

  wills(): readonly StoredWill[] {
    return [...this.#wills.all()];
  }

  /** Bytes that wait for the disk. */
  get journalBytes(): number {
    return this.#journal?.waitingBytes ?? 0;
  }

  /** More is changed than the disk takes: whoever changes something waits for `whenCaughtUp`. */
  get isBehind(): boolean {
    return this.#journal?.isBehind === true;
  }

  whenCaughtUp(done: () => void): void {
    if (this.#journal === undefined) done();
    else this.#journal.whenCaughtUp(done);
  }

  /** Calls back when everything that was changed so far is on disk. */
  durable(done: (error?: Error) => void): void {
    if (this.#journal === undefined) done();
    else this.#journal.durable(done);
  }

  /** Ends the sessions of clients that stayed away too long. */
  expire(): void {
    const now = this.#options.clock.now();
    for (const session of this.#sessions.values()) {
      if ((session.expiresAt ?? Infinity) > now) continue;
      const { clientId, queue } = session;
      this.#options.log.info(
        { event: 'session expired', clientId, waiting: queue?.length ?? 0 },
        'the session of an absent client has expired',
      );
      this.drop(session);
    }
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }

  #forget(session: Session, filter: string): boolean {
    if (this.index.delete(session, filter) === undefined) return false;
    this.accounts.countSubscription(session.account, -subscriptionUnits(filter));
    return true;
  }

  #release({ account }: Session, outgoing: Outgoing): void {
    if (outgoing.sequence !== 0) this.accounts.countQueued(account, -bytesOf(outgoing.message));
  }

  #append(record: JournalRecord): void {
    this.#journal?.append(record);
  }

  *#snapshot(): Generator<JournalRecord> {
    const now = this.#options.clock.now();
    for (const { message, account } of this.retained.all()) {
      if (account !== undefined && !isExpired(message, now))
        yield ['r', message.topic, lazily(message), account.name];
    }
    for (const will of this.#wills.all()) {
      yield ['w', will.clientId, { ...will, message: lazily(will.message) }];
    }
    for (const session of this.#sessions.values()) {
      if (session.durable) yield* recordsOf(session);
    }
  }

  #replay(record: JournalRecord): void {
    const [kind, key, value, more] = record as [string, string, unknown, unknown];
    switch (kind) {
      case 'r':
        this.#replayRetained(key, value as MessageRecord | null, more as string | undefined);
        return;
      case 'w':
        if (value === null) this.#wills.delete(key);
        else {
          const will = value as Omit<StoredWill, 'message'> & { message: MessageRecord };
          this.#wills.set({ ...will, message: decodeMessage(will.message) });
        }
        return;
      case 's':
        this.attach(key, value as string, { durable: true });
        return;
      default: {
        const session = this.#sessions.get(key);
        // Records of a session that ended earlier in the same file.
        if (session !== undefined) this.#replayInto(session, record);
      }
    }
  }

  #replayRetained(topic: string, record: MessageRecord | null, owner: string | undefined): void {
    const before = this.retained.find(topic);
    if (before?.account !== undefined) {
      this.accounts.countRetained(before.account, -1, -before.bytes);
    }
    if (record === null) {
      this.retained.delete(topic);
      return;
    }
    const message = decodeMessage(record);
    const bytes = bytesOf(message);
    // Versions before 0.2 did not write down whose it is.
    const account = this.accounts.open(owner ?? '');
    this.accounts.countRetained(account, 1, bytes);
    this.retained.set({ message, account, bytes });
  }

  #replayInto(session: Session, record: JournalRecord): void {
    const [kind, , value] = record as [string, string, unknown];
    switch (kind) {
      case 'd':
        this.drop(session);
        return;
      case 'u':
        this.subscribe(session, value as string, optionsOf(record[3] as never));
        return;
      case 'x':
        this.#forget(session, value as string);
        return;
      case 'q': {
        const { outgoing, groupName } = outgoingOf(record);
        const group = groupName === undefined ? undefined : this.index.findGroup(groupName);
        session.restoreOutgoing({ ...outgoing, group });
        this.accounts.countQueued(session.account, bytesOf(outgoing.message));
        return;
      }
      case 'a': {
        const done = session.restoreDone(value as number);
        if (done !== undefined) this.#release(session, done);
        return;
      }
      default:
        // A newer broker's record is passed over: the older one can't act on it, and losing it is better than not starting.
        replayInto(session, record);
    }
  }
}
