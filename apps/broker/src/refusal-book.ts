// The last refusals of each identity, until the issuing CA has them on record: bounded, whoever is refused, and however often.
import type { Clock } from '@keyline/kernel';
import { isProven, type RefusalLine } from './refusal-log.ts';

interface NotedRefusal {
  readonly username: string;
  /** `connection refused`, `message denied`, … */
  readonly event: string;
  readonly reason: string;
  readonly topic: string;
  /** Epoch milliseconds. */
  readonly firstAt: number;
  lastAt: number;
  count: number;
  clientId: string;
  address: string;
  serial: string;
  happened: string;
  remedy: string;
  /** False: anybody can have said that name, the peer has not shown that it is his. */
  readonly proven: boolean;
}

export interface RefusalPage {
  /** Grows by one with each page. */
  readonly batch: number;
  readonly refusals: readonly NotedRefusal[];
}

interface RefusalBookOptions {
  readonly clock: Clock;
  /** Whether a name that nobody has proven is one of ours. */
  readonly isKnown: (name: string) => boolean;
}

/** Of one identity, different ones. */
const mostOfIdentity = { proven: 8, unproven: 3 } as const;
const mostIdentities = { proven: 4096, unproven: 1024 } as const;
const refusalsPerPage = 200;
/** Characters of what came from a peer, and of a sentence. */
const longest = 400;

type Shelf = Map<string, Map<string, NotedRefusal>>;

export class RefusalBook {
  readonly #options: RefusalBookOptions;
  // Apart: whoever says somebody else's name must not push out what that one was really told.
  readonly #shelves: Record<keyof typeof mostOfIdentity, Shelf> = {
    proven: new Map(),
    unproven: new Map(),
  };
  #told: RefusalPage = { batch: 0, refusals: [] };

  constructor(options: RefusalBookOptions) {
    this.#options = options;
  }

  note(line: RefusalLine): void {
    const username = line.certificate.cn;
    const proven = isProven(line);
    if (username === undefined || (!proven && !this.#options.isKnown(username))) return;
    const kind = proven ? 'proven' : 'unproven';
    const shelf = this.#shelves[kind];
    const own = shelf.get(username) ?? new Map<string, NotedRefusal>();
    // To the end: the first to go is who was refused longest ago.
    shelf.delete(username);
    shelf.set(username, own);
    if (shelf.size > mostIdentities[kind]) dropFirst(shelf);
    const topic = (line.topic ?? '').slice(0, longest);
    const key = `${line.event}\n${line.reason}\n${topic}`;
    const earlier = own.get(key);
    const now = this.#options.clock.now();
    own.delete(key);
    own.set(key, {
      username,
      event: line.event,
      reason: line.reason,
      topic,
      firstAt: earlier?.firstAt ?? now,
      lastAt: now,
      count: (earlier?.count ?? 0) + 1,
      clientId: (line.clientId ?? '').slice(0, longest),
      address: line.peer ?? '',
      serial: line.certificate.serialHex ?? '',
      happened: line.happened.slice(0, longest),
      remedy: line.remedy.slice(0, longest),
      proven,
    });
    if (own.size > mostOfIdentity[kind]) dropFirst(own);
  }

  /** @param after the last page that is on record; another than the last that was told: that one is told again */
  tell(after: number): RefusalPage {
    if (after === this.#told.batch || this.#told.refusals.length === 0) {
      const refusals = [
        ...take(this.#shelves.proven, refusalsPerPage),
        ...take(this.#shelves.unproven, refusalsPerPage / 4),
      ];
      this.#told = { batch: this.#told.batch + Number(refusals.length > 0), refusals };
    }
    return this.#told;
  }
}

/** Those of the identities that were refused longest ago; they are gone from the shelf then. */
function take(shelf: Shelf, most: number): NotedRefusal[] {
  const taken: NotedRefusal[] = [];
  for (const [username, own] of shelf) {
    if (taken.length > 0 && taken.length + own.size > most) break;
    taken.push(...own.values());
    shelf.delete(username);
  }
  return taken;
}

function dropFirst(map: Map<string, unknown>): void {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
