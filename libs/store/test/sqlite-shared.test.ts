// One database that several services share: one order of entries, conditions across them, and a writer that does not let go.
import { fork } from 'node:child_process';
import type { Store } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';
import Database from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSqliteStore, migrateSqliteStore, openSqliteStore } from '../src/index.ts';
import { codeOf, note } from './contract/engine.ts';
import { certificate, crl, device, token } from './contract/rows.ts';

let folder: string;
let path: string;
let open: Store[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-store-'));
  path = join(folder, 'keyline.db');
  createSqliteStore(path);
  open = [];
});
afterEach(async () => {
  for (const store of open) await store.close();
  await rm(folder, { recursive: true });
});

async function share(): Promise<Store> {
  const store = await openSqliteStore({ path, shared: true });
  open.push(store);
  return store;
}

const seqsOf = (entries: readonly LedgerEntry[]): number[] => entries.map(({ seq }) => seq);

describe('a database that is shared', () => {
  it('is kept from whoever does not share, and one that is not shared from whoever would', async () => {
    const first = await share();
    await share();
    await expect(openSqliteStore({ path })).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    expect(() => migrateSqliteStore(path)).toThrow(/STORE_CONFLICT/);
    for (const store of open) await store.close();
    await expect(first.commit({ writes: [], entries: [note('t')] })).rejects.toThrow('closed');
    const alone = await openSqliteStore({ path });
    open = [alone];
    await expect(share()).rejects.toMatchObject({
      code: 'STORE_CONFLICT',
      detail: expect.stringContaining('--share-database') as string,
    });
  });

  it('has one ledger without gaps, whoever writes', async () => {
    const stores = [await share(), await share()];
    const heard: number[][] = [[], []];
    for (const [index, store] of stores.entries()) {
      store.onCommit((entries) => heard[index]!.push(...seqsOf(entries)));
    }
    await Promise.all(
      Array.from({ length: 400 }, async (_, n) => {
        const result = await stores[n % 2]!.commit({ writes: [], entries: [note(String(n))] });
        expect(result.ok).toBe(true);
        if (n % 40 < 2) await new Promise((resolve) => setImmediate(resolve));
      }),
    );
    const all = Array.from({ length: 400 }, (_, n) => n + 1);
    expect(seqsOf(await stores[0]!.readEntries(0, 1000))).toEqual(all);
    expect(await stores[1]!.lastSeq()).toBe(400);
    // Each hears its own commits, in order, and nothing of the other's.
    for (const one of heard) expect(one).toEqual(one.toSorted((a, b) => a - b));
    expect(heard.flat().toSorted((a, b) => a - b)).toEqual(all);
  });

  it('shows each what the other committed, and holds conditions across them', async () => {
    const [a, b] = [await share(), await share()];
    await a.commit({ writes: [{ op: 'insert-device', device: device('d1') }], entries: [] });
    const again = await b.commit({
      writes: [{ op: 'insert-device', device: device('d1') }],
      entries: [],
    });
    expect(codeOf(again)).toBe('DEVICE_EXISTS');
    await a.commit({
      writes: [{ op: 'insert-token', token: token('tok_1', { maxUses: 5 }) }],
      entries: [],
    });
    const uses = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        [a, b][n % 2]!.commit({ writes: [{ op: 'use-token', id: 'tok_1', at: 1 }], entries: [] }),
      ),
    );
    expect(uses.filter(({ ok }) => ok)).toHaveLength(5);
    await b.commit({
      writes: [{ op: 'insert-certificate', certificate: certificate(1) }],
      entries: [],
    });
    expect(await a.findCertificate(certificate(1).serial)).toEqual(certificate(1));
  });

  it('goes on by itself after another program kept it locked, and answers reads meanwhile', async () => {
    const store = await share();
    const shell = new Database(path);
    shell.exec('BEGIN IMMEDIATE');
    let done = false;
    const commit = store
      .commit({ writes: [], entries: [note('late')] })
      .finally(() => (done = true));
    for (let n = 0; n < 50; n++) {
      expect(await store.lastSeq()).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(done).toBe(false);
    shell.exec('COMMIT');
    shell.close();
    expect(await commit).toMatchObject({ ok: true, entries: [{ seq: 1 }] });
  });

  it('takes no large CRL of which somebody else swept a piece away', async () => {
    const [a, b] = [await share(), await share()];
    const der = randomBytes(3 * 1024 * 1024);
    const publish = (store: Store, number: number) =>
      store.commit({ writes: [{ op: 'insert-crl', crl: crl(number, { der }) }], entries: [] });
    await publish(a, 1);
    // Both at once: the one that ends first sweeps what no CRL refers to yet.
    const results = await Promise.all([publish(a, 2), publish(b, 3)]);
    expect(results.some(({ ok }) => ok)).toBe(true);
    for (const store of [a, b]) {
      expect((await store.findLatestCrl('issuing-1', 'complete'))?.der).toHaveLength(der.length);
    }
  });

  it('stays whole when one of those that write to it is killed, again and again', async () => {
    const store = await share();
    let children = 0;
    for (let round = 0; round < 5; round++) {
      const child = fork(
        join(import.meta.dirname, 'committing-child.ts'),
        [path, `r${String(round)}`, 'shared'],
        {
          stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
        },
      );
      children++;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      await new Promise<void>((resolve) => {
        let text = '';
        child.stdout?.on('data', (part: Buffer) => {
          text += part.toString();
          if (text.split('\n').length > 20) resolve();
        });
      });
      const [result] = await Promise.all([
        store.commit({ writes: [], entries: [note(`mine ${String(round)}`)] }),
        Promise.resolve(child.kill('SIGKILL')),
      ]);
      expect(result.ok).toBe(true);
      await gone;
    }
    const seqs = seqsOf(await store.readEntries(0, 100_000));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(seqs.length).toBeGreaterThan(20 * children);
  });
});
