// The members of one shared subscription (MQTT 5 §4.8.2): each message goes to one of them.
import type { Session } from './session.ts';
import type { Subscription } from './subscription.ts';

export class SharedGroup {
  /** `$share/group/filter`, as its members wrote it. */
  readonly name: string;
  readonly topicFilter: string;
  readonly members: Subscription[] = [];
  #next = 0;

  constructor(name: string, topicFilter: string) {
    this.name = name;
    this.topicFilter = topicFilter;
  }

  /** In turn among the connected, and if there is none, among the absent. */
  choose(mayTake: (session: Session) => boolean): Subscription | undefined {
    const { members } = this;
    for (const shallBeConnected of [true, false]) {
      for (let tried = 0; tried < members.length; tried += 1) {
        const member = members[(this.#next + tried) % members.length];
        if (member === undefined) continue;
        const { session } = member;
        if ((session.connection !== undefined) !== shallBeConnected || !mayTake(session)) continue;
        this.#next = (this.#next + tried + 1) % members.length;
        return member;
      }
    }
    return undefined;
  }
}
