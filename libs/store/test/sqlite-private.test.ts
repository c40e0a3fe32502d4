// The database is its owner's alone, whatever the umask.
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSqliteStore, openSqliteStore } from '../src/index.ts';

let folder: string;
let before: number;
const modes = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      (statSync(join(folder, name)).mode & 0o777).toString(8),
    ]),
  );

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-store-'));
  before = process.umask(0);
});
afterEach(() => {
  process.umask(before);
  rmSync(folder, { recursive: true });
});

it('has mode 0600 with its log, its index and its lock, and takes from others what they had', async () => {
  const path = join(folder, 'k.db');
  createSqliteStore(path);
  expect(modes()).toEqual({ 'k.db': '600' });
  chmodSync(path, 0o666);
  const store = await openSqliteStore({ path });
  await store.commit({
    writes: [],
    entries: [{ at: 1, actor: 'x', data: { kind: 'token-created', token: 't', use: 'api' } }],
  });
  expect(modes()).toMatchObject({ 'k.db-shm': '600', 'k.db-wal': '600', 'k.db.lock': '600' });
  expect(new Set(Object.values(modes()))).toEqual(new Set(['600']));
  await store.close();
});
