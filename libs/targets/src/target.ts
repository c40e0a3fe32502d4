// The port for brokers. What a kind of broker is lies below it, in a folder of its own, without loops; folding entries, comparing,
// repairing, evidence, schedules and back-off stand above it, written once (target-follower.ts, reconcile.ts, run-target.ts).
import type { Role, Roles } from '@keyline/access';
import type { DeviceState } from '@keyline/ledger';
import type { KeylineError } from '@keyline/kernel';

/** What a broker can do; known once it was probed. */
export interface Capabilities {
  /** Refuses a certificate by its serial at CONNECT, and keeps a list of certificates for each identity; else a CRL has to do it. */
  readonly refusesSerials: boolean;
  /** Puts the user name in the place of `%u`; else a role whose topics name it beside a label is made for each identity. */
  readonly fillsNames: boolean;
  /** Whom it does not know it lets do nothing; else whoever was let go of has to stay known, and be denied. */
  readonly deniesUnknown: boolean;
}

/** How an identity should be on a broker. */
export interface DesiredIdentity {
  readonly device: string;
  readonly state: DeviceState;
  /** Of an active one, as the broker knows it. */
  readonly role: string;
  /** What that role gives, where it is none of ca-config's but was filled for identities like this one. */
  readonly rights?: Role | undefined;
  /** Whoever is connected under its name must be cut first. */
  readonly restarts: boolean;
  /** None of its certificates can be used any more: it need not be known to be denied. */
  readonly isOver?: boolean;
  /** Its certificate, after the one that may be used in its place. */
  readonly serials?: readonly string[] | undefined;
}

/** How an identity is on a broker. A kind may keep more in it, and is given it back. */
export interface ActualIdentity {
  readonly device: string;
  /** `granted`: may do what its one role says; `denied`: may not come in, and has no rights; `other`: neither, which is put right. */
  readonly access: 'granted' | 'denied' | 'other';
  /** Of one that is granted. */
  readonly role?: string | undefined;
  /** Certificates on its list, oldest first. */
  readonly serials: readonly string[];
}

/** Brings one identity to what it should be. */
export interface Step {
  readonly desired: DesiredIdentity;
  /** As it was listed; absent: not known. */
  readonly actual?: ActualIdentity | undefined;
}

/** This certificate, and of those before it the predecessor alone. */
export interface AdmittedCertificate {
  readonly username: string;
  readonly serial: string;
  readonly predecessor: string | null;
  /** Whatever is on the list now. */
  readonly anew?: boolean;
}

/** A list that was left alone, because neither certificate was on it. */
export interface PassedOver {
  readonly device: string;
  readonly serials: readonly string[];
}

export interface Outcome {
  /** By device: what the broker refused. One refusal keeps nothing from the others. */
  readonly refusals: ReadonlyMap<string, KeylineError>;
  /** What was refused of the certificates that ended. */
  readonly refusal?: KeylineError | undefined;
  readonly passedOver: readonly PassedOver[];
}

/** What a broker says of a certificate that one of its clients came with. */
export interface CertificateReport {
  /** `used`: for the first time, in place of an earlier one; `unlisted`: it was refused, because it is not on the client's list. */
  readonly kind: 'used' | 'unlisted';
  readonly device: string;
  readonly serial: string;
  /** Of the client, as the broker saw it; empty when it says none. */
  readonly address: string;
}

/** Where a record of who is on a broker stands; a broker's count of comings and goings begins anew with each start of it. */
export interface PresenceCursor {
  readonly start: string;
  readonly last: number;
}

export interface PresenceQuestion extends PresenceCursor {
  /** The last batch of refusals that is on record; 0: none that this process knows of. */
  readonly refusalBatch: number;
}

