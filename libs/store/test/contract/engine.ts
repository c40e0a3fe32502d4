// What the contract needs of a database: to be opened, and opened again over the same data.
import type { CommitResult, Store, Write } from '@keyline/fleet';
import type { NewEntry } from '@keyline/ledger';
import { afterEach, beforeEach } from 'vitest';

export interface Engine {
  /** The store over this engine's data; the one opened before is closed first. */
  open(): Promise<Store>;
  /** Closes what is open and takes the data away. */
  remove(): Promise<void>;
}

export type CreateEngine = () => Promise<Engine>;

/** An engine of its own for every test, with its store open. */
export function useEngine(createEngine: CreateEngine): {
  readonly store: Store;
  reopen(): Promise<Store>;
} {
  let engine: Engine;
  let store: Store;
  beforeEach(async () => {
    engine = await createEngine();
    store = await engine.open();
  });
  afterEach(() => engine.remove());
  return {
    get store() {
      return store;
    },
    async reopen() {
      store = await engine.open();
      return store;
    },
  };
}

/** Commits writes that must be taken. */
export async function take(store: Store, ...writes: Write[]): Promise<void> {
  const result = await store.commit({ writes, entries: [] });
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result)}`);
}

/** The code a unit is refused with; `taken` when it is not. */
export async function outcome(store: Store, ...writes: Write[]): Promise<string> {
  return codeOf(await store.commit({ writes, entries: [] }));
}

export const codeOf = (result: CommitResult): string => (result.ok ? 'taken' : result.code);

export async function listAll<Item>(
  page: (
    cursor: string | undefined,
  ) => Promise<{ items: readonly Item[]; nextCursor: string | null }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    if (++pages > 1000) throw new Error('the pages do not come to an end');
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

export const note = (subject: string, at = 1): NewEntry => ({
  at,
  actor: 'keyline',
  data: { kind: 'token-created', token: subject, use: 'enroll' },
});
