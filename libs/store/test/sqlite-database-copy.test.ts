// A copy that is taken while others write is a moment of the database, whole.
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  copySqliteDatabase,
  createSqliteStore,
  findDatabaseDamage,
  openSqliteStore,
  readDatabaseFacts,
} from '../src/index.ts';
import { note } from './contract/engine.ts';

let folder: string;
let from: string;
let to: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-copy-'));
  from = join(folder, 'keyline.db');
  to = join(folder, 'copy.db');
  createSqliteStore(from);
});
afterEach(() => rm(folder, { recursive: true }));

describe('a copy of the database', () => {
  it('is one private file of one moment, while a service goes on writing', async () => {
    const store = await openSqliteStore({ path: from });
    try {
      for (let n = 0; n < 20; n++) {
        await store.commit({
          writes: [],
          entries: Array.from({ length: 1000 }, () => note('pump')),
        });
      }
      const copied = new AbortController();
      let written = 0;
      const writing = (async () => {
        while (!copied.signal.aborted) {
          await store.commit({ writes: [], entries: [note('meanwhile')] });
          written++;
        }
      })();
      const shares: number[] = [];
      await copySqliteDatabase({ from, to, onProgress: (share) => shares.push(share) });
      copied.abort();
      await writing;
      expect(shares.length).toBeGreaterThan(1);
      expect(written).toBeGreaterThan(0);
      const { ledger, schemaVersion } = readDatabaseFacts(to);
      expect(ledger.seq).toBeGreaterThanOrEqual(20_000);
      expect(ledger.seq).toBeLessThanOrEqual(await store.lastSeq());
      expect(ledger.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(schemaVersion).toBeGreaterThan(0);
      expect(findDatabaseDamage(to)).toBeUndefined();
      expect((await stat(to)).mode & 0o777).toBe(0o600);
      expect(['-wal', '-shm', '-journal'].filter((end) => existsSync(`${to}${end}`))).toEqual([]);
    } finally {
      await store.close();
    }
  });

  it('opens as a store', async () => {
    await copySqliteDatabase({ from, to });
    const store = await openSqliteStore({ path: to });
    expect(await store.lastSeq()).toBe(readDatabaseFacts(from).ledger.seq);
    await store.close();
  });

  it('leaves nothing when it is told to stop', async () => {
    const signal = AbortSignal.abort();
    await expect(copySqliteDatabase({ from, to, signal })).rejects.toThrow(/abort/i);
    expect(existsSync(to)).toBe(false);
  });

  it('overwrites nothing, and makes no database where there is none', async () => {
    await writeFile(to, 'mine');
    await expect(copySqliteDatabase({ from, to })).rejects.toThrow(/FILE_EXISTS/);
    const none = join(folder, 'none.db');
    await expect(copySqliteDatabase({ from: none, to: join(folder, 'x') })).rejects.toThrow(
      /STORE_MISSING/,
    );
    expect(existsSync(none)).toBe(false);
  });

  it('says when it is damaged, or no database at all', async () => {
    await copySqliteDatabase({ from, to });
    await truncate(to, (await stat(to)).size - 4096);
    expect(() => {
      const damage = findDatabaseDamage(to);
      if (damage !== undefined) throw new Error(damage);
    }).toThrow();
    await writeFile(
      join(folder, 'text'),
      'not a database, but long enough for a header'.repeat(10),
    );
    expect(() => readDatabaseFacts(join(folder, 'text'))).toThrow(/no database/);
  });
});
