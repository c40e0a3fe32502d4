// Wills that outlive the process: those of an earlier run are sent when they are due, unless their client came back.
import type { Aedes } from 'aedes';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { DynsecEngine } from '@keyline/dynsec';
import type { SessionStore, StoredWill } from './session-store.ts';

interface WillsOptions {
  readonly store: SessionStore;
  readonly dynsec: Pick<DynsecEngine, 'mayPublish' | 'checkIdentity'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly publish: Aedes['publish'];
}

const longestTimer = 2_147_483_647;

export class Wills {
  readonly #options: WillsOptions;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  /** After a start: every will in the store belongs to a connection that ended with the process before. */
  resume(): void {
    const { store, clock } = this.#options;
    const now = clock.now();
    for (const will of store.wills()) {
      const dueAt = will.dueAt ?? now + will.delaySeconds * 1000;
      const due = { ...will, dueAt };
      store.setWill(due);
      this.#schedule(due, dueAt - now);
    }
  }

  /** aedes counts the delay in this process; the time is kept for the next. */
  connectionEnded(clientId: string): void {
    const { store, clock } = this.#options;
    const will = store.will(clientId);
    if (will === undefined || will.dueAt !== undefined) return;
    store.setWill({ ...will, dueAt: clock.now() + will.delaySeconds * 1000 });
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #schedule(will: StoredWill, delay: number): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#send(will);
      },
      Math.min(Math.max(delay, 0), longestTimer),
    );
    timer.unref();
    this.#timers.add(timer);
  }

  #send(will: StoredWill): void {
    const { store, dynsec, log, publish } = this.#options;
    const { clientId, owner, message } = will;
    // Its client is back, and has another will or none.
    if (store.will(clientId) !== will) return;
    const isAllowed =
      dynsec.checkIdentity(owner) === 'known' &&
      dynsec.mayPublish({ username: owner, clientId }, message.topic);
    if (!isAllowed) {
      store.deleteWill(clientId);
      return;
    }
    const { topic, payload, qos, retain, properties } = message;
    publish(
      {
        cmd: 'publish',
        topic,
        payload,
        qos,
        retain,
        dup: false,
        ...(properties === undefined ? {} : { properties }),
      },
      () => {
        store.deleteWill(clientId);
        log.info({ event: 'will sent', clientId, topic }, 'a will of before the restart was sent');
      },
    );
  }
}
