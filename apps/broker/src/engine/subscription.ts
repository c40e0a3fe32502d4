// One topic filter of one session, with its options.
import type { Qos } from './message.ts';
import type { Receiver } from './routes.ts';
import type { Session } from './session.ts';
import type { SharedGroup } from './shared-group.ts';

export interface SubscriptionOptions {
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number | undefined;
}

export class Subscription {
  readonly session: Session;
  /** As the client wrote it, `$share/group/` included. */
  readonly filter: string;
  /** Without that. */
  readonly topicFilter: string;
  readonly group: SharedGroup | undefined;
  options: SubscriptionOptions;
  /** What a message gets to that matches no other filter of the session; made when there is one. */
  receiver: Receiver | undefined = undefined;

  constructor(
    session: Session,
    filters: { readonly filter: string; readonly topicFilter: string },
    group: SharedGroup | undefined,
    options: SubscriptionOptions,
  ) {
    this.session = session;
    this.filter = filters.filter;
    this.topicFilter = filters.topicFilter;
    this.group = group;
    this.options = options;
  }
}
