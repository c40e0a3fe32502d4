// A database in another file than the one it was used in last is a copy; the same file under another name is none.
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSqliteStore, openSqliteStore } from '../src/index.ts';

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-place-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function open(path: string, isCopy = false): Promise<void> {
  const store = await openSqliteStore({ path, isCopy });
  await store.close();
}

it('opens again in its own file, also when the folder has another name', async () => {
  const first = mkdtempSync(at('first-'));
  createSqliteStore(join(first, 'keyline.db'));
  await open(join(first, 'keyline.db'));
  await open(join(first, 'keyline.db'));
  renameSync(first, at('second'));
  await open(at('second', 'keyline.db'));
});

it('is STORE_COPIED in another file, until it is said to be a copy; it is at home there then, and the original stays what it was', async () => {
  createSqliteStore(at('keyline.db'));
  await open(at('keyline.db'));
  cpSync(at('keyline.db'), at('copy.db'));
  for (let times = 0; times < 2; times++) {
    await expect(open(at('copy.db'))).rejects.toMatchObject({
      code: 'STORE_COPIED',
      detail: expect.stringContaining(`keyline restore --copy --data ${folder}`),
    });
  }
  await open(at('copy.db'), true);
  await open(at('copy.db'));
  await open(at('keyline.db'));
});
