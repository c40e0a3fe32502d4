// Every connection whose CONNECT was accepted, by identity: what a change of rights or a revocation must be able to reach at once.
import type { ConnectionInfo, Kicks, Session } from '@keyline/dynsec';
import type { Identity } from './passport.ts';

export interface LiveSession extends Session {
  readonly username: string;
  readonly identity: Identity;
  readonly isAdmin: boolean;
  /** The peer's IP address. */
  readonly address: string;
  /** Ends the connection now; MQTT 5 clients are told why. */
  end(reasonCode: number, reasonString: string): void;
  /** Takes away the subscriptions that its rights no longer cover. */
  applyRights(): void;
  /** A message from the broker for this session alone, QoS 0, if it has subscribed to the topic. */
  send(topic: string, payload: string): void;
}

export class LiveSessions {
  readonly #byName = new Map<string, Set<LiveSession>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(session: LiveSession): void {
    const sessions = this.#byName.get(session.username);
    if (sessions === undefined) this.#byName.set(session.username, new Set([session]));
    else sessions.add(session);
    this.#size += 1;
  }

  remove(session: LiveSession): void {
    const sessions = this.#byName.get(session.username);
    if (sessions?.delete(session) !== true) return;
    if (sessions.size === 0) this.#byName.delete(session.username);
    this.#size -= 1;
  }

  named(username: string): readonly LiveSession[] {
    return [...(this.#byName.get(username) ?? [])];
  }

  *all(): Generator<LiveSession> {
    for (const sessions of this.#byName.values()) yield* sessions;
  }

  connectionsOf(username: string): readonly ConnectionInfo[] {
    return this.named(username).map(({ address, clientId }) => ({ address, clientId }));
  }

  /** Whom a payload's kicks mean. */
  meantBy(kicks: Kicks): LiveSession[] {
    // Nobody here is anonymous: everybody has a certificate.
    if (kicks.everyone) return [...this.all()];
    const meant = new Set<LiveSession>();
    for (const username of kicks.usernames) {
      for (const session of this.named(username)) meant.add(session);
    }
    if (kicks.serials.size > 0) {
      for (const session of this.all()) {
        if (kicks.serials.has(session.identity.serialHex)) meant.add(session);
      }
    }
    return [...meant];
  }
}
