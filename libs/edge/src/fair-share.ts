// A bounded amount of something (connections, bytes on their way in), shared by whoever comes. As long as there is room everybody is
// taken: a whole plant behind one address is one address. Only when there is none, whoever holds most gives way to the next, down to
// equal parts.

interface Part<Holder> {
  weight: number;
  /** In the order they came. */
  readonly holders: Set<Holder>;
}

interface Held {
  readonly key: string;
  readonly weight: number;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  isProved: boolean;
}

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
  readonly #held = new Map<Holder, Held>();
  readonly #parts = new Map<string, Part<Holder>>();
  /** Keys by how much they hold, so that the heaviest is found without a search. */
  readonly #byWeight = new Map<number, Set<string>>();
  #heaviest = 0;
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
    this.#held.set(holder, { key, weight, since: now, isProved: false });
    const part = this.#parts.get(key) ?? { weight: 0, holders: new Set() };
    this.#parts.set(key, part);
    part.holders.add(holder);
    this.#reweigh(key, part, part.weight + weight);
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
    const part = this.#parts.get(held.key);
    if (part === undefined) return;
    part.holders.delete(holder);
    this.#reweigh(held.key, part, part.weight - held.weight);
    if (part.holders.size === 0) this.#parts.delete(held.key);
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
    if (this.#heaviest > (own?.weight ?? 0) + weight) {
      const [heaviest = ''] = this.#byWeight.get(this.#heaviest) ?? [];
      const part = this.#parts.get(heaviest);
      return part === undefined ? undefined : this.#firstOf(part);
    }
    const { idle } = this.#options;
    // Only the oldest is looked at: no long search for one that is idle.
    const [oldest] = own?.holders ?? [];
    if (idle === undefined || oldest === undefined) return undefined;
    const since = this.#held.get(oldest)?.since ?? now;
    return now - since >= idle.patience && idle.isIdle(oldest) ? oldest : undefined;
  }

  #firstOf({ holders }: Part<Holder>): Holder | undefined {
    let first: Holder | undefined;
    for (const holder of holders) {
      if (this.#held.get(holder)?.isProved !== true) return holder;
      first ??= holder;
    }
    return first;
  }

  #reweigh(key: string, part: Part<Holder>, weight: number): void {
    const before = part.weight;
    this.#total += weight - before;
    part.weight = weight;
    const left = this.#byWeight.get(before);
    left?.delete(key);
    if (left?.size === 0) this.#byWeight.delete(before);
    if (weight > 0) {
      const joined = this.#byWeight.get(weight);
      if (joined === undefined) this.#byWeight.set(weight, new Set([key]));
      else joined.add(key);
    }
    if (weight > this.#heaviest) this.#heaviest = weight;
    else if (!this.#byWeight.has(this.#heaviest)) {
      // Of single things the next is one less; of bytes there may be as many weights as keys.
      if (this.#byWeight.has(this.#heaviest - 1)) this.#heaviest -= 1;
      else {
        this.#heaviest = 0;
        for (const other of this.#byWeight.keys()) {
          if (other > this.#heaviest) this.#heaviest = other;
        }
      }
    }
  }
}
