// A connection from the door to its end: what was found out about it on the way.
import type { Client } from 'aedes';
import type { Admission } from '../gate.ts';
import type { LiveSession } from '../live-sessions.ts';
import type { Passport } from '../passport.ts';
import type { Outbox } from './outbox.ts';

export interface Visitor {
  readonly passport: Passport;
  /** The peer's IP address. */
  readonly address: string;
  admission?: Admission;
  live?: LiveSession;
  outbox?: Outbox;
  /** It goes on with a session that was here before [MQTT-3.2.2-2]. */
  sessionPresent?: boolean;
  /** CONNACK is out: from then on MQTT 5 allows a DISCONNECT. */
  isGreeted?: boolean;
}

export class Visitors {
  readonly #visitors = new WeakMap<object, Visitor>();

  add(conn: object, visitor: Visitor): void {
    this.#visitors.set(conn, visitor);
  }

  of({ conn }: Pick<Client, 'conn'>): Visitor {
    const visitor = this.#visitors.get(conn);
    if (visitor === undefined) throw new Error('a connection that did not come through the door');
    return visitor;
  }
}
