// Names in order, for lists that are read page by page while the fleet changes: no change and no page sorts everything anew.

/** Names waiting to be sorted in: small, so that merging them stalls nobody. */
const pendingLimit = 4096;

export class SortedNames {
  #sorted: string[] = [];
  #added = new Set<string>();
  #removed = new Set<string>();

  add(name: string): void {
    if (this.#removed.delete(name)) return;
    this.#added.add(name);
    if (this.#added.size >= pendingLimit) this.#settle();
  }

  delete(name: string): void {
    if (this.#added.delete(name)) return;
    this.#removed.add(name);
    if (this.#removed.size >= pendingLimit) this.#settle();
  }

  /** As of now: a later change makes another list. */
  all(): readonly string[] {
    this.#settle();
    return this.#sorted;
  }

  #settle(): void {
    if (this.#added.size === 0 && this.#removed.size === 0) return;
    const added = [...this.#added].sort();
    const removed = this.#removed;
    const merged: string[] = [];
    let next = 0;
    for (const name of this.#sorted) {
      if (removed.has(name)) continue;
      for (let other = added[next]; other !== undefined && other < name; other = added[next]) {
        merged.push(other);
        next += 1;
      }
      merged.push(name);
    }
    for (; next < added.length; next += 1) merged.push(added[next] as string);
    this.#sorted = merged;
    this.#added = new Set();
    this.#removed = new Set();
  }
}
