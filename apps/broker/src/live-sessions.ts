// Every connection whose CONNECT was accepted, by identity: what a change of rights or a revocation must be able to reach at once.
import type { ConnectionInfo, Kicks, Session } from '@keyline/dynsec';
import type { ProtocolVersion } from '@keyline/mqtt';
import type { Identity } from './peer-identity.ts';

export interface LiveSession extends Session {
  readonly username: string;
  readonly identity: Identity;
  readonly isAdmin: boolean;
  /** The peer's IP address. */
  readonly address: string;
  readonly version: ProtocolVersion;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  /** Ends the connection now; MQTT 5 clients are told why. */
  end(reasonCode: number, reasonString: string): void;
  /** Takes away the subscriptions that its rights no longer cover. */
  applyRights(): void;
  /** A message from the broker for this session alone, QoS 0, if it has subscribed to the topic. */
  send(topic: string, payload: string): void;
}

/** Is told of everybody who comes and goes. */
export interface SessionObserver {
  connected(session: LiveSession): void;
  /** @param other a connection of the same identity that stays */
  disconnected(session: LiveSession, other: LiveSession | undefined): void;
}

export class LiveSessions {
  observer: SessionObserver | undefined = undefined;
  /** Nearly everybody has one: a set for each would be a good part of what a connection takes. */
  readonly #byName = new Map<string, LiveSession | Set<LiveSession>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(session: LiveSession): void {
    const { username } = session;
    const others = this.#byName.get(username);
    if (others === undefined) this.#byName.set(username, session);
    else if (others instanceof Set) others.add(session);
    else this.#byName.set(username, new Set([others, session]));
    this.#size += 1;
    this.observer?.connected(session);
  }

  remove(session: LiveSession): void {
    const { username } = session;
    const sessions = this.#byName.get(username);
    if (sessions instanceof Set) {
      if (!sessions.delete(session)) return;
      if (sessions.size === 0) this.#byName.delete(username);
    } else if (sessions === session) this.#byName.delete(username);
    else return;
    this.#size -= 1;
    if (this.observer === undefined) return;
    const others = this.#byName.get(username);
    const [other] = others instanceof Set ? others : [others];
    this.observer.disconnected(session, other);
  }

  named(username: string): readonly LiveSession[] {
    const sessions = this.#byName.get(username);
    if (sessions instanceof Set) return [...sessions];
    return sessions === undefined ? [] : [sessions];
  }

  *all(): Generator<LiveSession> {
    for (const sessions of this.#byName.values()) {
      if (sessions instanceof Set) yield* sessions;
      else yield sessions;
    }
  }

  connectionsOf(username: string): readonly ConnectionInfo[] {
    return this.named(username).map(({ address, clientId }) => ({ address, clientId }));
  }

  withCertificates(username: string, serials: readonly string[]): readonly LiveSession[] {
    return this.named(username).filter(({ identity }) => serials.includes(identity.serialHex));
  }

  /** Whom a payload's kicks mean, but for `superseded`. */
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
