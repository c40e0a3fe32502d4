// The contract's engine on SQLite, in a folder of its own.
import type { Store } from '@keyline/fleet';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSqliteStore, openSqliteStore } from '../src/index.ts';
import type { Engine } from './contract/engine.ts';

export async function createSqliteEngine(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'keyline-store-'));
  const path = join(folder, 'keyline.db');
  createSqliteStore(path);
  let open: Store | undefined;
  return {
    async open() {
      await open?.close();
      open = await openSqliteStore({ path });
      return open;
    },
    async remove() {
      await open?.close();
      await rm(folder, { recursive: true });
    },
  };
}
