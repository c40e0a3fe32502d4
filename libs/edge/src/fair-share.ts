// A bounded amount of something (connections, bytes on their way in), shared by whoever comes. As long as there is room everybody is
// taken: a whole plant behind one address is one address. Only when there is none, whoever holds most gives way to the next, down to
// equal parts.

interface Part<Holder> {
  readonly key: string;
  weight: number;
  oldest: Held<Holder> | undefined;
  newest: Held<Holder> | undefined;
}

/** Those of one key are linked in the order they came: what comes and goes with each request must cost the garbage collector little. */
interface Held<Holder> {
  readonly holder: Holder;
  readonly part: Part<Holder>;
  readonly weight: number;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  isProved: boolean;
  older: Held<Holder> | undefined;
  newer: Held<Holder> | undefined;
}

/** Keys that may be remembered while they hold nothing: the next of an address comes soon. */
const mostIdleParts = 64;

interface FairShareOptions<Holder> {
  readonly most: number;
  /** Ends what a holder does, to make room; it holds nothing any more then. Not called for what is released. */
  readonly end: (holder: Holder) => void;
  /**
   * Where even the parts are equal: the oldest of a key that has been idle this many milliseconds gives way to another of its own key.
   * Absent: nobody does.
   */
  readonly idle?: { readonly isIdle: (holder: Holder) => boolean; readonly patience: number };
  /** Milliseconds of the monotonic clock. */
  readonly now?: () => number;
}

export class FairShare<Holder> {
  readonly #options: FairShareOptions<Holder>;
  readonly #now: () => number;
  /** In the order they came. */
  readonly #held = new Map<Holder, Held<Holder>>();
  readonly #parts = new Map<string, Part<Holder>>();
  /** Kept from when there is no room until half is free: as long as nobody must give way, nobody asks for the heaviest. */
  #byWeight: PartsByWeight<Holder> | undefined;
  #total = 0;

  constructor(options: FairShareOptions<Holder>) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What is held, of `most`. */
  get total(): number {
    return this.#total;
  }

  /**
   * @param key who counts as one: `peerKeyOf` an address, or a name
   * @param weight a whole number
   * @returns false when there is no room, and nobody has more than this one would have
   */
  take(key: string, holder: Holder, weight = 1): boolean {
    const { most, end } = this.#options;
    const now = this.#now();
    while (this.#total + weight > most) {
      const loser = this.#whoGivesWay(key, weight, now);
      if (loser === undefined) return false;
      this.release(loser);
      end(loser);
    }
    let part = this.#parts.get(key);
    if (part === undefined) {
      part = { key, weight: 0, oldest: undefined, newest: undefined };
      this.#parts.set(key, part);
    }
    const older = part.newest;
    const held = { holder, part, weight, since: now, isProved: false, older, newer: undefined };
    if (older === undefined) part.oldest = held;
    else older.newer = held;
    part.newest = held;
    this.#held.set(holder, held);
    this.#reweigh(part, weight);
    return true;
  }

  /** Of one key those that proved who they are give way last. */
  prove(holder: Holder): void {
    const held = this.#held.get(holder);
    if (held !== undefined) held.isProved = true;
  }

  /** May be called for one that holds nothing. */
  release(holder: Holder): void {
    const held = this.#held.get(holder);
    if (held === undefined) return;
    this.#held.delete(holder);
    const { part, older, newer } = held;
    if (older === undefined) part.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) part.newest = older;
    else newer.older = older;
    this.#reweigh(part, -held.weight);
    if (part.oldest === undefined && this.#parts.size > mostIdleParts) this.#parts.delete(part.key);
    if (this.#total * 2 < this.#options.most) this.#byWeight = undefined;
  }

  /** Those who came before a moment, oldest first. */
  *before(moment: number): Generator<Holder> {
    for (const [holder, { since }] of this.#held) {
      if (since >= moment) return;
      yield holder;
    }
  }

  holders(): Iterable<Holder> {
    return this.#held.keys();
  }

  #whoGivesWay(key: string, weight: number, now: number): Holder | undefined {
    const own = this.#parts.get(key);
    this.#byWeight ??= new PartsByWeight(this.#parts.values());
    const heaviest = this.#byWeight.heaviest();
    if (heaviest !== undefined && heaviest.weight > (own?.weight ?? 0) + weight) {
      return firstOf(heaviest)?.holder;
    }
    const { idle } = this.#options;
    // Only the oldest is looked at: no long search for one that is idle.
    const oldest = own?.oldest;
    if (idle === undefined || oldest === undefined) return undefined;
    const { holder, since } = oldest;
    return now - since >= idle.patience && idle.isIdle(holder) ? holder : undefined;
  }

  #reweigh(part: Part<Holder>, by: number): void {
    const before = part.weight;
    part.weight += by;
    this.#total += by;
    this.#byWeight?.move(part, before);
  }
}

function firstOf<Holder>({ oldest }: Part<Holder>): Held<Holder> | undefined {
  for (let held = oldest; held !== undefined; held = held.newer) if (!held.isProved) return held;
  return oldest;
}

/** So that the heaviest is found without a search, however many there are. */
class PartsByWeight<Holder> {
  readonly #parts = new Map<number, Set<Part<Holder>>>();
  #heaviest = 0;

  constructor(parts: Iterable<Part<Holder>>) {
    for (const part of parts) this.move(part, 0);
  }

  heaviest(): Part<Holder> | undefined {
    const [part] = this.#parts.get(this.#heaviest) ?? [];
    return part;
  }

  /** @param before what it weighed; 0 when it was not here */
  move(part: Part<Holder>, before: number): void {
    const { weight } = part;
    const left = this.#parts.get(before);
    left?.delete(part);
    if (left?.size === 0) this.#parts.delete(before);
    if (weight > 0) {
      const joined = this.#parts.get(weight);
      if (joined === undefined) this.#parts.set(weight, new Set([part]));
      else joined.add(part);
    }
    if (weight > this.#heaviest) this.#heaviest = weight;
    else if (!this.#parts.has(this.#heaviest)) {
      // Of single things the next is one less; of bytes there may be as many weights as keys.
      if (this.#parts.has(this.#heaviest - 1)) this.#heaviest -= 1;
      else {
        this.#heaviest = 0;
        for (const other of this.#parts.keys()) {
          if (other > this.#heaviest) this.#heaviest = other;
        }
      }
    }
  }
}
