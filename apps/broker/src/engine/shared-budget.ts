// Bytes that many connections share: when together they hold too many, those that hold the most go first.

export interface Holder {
  /** Ends the holder, which gives back what it holds. @param what the budget is for */
  evict(what: string): void;
}

/** After an overflow this part of the limit stays in use, so that not every further byte is an overflow. */
const keptPart = 0.9;

export class SharedBudget {
  readonly #what: string;
  readonly #limit: number;
  readonly #held = new Map<Holder, number>();
  #used = 0;

  /** @param what it is for and that it is used up, in words; @param limit in bytes */
  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  set(holder: Holder, bytes: number): void {
    const before = this.#held.get(holder) ?? 0;
    if (bytes === before) return;
    this.#used += bytes - before;
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
    if (this.#used > this.#limit) this.#evict();
  }

  #evict(): void {
    const largestFirst = [...this.#held].sort(([, a], [, b]) => b - a);
    for (const [holder] of largestFirst) {
      if (this.#used <= this.#limit * keptPart) return;
      this.set(holder, 0);
      holder.evict(this.#what);
    }
  }
}
