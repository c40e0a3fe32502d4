// A bounded amount of something, shared by whoever comes. Nobody is counted until it is used up; then whoever has most gives to the next.

interface Part<Holder> {
  weight: number;
  /** In the order they came. */
  readonly holders: Map<Holder, number>;
}

/** Addresses that may be remembered while they hold nothing. */
const mostIdleParts = 64;

/**
 * A fixed number for each address would be too small for a plant behind one address, and too large for an attacker. So one address may have
 * all, and loses of it only what others ask for, down to equal parts.
 */
export class FairShare<Holder extends object> {
  readonly #most: number;
  readonly #end: (holder: Holder) => void;
  readonly #parts = new Map<string, Part<Holder>>();
  readonly #keys = new Map<Holder, string>();
  readonly #proved = new WeakSet<Holder>();
  #total = 0;

  /** @param options.end ends what a holder does, to make room; it is not called for what is released */
  constructor(options: { readonly most: number; readonly end: (holder: Holder) => void }) {
    this.#most = options.most;
    this.#end = options.end;
  }

  get total(): number {
    return this.#total;
  }

  /** @returns false when there is no room, and nobody has more than this one would have */
  take(key: string, holder: Holder, weight = 1): boolean {
    const wanted = (this.#parts.get(key)?.weight ?? 0) + weight;
    while (this.#total + weight > this.#most) {
      const heaviest = this.#findHeaviest();
      if (heaviest === undefined || heaviest.weight <= wanted) return false;
      const oldest = this.#firstOf(heaviest);
      if (oldest === undefined) return false;
      this.release(oldest);
      this.#end(oldest);
    }
    let part = this.#parts.get(key);
    if (part === undefined) {
      part = { weight: 0, holders: new Map() };
      this.#parts.set(key, part);
    }
    part.weight += weight;
    part.holders.set(holder, weight);
    this.#keys.set(holder, key);
    this.#total += weight;
    return true;
  }

  /** Of one address those that proved who they are give way last. */
  prove(holder: Holder): void {
    this.#proved.add(holder);
  }

  /** May be called for one that holds nothing. */
  release(holder: Holder): void {
    const key = this.#keys.get(holder);
    if (key === undefined) return;
    this.#keys.delete(holder);
    const part = this.#parts.get(key);
    const weight = part?.holders.get(holder);
    if (part === undefined || weight === undefined) return;
    part.holders.delete(holder);
    part.weight -= weight;
    this.#total -= weight;
    // The next request of an address comes soon, and one part costs little.
    if (part.holders.size === 0 && this.#parts.size > mostIdleParts) this.#parts.delete(key);
  }

  #findHeaviest(): Part<Holder> | undefined {
    let heaviest: Part<Holder> | undefined;
    for (const part of this.#parts.values()) {
      if (heaviest === undefined || part.weight > heaviest.weight) heaviest = part;
    }
    return heaviest;
  }

  #firstOf(part: Part<Holder>): Holder | undefined {
    let first: Holder | undefined;
    for (const holder of part.holders.keys()) {
      if (!this.#proved.has(holder)) return holder;
      first ??= holder;
    }
    return first;
  }
}
