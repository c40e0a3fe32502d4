// The contract's engine in memory.
import type { Store } from '@keyline/fleet';
import type { Engine } from '../contract/engine.ts';
import { openMemoryStore } from './memory-store.ts';
import { Tables } from './tables.ts';

export function createMemoryEngine(): Promise<Engine> {
  const tables = new Tables();
  let open: Store | undefined;
  return Promise.resolve({
    async open() {
      await open?.close();
      open = openMemoryStore(tables);
      return open;
    },
    async remove() {
      await open?.close();
    },
  });
}
