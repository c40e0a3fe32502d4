// Every choice of a fuzzer, from one seed.
import { createRandom } from '../../support/random.ts';

export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = createRandom(seed);
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  /** @param share 0: never, 1: always */
  happens(share: number): boolean {
    return this.#next() < share;
  }

  pick<Value>(list: readonly Value[]): Value {
    const value = list[this.below(list.length)];
    if (value === undefined) throw new Error('There is nothing to pick from.');
    return value;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** For what has random choices of its own. */
  seed(): number {
    return this.below(2 ** 31);
  }
}