/** The newest that a broker knows of one identity. */
export interface Sighting {
  readonly identity: string;
  readonly online: boolean;
  /** Epoch milliseconds: since when it is there; or when its last connection ended. */
  readonly at: number;
  readonly clientId: string;
  /** Protocol level of CONNECT: 3 (MQTT 3.1), 4 (MQTT 3.1.1), 5; null: not told. */
  readonly protocol: number | null;
  /** Of the client, as the broker saw it; empty when it says none. */
  readonly address: string;
}

/** That a broker refused something to somebody who named, or showed, this identity; alike ones counted. */
export interface RefusalReport {
  readonly identity: string;
  /** `connection refused`, `message denied`, … */
  readonly event: string;
  readonly reason: string;
  /** Of a publish or subscribe; else empty. */
  readonly topic: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
  readonly clientId: string;
  readonly address: string;
  /** Of the certificate that was shown; else empty. */
  readonly serial: string;
  readonly happened: string;
  readonly remedy: string;
  /** False: the peer has said that name and not shown that it is his. */
  readonly proven: boolean;
}

export interface PresencePage extends PresenceCursor {
  readonly sightings: readonly Sighting[];
  readonly refusals: readonly RefusalReport[];
  readonly refusalBatch: number;
  /** Whether there was nothing more to tell when it was asked. */
  readonly complete: boolean;
}

/**
 * A broker. Every method that changes something is idempotent: after a crash or an outage it is asked the same again.
 * All may throw {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED.
 */
export interface Target {
  readonly name: string;
  /** Asks what it is, and makes roles and default rights as ca-config has them. @returns how many were not */
  prepare(roles: Roles): Promise<number>;
  /** Makes roles that were filled for some identities, where they are not there or give something else. @returns how many were not right */
  giveRoles(roles: readonly Role[]): Promise<number>;
  /** Takes such roles away that nobody was given since `prepare`. @param keep names of those that others have */
  dropRoles(keep: ReadonlySet<string>): Promise<void>;
  /** As of the last `prepare`; undefined before the first. */
  capabilities(): Capabilities | undefined;
  /** All that it has but the default rights and roles, a page at a time. */
  list(): AsyncIterable<readonly ActualIdentity[]>;
  /** How many identities one call should have: what keeps the broker busy no longer than it should be. */
  batchSize(what: 'put' | 'deny'): number;
  /** Lets identities in, each with its rights and certificates; whoever is right already is not disturbed. */
  put(steps: readonly Step[]): Promise<Outcome>;
  /**
   * Ends certificates for good (first: whoever is let go of must not come back with one in between), shuts the way in, takes the rights
   * away and cuts who is there.
   */
  deny(steps: readonly Step[], endedSerials: readonly string[]): Promise<Outcome>;
  /** Milliseconds that what is under way has waited for its answer; 0 when there is nothing. */
  unansweredFor(): number;
  /** On one that refuses serials: changes lists alone, and cuts who is there with what left one. @returns those left alone */
  admit(certificates: readonly AdmittedCertificate[]): Promise<readonly PassedOver[]>;
  /** On one that refuses serials: uses of successors until they are settled, everything else once. */
  takeReports(): Promise<readonly CertificateReport[]>;
  /** Uses that are on record now. */
  settleUses(reports: readonly CertificateReport[]): Promise<void>;
  /**
   * Who came and went since what is on record, a page at a time, by the clock of this process.
   * @returns undefined from one that tells no such thing
   */
  takePresence(onRecord: PresenceQuestion): Promise<PresencePage | undefined>;
}

/** A target with a connection of its own, which comes and goes by itself. */
export interface ConnectedTarget extends Target {
  readonly isConnected: boolean;
  /** Where it is, for people. */
  readonly url: string;
  /** With credentials asked for anew. */
  reconnect(): Promise<void>;
  /** Ends the connection until `reconnect`: another service speaks to it. */
  disconnect(): Promise<void>;
  close(): Promise<void>;
}

/** What a connection tells of itself. */
export interface ConnectionEvents {
  readonly onConnect: () => void;
  /** @param reason a sentence */
  readonly onDisconnect: (reason: string) => void;
}
