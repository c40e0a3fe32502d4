// A message to very many receivers, given to some of them in each turn of the event loop. One after the other: whoever gets two such messages
// gets them in the order in which they came, and what a publisher sends after one waits for it [MQTT-4.6.0-6].
import { matchesTopic } from '@keyline/mqtt';
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import type { Account } from './account.ts';
import type { Connection } from './connection.ts';
import type { Delivery } from './delivery.ts';
import type { Publication } from './publication.ts';
import type { Receiver, Route } from './routes.ts';
import type { Session } from './session.ts';
import type { SharedGroup } from './shared-group.ts';
import type { SubscriptionIndex } from './subscription-index.ts';

/** Receivers in a turn: some milliseconds. */
const receiversPerTurn = 2000;

interface FanOutOptions {
  readonly index: Pick<SubscriptionIndex, 'version'>;
  readonly delivery: Pick<Delivery, 'give' | 'giveToOne' | 'countDenied'>;
  readonly mayReceive: (session: Session, topic: string) => boolean;
  readonly log: Logger;
}

interface Job {
  /** Its own: nobody sets it to another message meanwhile. */
  readonly publication: Publication;
  readonly receivers: readonly Receiver[];
  readonly groups: readonly SharedGroup[];
  /** Of the subscriptions and rights by which these were found. */
  readonly version: number;
  /** Of the publisher; undefined: a will, or the broker itself. */
  readonly connection: Connection | undefined;
  readonly publisher: Session | undefined;
  /** Called when everybody has it. */
  readonly onDone: () => void;
  next: number;
}

export class FanOut {
  readonly #options: FanOutOptions;
  readonly #jobs: Job[] = [];

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  /** Whether a message of this publisher must come here, too. @param account undefined: of a will, or the broker itself */
  takes({ receivers, groups }: Route, account: Account | undefined): boolean {
    if (receivers.length + groups.length > receiversPerTurn) return true;
    if (this.#jobs.length === 0) return false;
    if (account === undefined) return true;
    // A will that waits here may be of this very publisher, under whose name somebody is there again.
    return this.#jobs.some(
      ({ publisher }) => publisher === undefined || publisher.account.name === account.name,
    );
  }

  add(
    { receivers, groups, denied, version }: Route,
    publication: Publication,
    connection: Connection | undefined,
    onDone: () => void,
  ): void {
    this.#options.delivery.countDenied(denied);
    const publisher = connection?.session;
    this.#jobs.push({
      ...{ publication, receivers, groups, version, connection, publisher, onDone, next: 0 },
    });
    if (this.#jobs.length === 1) this.#takeTurn();
  }

  /** All that is left, now: the broker stops. */
  finish(): void {
    while (this.#jobs.length > 0) this.#takeTurn();
  }

  readonly #takeTurn = (): void => {
    let left = receiversPerTurn;
    for (let job = this.#jobs[0]; job !== undefined && left > 0; job = this.#jobs[0]) {
      try {
        left -= this.#goOn(job, left);
        if (job.next < job.receivers.length + job.groups.length) continue;
      } catch (error) {
        this.#fail(job, error);
      }
      this.#jobs.shift();
      job.onDone();
    }
    if (this.#jobs.length > 0) setImmediate(this.#takeTurn);
  };

  /** @returns how many have got it */
  #goOn(job: Job, most: number): number {
    const { index, delivery, mayReceive } = this.#options;
    const { receivers, groups, publication, publisher } = job;
    const { topic } = publication;
    const isAsFound = job.version === index.version;
    const from = job.next;
    const to = Math.min(from + most, receivers.length + groups.length);
    while (job.next < to) {
      const at = job.next;
      job.next += 1;
      const receiver = receivers[at];
      if (receiver === undefined) {
        const group = groups[at - receivers.length];
        if (group !== undefined) delivery.giveToOne(group, publication);
      } else if (
        isAsFound ||
        (hasSubscribed(receiver.session, topic) && mayReceive(receiver.session, topic))
      ) {
        delivery.give(receiver, publication, publisher);
      }
    }
    return to - from;
  }

  #fail({ connection, publication }: Job, error: unknown): void {
    if (connection !== undefined && connection.state !== 'ended') connection.fail(error);
    else {
      const said = messageOf(error);
      this.#options.log.error(
        { event: 'fan-out failed', topic: publication.topic, error: said },
        `a message did not reach all its receivers: ${said}`,
      );
    }
  }
}

/** Still, though subscriptions have changed since the message came [MQTT-3.10.4-2]. */
function hasSubscribed({ subscriptions }: Session, topic: string): boolean {
  for (const { topicFilter, group } of subscriptions?.values() ?? []) {
    if (group === undefined && matchesTopic(topicFilter, topic)) return true;
  }
  return false;
}
