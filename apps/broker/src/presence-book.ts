// Who is here and who has gone, until the issuing CA has it on record: one entry for each identity that came or went since, nothing for a
// message.
import { randomUUID } from 'node:crypto';
import type { Clock } from '@keyline/kernel';
import type { PresenceQuestion } from '@keyline/dynsec';
import type { LiveSession, LiveSessions } from './live-sessions.ts';

/** The newest that is known of an identity. */
interface Sighting {
  /** Grows by one with each. */
  readonly n: number;
  readonly online: boolean;
  /** Epoch milliseconds: since when it is here; or when its last connection ended. */
  readonly at: number;
  readonly clientId: string;
  /** Protocol level of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5. */
  readonly version: number;
  /** IP address. */
  readonly address: string;
}

/** As it is written down: whoever it is is not here when it is read again. */
export interface RememberedSighting extends Omit<Sighting, 'n' | 'online'> {
  readonly username: string;
}

export interface PresencePage {
  /** Another when what was told under the earlier one is not all that is to be known: then everybody is told anew. */
  readonly start: string;
  readonly last: number;
  /** By this broker's clock. */
  readonly now: number;
  readonly sightings: readonly (Omit<Sighting, 'n'> & { readonly username: string })[];
  readonly complete: boolean;
}

interface PresenceBookOptions {
  readonly clock: Clock;
  readonly sessions: Pick<LiveSessions, 'all'>;
  /** Sightings of a page. */
  readonly pageSize?: number;
}

/** Milliseconds between two times that everybody is told anew: two services with databases of their own must not make it all the time. */
const restartEvery = 30_000;

export class PresenceBook {
  readonly #options: PresenceBookOptions;
  /** In the order of `n`. An identity has one entry: the number of them is bounded by that of the identities. */
  readonly #changes = new Map<string, Sighting>();
  #start: string = randomUUID();
  #last = 0;
  /** Up to here they are forgotten, because they are on record. */
  #settled = 0;
  #restartedAt = -Infinity;

  constructor(options: PresenceBookOptions) {
    this.#options = options;
  }

  /** The number of the oldest that is not on record; undefined: all are. */
  get oldest(): number | undefined {
    const [first] = this.#changes.values();
    return first?.n;
  }

  /** The number of the newest that there ever was. */
  get last(): number {
    return this.#last;
  }

  /** The newest of what is not on record, as of now. */
  unsettled(most: number): RememberedSighting[] {
    const now = this.#options.clock.now();
    const passedOver = Math.max(0, this.#changes.size - most);
    return [...this.#changes.entries().drop(passedOver)].map(
      ([username, { online, at, clientId, version, address }]) => ({
        ...{ username, at: online ? now : at, clientId, version, address },
      }),
    );
  }

  /** Before anybody connects: what an earlier start had not told. */
  remember(sightings: readonly RememberedSighting[]): void {
    for (const { username, ...seen } of sightings) {
      this.#last += 1;
      this.#changes.set(username, { n: this.#last, online: false, ...seen });
    }
  }

  connected(session: LiveSession): void {
    if (!session.isAdmin) this.#note(session, true, session.connectedAt);
  }

  /** @param other a connection of the same identity that stays */
  disconnected(session: LiveSession, other: LiveSession | undefined): void {
    if (session.isAdmin) return;
    if (other === undefined) this.#note(session, false, this.#options.clock.now());
    else this.#note(other, true, other.connectedAt);
  }

  /**
   * What has changed since `after`, which is on record. Of another start, or one from before what is forgotten: everybody.
   * @returns undefined when everybody was told anew just now, to somebody else
   */
  tell({ start, after }: Pick<PresenceQuestion, 'start' | 'after'>): PresencePage | undefined {
    const { clock, pageSize = 500 } = this.#options;
    const goesOn = start === this.#start && after >= this.#settled && after <= this.#last;
    if (!goesOn && this.#settled > 0 && !this.#restart()) return undefined;
    if (goesOn) this.#settle(after);
    const sightings: (Omit<Sighting, 'n'> & { readonly username: string })[] = [];
    let last = goesOn ? after : 0;
    for (const [username, { n, ...sighting }] of this.#changes) {
      if (sightings.length === pageSize) break;
      sightings.push({ username, ...sighting });
      last = n;
    }
    return {
      start: this.#start,
      last,
      now: clock.now(),
      sightings,
      complete: sightings.length === this.#changes.size,
    };
  }

  #note({ username, clientId, version, address }: LiveSession, online: boolean, at: number): void {
    this.#last += 1;
    // To the end: the order is that of `n`.
    this.#changes.delete(username);
    this.#changes.set(username, { n: this.#last, online, at, clientId, version, address });
  }

  #settle(upTo: number): void {
    this.#settled = upTo;
    for (const [username, { n }] of this.#changes) {
      if (n > upTo) return;
      this.#changes.delete(username);
    }
  }

  /** Whoever asks knows less than was settled: their database is another one, or an older one. */
  #restart(): boolean {
    const now = performance.now();
    if (now - this.#restartedAt < restartEvery) return false;
    this.#restartedAt = now;
    this.#start = randomUUID();
    this.#settled = 0;
    for (const session of this.#options.sessions.all()) this.connected(session);
    return true;
  }
}
