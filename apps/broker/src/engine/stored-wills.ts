// Wills of the connected, and of those whose connection ended a moment ago. One is a message that waits, and counts as one.
import type { Instant } from '@keyline/kernel';
import type { Identity } from '../peer-identity.ts';
import type { Accounts } from './account.ts';
import { bytesOf, type Message } from './message.ts';

export interface StoredWill {
  readonly clientId: string;
  readonly owner: string;
  readonly message: Message;
  readonly delaySeconds: number;
  /** Message Expiry Interval, from the moment at which the will is sent. */
  readonly expirySeconds?: number | undefined;
  /** In whose name it waits: asked again when it is due. Absent in what versions before 0.2 wrote. */
  readonly identity?: Identity | undefined;
  /** Set when the connection ended. */
  readonly dueAt?: Instant | undefined;
}

export class StoredWills {
  readonly #accounts: Accounts;
  readonly #wills = new Map<string, StoredWill>();

  constructor(accounts: Accounts) {
    this.#accounts = accounts;
  }

  find(clientId: string): StoredWill | undefined {
    return this.#wills.get(clientId);
  }

  all(): Iterable<StoredWill> {
    return this.#wills.values();
  }

  /** @param clientId under which it would take the place of the will that is there */
  mayKeep(owner: string, clientId: string, message: Message): boolean {
    const standing = this.#wills.get(clientId);
    const given = standing?.owner === owner ? bytesOf(standing.message) : 0;
    const account = this.#accounts.find(owner) ?? { queuedBytes: 0 };
    return this.#accounts.mayQueue(account, bytesOf(message) - given);
  }

  set(will: StoredWill): void {
    this.delete(will.clientId);
    this.#wills.set(will.clientId, will);
    this.#accounts.countQueued(this.#accounts.open(will.owner), bytesOf(will.message));
  }

  delete(clientId: string): boolean {
    const will = this.#wills.get(clientId);
    if (will === undefined) return false;
    this.#wills.delete(clientId);
    const account = this.#accounts.open(will.owner);
    this.#accounts.countQueued(account, -bytesOf(will.message));
    this.#accounts.close(account);
    return true;
  }
}
