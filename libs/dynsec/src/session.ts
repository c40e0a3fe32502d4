// Who asks and what an answer brings with it: the words the engine and a broker share.

/** A connection as the broker knows it. */
export interface Session {
  /** Certificate CN or MQTT user name; undefined: anonymous. */
  readonly username: string | undefined;
  readonly clientId: string;
}

/** Sessions the broker must end now (MQTT 5: DISCONNECT 0x98, administrative action). */
export interface Kicks {
  readonly usernames: ReadonlySet<string>;
  /** All sessions without a user name. */
  readonly anonymous: boolean;
  readonly everyone: boolean;
  /** Certificates revoked by this payload that were not revoked before: lower-case hex of even length. */
  readonly serials: ReadonlySet<string>;
  /** Certificates that left a client's list, because a later one was used: by user name. */
  readonly superseded: ReadonlyMap<string, readonly string[]>;
}

/** One payload, carried out. */
export interface Executed {
  /** JSON document for `$CONTROL/dynamic-security/v1/response`, QoS 0, not retained. Empty: publish nothing. */
  readonly response: string;
  readonly kicks: Kicks;
  /**
   * Whose rights may have changed: the broker looks at their subscriptions and queues again. True: anybody's (a role many have,
   * the defaults, the anonymous group); false: nobody's.
   */
  readonly rightsChanged: boolean | ReadonlySet<string>;
}

/** Numbers for metrics and `getDetails`. */
export interface DynsecCounts {
  readonly clients: number;
  readonly groups: number;
  readonly roles: number;
  readonly revokedSerials: number;
  /** Commands that changed something, ever: grows by one with each, as Mosquitto's. */
  readonly changeIndex: number;
  /** Payloads that changed something, ever. */
  readonly recordIndex: number;
}

/** What the broker tells the engine, so that `getClient` can list a client's connections as Mosquitto 2.1 does. */
export interface ConnectionInfo {
  /** The peer's IP address. */
  readonly address: string;
  readonly clientId: string;
}

/** What somebody who keeps a record of presence asks (`getPresence`, Keyline's own). */
export interface PresenceQuestion {
  /** Of the broker's count that they know; empty: none. */
  readonly start: string;
  /** Up to here it is on record. */
  readonly after: number;
  /** The last page of refusals that is on record; 0: none. */
  readonly refusalsAfter: number;
}

/** @returns the answer's `data`; undefined: not now */
export type TellPresence = (asked: PresenceQuestion) => object | undefined;
