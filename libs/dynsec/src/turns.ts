// One after the other, in the order of asking.

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined); // told to whoever asked
    return turn;
  }

  /** Resolves when all who asked before had their turn. */
  async wait(): Promise<void> {
    await this.#last;
  }
}
