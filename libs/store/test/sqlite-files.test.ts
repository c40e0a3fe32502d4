// The database as a file: made and migrated only when asked, one service at a time, and whole after any end of its process.
import type { Store } from '@keyline/fleet';
import Database from 'better-sqlite3';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSqliteStore, migrateSqliteStore, openSqliteStore } from '../src/index.ts';
import { note } from './contract/engine.ts';
import { device, id, sha } from './contract/rows.ts';

let folder: string;
let path: string;
let opened: Store[];
let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-store-'));
  path = join(folder, 'keyline.db');
  opened = [];
  children = [];
});
afterEach(async () => {
  for (const child of children) await kill(child);
  for (const store of opened) await store.close();
  await rm(folder, { recursive: true });
});

async function open(): Promise<Store> {
  const store = await openSqliteStore({ path });
  opened.push(store);
  return store;
}

/** A process that has the database open and, given a prefix for names, commits; what it says after "open" is given to `onLine`. */
async function startChild(names: string, onLine?: (line: string) => void): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'committing-child.ts');
  const child = spawn(process.execPath, [script, path, names], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  if (onLine !== undefined) lines.on('line', onLine);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // Its output is read to the end before it counts as closed.
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

const setVersion = (version: number): void => {
  const db = new Database(path);
  db.pragma(`user_version = ${String(version)}`);
  db.close();
};

describe('a database file', () => {
  it('is never made by opening or migrating: STORE_MISSING', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'STORE_MISSING' });
    expect(() => migrateSqliteStore(path)).toThrow(/STORE_MISSING/);
    expect(existsSync(path)).toBe(false);
  });

  it('is never made over another file: FILE_EXISTS, and that file stays as it was', () => {
    writeFileSync(path, 'something of somebody');
    expect(() => createSqliteStore(path)).toThrow(/FILE_EXISTS/);
    expect(readFileSync(path, 'utf8')).toBe('something of somebody');
  });

  it('is refused when it is older than the program, until it is migrated: STORE_STALE', async () => {
    new Database(path).close();
    writeFileSync(path, '');
    await expect(open()).rejects.toMatchObject({ code: 'STORE_STALE' });
    const { from, to } = migrateSqliteStore(path);
    expect(from).toBe(0);
    expect(to).toBeGreaterThan(0);
    const store = await open();
    expect(await store.lastSeq()).toBe(0);
  });

  it('is left alone by migrating when it has the version already, with all that is in it', async () => {
    createSqliteStore(path);
    const store = await open();
    await store.commit({
      writes: [{ op: 'insert-device', device: device('d1') }],
      entries: [note('d1')],
    });
    await store.close();
    const { from, to } = migrateSqliteStore(path);
    expect(from).toBe(to);
    expect(await (await open()).findDevice(id('d1'))).toEqual(
      device('d1', { entry: 1, admission: 1 }),
    );
  });

  it('is refused when it is newer than the program, also by migrating: STORE_STALE', async () => {
    createSqliteStore(path);
    setVersion(999);
    await expect(open()).rejects.toMatchObject({ code: 'STORE_STALE' });
    expect(() => migrateSqliteStore(path)).toThrow(/STORE_STALE.*999/);
    const db = new Database(path, { readonly: true });
    expect(db.pragma('user_version', { simple: true })).toBe(999);
    db.close();
  });

  it('is FILE_UNREADABLE when it is none, and the lock is let go of', async () => {
    writeFileSync(path, 'no database at all, but long enough to be taken for a header '.repeat(20));
    await expect(open()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(() => migrateSqliteStore(path)).toThrow(/FILE_UNREADABLE/);
    await rm(path);
    mkdirSync(path);
    await expect(open()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(() => migrateSqliteStore(path)).toThrow(/FILE_UNREADABLE/);
    await rm(path, { recursive: true });
    createSqliteStore(path);
    await open();
  });

  it('is FILE_UNREADABLE when its lock can’t be made, which is no sign of another service', async () => {
    createSqliteStore(path);
    mkdirSync(`${path}.lock`);
    await expect(open()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});

describe('the lock', () => {
  it('keeps a second process out, and is free the moment the first is killed', async () => {
    createSqliteStore(path);
    const child = await startChild('');
    await expect(open()).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    expect(() => migrateSqliteStore(path)).toThrow(/STORE_CONFLICT/);
    await kill(child);
    const store = await open();
    await store.commit({ writes: [], entries: [note('mine')] });
    expect(await store.lastSeq()).toBe(1);
  });

  it('is free after closing, and held against the same process as well', async () => {
    createSqliteStore(path);
    const store = await open();
    await expect(open()).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    await store.close();
    await store.close();
    await open();
  });
});

describe('kill -9 while units are committed', () => {
  it('loses nothing that was acknowledged and leaves no half unit and no gap, three times over', async () => {
    createSqliteStore(path);
    const acknowledged = new Map<number, string>();
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.size;
      const child = await startChild(`round-${String(round)}`, (line) => {
        const [seq = '', name = ''] = line.split(' ');
        acknowledged.set(Number(seq), name);
      });
      while (acknowledged.size < before + 40) await sleep(2);
      await sleep(Math.random() * 60);
      await kill(child);
      await check(acknowledged);
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(120);
  });

  async function check(acknowledged: ReadonlyMap<number, string>): Promise<void> {
    const store = await openSqliteStore({ path });
    const entries = await store.readEntries(0, 1_000_000);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, n) => n + 1));
    const names = new Map(
      entries.map(({ seq, data }) => [seq, 'token' in data ? data.token : undefined]),
    );
    for (const [seq, name] of acknowledged) expect(names.get(seq)).toBe(name);
    // What is in the ledger is in the tables, and nothing else is.
    const owned = new Set<string>();
    for (const name of names.values()) {
      if (name === undefined) continue;
      owned.add(name);
      expect(await store.findKeyOwner(sha(name))).toBe(name);
      expect(await store.findDevice(id(name))).toBeDefined();
    }
    expect((await store.countDevicesByState()).active).toBe(owned.size);
    const { items } = await store.listDevices({ limit: 1_000_000 });
    expect(items).toHaveLength(owned.size);
    await store.close();
  }
});
