// Large CRLs on SQLite: kept in pieces, given back whole, and nothing left of those before.
import type { CommitResult, Store } from '@keyline/fleet';
import Database from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSqliteStore, openSqliteStore } from '../src/index.ts';
import { crl } from './contract/rows.ts';

const megabyte = 1024 * 1024;
let folder: string;
let path: string;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-store-'));
  path = join(folder, 'keyline.db');
  createSqliteStore(path);
  store = await openSqliteStore({ path });
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

function publish(number: number, der: Uint8Array): Promise<CommitResult> {
  return store.commit({
    writes: [{ op: 'insert-crl', crl: crl(number, { der }) }],
    entries: [
      {
        at: 1,
        actor: 'keyline',
        data: { kind: 'crl-published', authority: 'issuing-1', list: 'issuing-1', number },
      },
    ],
  });
}

function pieces(): number {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT count(*) FROM crl_parts').pluck().get() as number;
  } finally {
    db.close();
  }
}

describe('a CRL of several megabytes', () => {
  it('is given back whole, also after the database was opened again', async () => {
    const der = randomBytes(5 * megabyte + 17);
    expect((await publish(1, der)).ok).toBe(true);
    expect(Buffer.compare((await store.findLatestCrl('issuing-1', 'complete'))!.der, der)).toBe(0);
    await store.close();
    store = await openSqliteStore({ path });
    const found = await store.findLatestCrl('issuing-1', 'complete');
    expect(found).toMatchObject({ number: 1, ledgerSeq: 0 });
    expect(Buffer.compare(found!.der, der)).toBe(0);
  });

  it('leaves nothing behind once another took its place', async () => {
    await publish(1, randomBytes(3 * megabyte));
    expect(pieces()).toBe(3);
    await publish(2, randomBytes(2 * megabyte));
    await expect.poll(pieces).toBe(2);
    await publish(3, randomBytes(100));
    // Small ones do not clean up; the next large one does.
    await publish(4, randomBytes(2 * megabyte));
    await expect.poll(pieces).toBe(2);
  });

  it('that is refused harms neither the one in force nor keeps its pieces', async () => {
    const der = randomBytes(2 * megabyte);
    await publish(7, der);
    expect(await publish(7, randomBytes(2 * megabyte))).toMatchObject({
      ok: false,
      code: 'STORE_CONFLICT',
    });
    await expect.poll(pieces).toBe(2);
    expect(Buffer.compare((await store.findLatestCrl('issuing-1', 'complete'))!.der, der)).toBe(0);
  });

  it('lets other units commit while it is written', async () => {
    const order: string[] = [];
    await Promise.all([
      publish(1, randomBytes(8 * megabyte)).then(() => order.push('crl')),
      store
        .commit({ writes: [{ op: 'move-cursor', follower: 'any', seq: 1 }], entries: [] })
        .then(() => order.push('unit')),
    ]);
    expect(order).toEqual(['unit', 'crl']);
  });
});
