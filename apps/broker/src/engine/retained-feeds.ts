// Retained messages that a connection still has to get, by the filter they are for. Each is found when it is come to, so waiting takes no memory.

export class RetainedFeeds {
  readonly #feeds = new Map<string, Iterator<void>>();

  /** A filter has one: asked for again while it waits, it begins anew. Else a client that reads nothing could pile up as many as it likes. */
  set(filter: string, feed: Iterator<void>): void {
    this.#feeds.delete(filter);
    this.#feeds.set(filter, feed);
  }

  delete(filter: string): void {
    this.#feeds.delete(filter);
  }

  /** Gives one message after the other. @param mayGive asked before each @returns whether that was all */
  run(mayGive: () => boolean): boolean {
    for (const [filter, feed] of this.#feeds) {
      do if (!mayGive()) return false;
      while (feed.next().done !== true);
      if (this.#feeds.get(filter) === feed) this.#feeds.delete(filter);
    }
    return this.#feeds.size === 0;
  }
}
