// Wills: sent when a connection ends without a DISCONNECT, after their delay, also of an earlier run of the process.
import type { Logger } from 'pino';
import { messageOf, type Clock } from '@keyline/kernel';
import type { DynsecEngine } from '@keyline/dynsec';
import type { Identity } from '../peer-identity.ts';
import { expiryOf, type Message } from './message.ts';
import type { SessionStore } from './session-store.ts';
import type { StoredWill } from './stored-wills.ts';

interface WillsOptions {
  readonly store: SessionStore;
  readonly dynsec: Pick<DynsecEngine, 'mayPublish'>;
  /** Whether the identity, with its certificate, may still do anything here. */
  readonly isAllowed: (owner: string, identity: Identity | undefined) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly publish: (message: Message, owner: string) => void;
}

export class Wills {
  readonly #options: WillsOptions;
  /** Whose connection has ended: they are due at a time. */
  readonly #pending = new Set<string>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  /** After a start: every will in the store belongs to a connection that ended with the process before. */
  resume(): void {
    for (const { clientId } of this.#options.store.wills()) this.connectionEnded(clientId);
  }

  connectionEnded(clientId: string): void {
    const { store, clock } = this.#options;
    const will = store.will(clientId);
    if (will === undefined) return;
    const dueAt = will.dueAt ?? clock.now() + will.delaySeconds * 1000;
    if (dueAt <= clock.now()) {
      this.#send(will);
      return;
    }
    if (will.dueAt === undefined) store.setWill({ ...will, dueAt });
    this.#pending.add(clientId);
  }

  /** Then it is due at once. */
  sessionEnded(clientId: string): void {
    const will = this.#options.store.will(clientId);
    if (will !== undefined && this.#pending.has(clientId)) this.#send(will);
    else this.cancel(clientId);
  }

  /** The client has said goodbye, or is back. */
  cancel(clientId: string): void {
    this.#pending.delete(clientId);
    this.#options.store.deleteWill(clientId);
  }

  /** Called now and then: sends those that are due. */
  tick(): void {
    const now = this.#options.clock.now();
    for (const clientId of this.#pending) {
      const will = this.#options.store.will(clientId);
      if (will === undefined) this.#pending.delete(clientId);
      else if ((will.dueAt ?? 0) <= now) this.#send(will);
    }
  }

  #send({ clientId, owner, identity, expirySeconds, message }: StoredWill): void {
    const { dynsec, isAllowed, clock, log, publish } = this.#options;
    this.cancel(clientId);
    const { topic } = message;
    // The rights of now: they may have gone since it connected.
    if (!isAllowed(owner, identity) || !dynsec.mayPublish({ username: owner, clientId }, topic)) {
      log.info(
        { event: 'will dropped', clientId },
        'a will was dropped: the right to its topic is gone',
      );
      return;
    }
    try {
      const expiresAt = expiryOf({ messageExpiryInterval: expirySeconds }, clock.now());
      publish({ ...message, expiresAt }, owner);
      log.debug({ event: 'will sent', clientId, topic }, 'a will was sent');
    } catch (error) {
      log.error({ event: 'will failed', clientId, error: messageOf(error) }, 'a will was not sent');
    }
  }
}
