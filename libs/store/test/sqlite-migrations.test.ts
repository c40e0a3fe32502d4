// What a migration makes of the rows of an older version.
import type { EntryData } from '@keyline/ledger';
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrateSqliteStore, openSqliteStore } from '../src/index.ts';
import { migrations } from '../src/sqlite/migrations.ts';
import { id, serial } from './contract/rows.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-store-'));
  path = join(folder, 'keyline.db');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A database of an older version, with what an older program wrote. */
function older(version: number, fill: (db: Database.Database) => void): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  for (const migration of migrations.slice(0, version)) db.exec(migration);
  db.pragma(`user_version = ${String(version)}`);
  fill(db);
  db.close();
}

const change = { type: 'default', state: 'active', role: 'device', notAfter: 9 } as const;
const enrolled = (device: string, n: number): EntryData => ({
  kind: 'device-enrolled',
  device,
  ...change,
  serial: serial(n),
  token: 'tok_1',
});
const renewed = (device: string, n: number): EntryData => ({
  kind: 'device-renewed',
  device,
  ...change,
  serial: serial(n),
});
const ended = (
  kind: 'device-suspended' | 'device-resumed' | 'device-decommissioned',
  device: string,
  ...numbers: number[]
): EntryData => ({
  kind,
  device,
  ...change,
  reason: 'unspecified',
  serials: numbers.map((n) => serial(n)),
});

it('gives rows of version 8 the ledger entry that they stand on', async () => {
  const ledger: readonly (readonly [subject: string, data: EntryData])[] = [
    ['d1', enrolled('d1', 1)],
    ['tok_1', { kind: 'token-created', token: 'tok_1', use: 'enroll' }],
    ['d1', renewed('d1', 2)],
    ['d2', enrolled('d2', 3)],
    ['d1', ended('device-suspended', 'd1', 1, 2)],
    ['d1', ended('device-resumed', 'd1', 1, 2)],
    // What is about a device's name and changes neither row.
    ['d1', { kind: 'renewal-allowed', identity: 'd1', until: 9 }],
    [
      'd1',
      {
        kind: 'identity-conflict',
        identity: 'd1',
        old: serial(1),
        current: serial(2),
        answered: true,
      },
    ],
    ['d2', ended('device-decommissioned', 'd2', 3)],
    ['d2', { ...enrolled('d2', 4), kind: 'device-reissued' } as EntryData],
    ['d2', { kind: 'certificate-revoked', owner: 'd2', serial: serial(4), reason: 'superseded' }],
    [
      'b@works',
      {
        kind: 'certificate-issued',
        owner: 'b@works',
        profile: 'server',
        serial: serial(5),
        notAfter: 9,
      },
    ],
  ];
  older(8, (db) => {
    const device = db.prepare(
      `INSERT INTO devices (id, type, state, version, created_at, updated_at) VALUES (?, 'default', 1, 1, 1, 1)`,
    );
    for (const name of ['d1', 'd2', 'registered']) device.run(name);
    const certificate = db.prepare(
      `INSERT INTO certificates (serial, kind, owner, profile, authority, not_before, not_after, spki_sha256, der, state)
       VALUES (?, 0, 'd1', 'p', 'a', 1, 9, x'00', x'3000', 0)`,
    );
    for (let n = 1; n <= 6; n++) certificate.run(Buffer.from(serial(n), 'hex'));
    const append = db.prepare(
      `INSERT INTO ledger (seq, at, actor, subject, data) VALUES (?, ?, 'keyline', ?, ?)`,
    );
    ledger.forEach(([subject, data], n) => append.run(n + 1, n, subject, JSON.stringify(data)));
  });
  expect(migrateSqliteStore(path)).toMatchObject({ from: 8 });
  const store = await openSqliteStore({ path });
  expect(await store.findDevice(id('d1'))).toMatchObject({ entry: 6, admission: 1 });
  expect(await store.findDevice(id('d2'))).toMatchObject({ entry: 10, admission: 10 });
  expect(await store.findDevice(id('registered'))).toMatchObject({ entry: null, admission: null });
  const entries = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (n) => (await store.findCertificate(serial(n)))?.entry),
  );
  expect(entries).toEqual([6, 6, 9, 11, 12, null]);
  await store.close();
});

it('tells the devices of version 10 which superseded certificate may still be used in place of their newest', async () => {
  older(10, (db) => {
    const insertDevice = db.prepare(
      "INSERT INTO devices (id, type, state, version, created_at, updated_at, serial, not_after) VALUES (?, 'default', 1, 1, 1, 1, ?, 9)",
    );
    const insert = db.prepare(
      `INSERT INTO certificates (serial, kind, owner, profile, authority, not_before, not_after, spki_sha256, der, state, used_at, reason, entry)
       VALUES (?, 0, ?, 'device', 'issuing-1', ?, 9, x'00', x'00', ?, ?, ?, ?)`,
    );
    const put = (
      owner: string,
      n: number,
      state: number,
      usedAt: number | null,
      { reason = null, entry = null }: { reason?: string | null; entry?: number | null } = {},
    ): unknown => insert.run(Buffer.from(serial(n), 'hex'), owner, n, state, usedAt, reason, entry);
    // Renewed and not used, renewed twice, renewed and used, never renewed, one whose newest was revoked by itself, one that is suspended,
    // and one that was let in anew since.
    for (const [device, newest] of [
      ['d1', 12],
      ['d2', 23],
      ['d3', 32],
      ['d4', 41],
      ['d5', 52],
      ['d6', 62],
      ['d7', 72],
    ] as const) {
      insertDevice.run(device, Buffer.from(serial(newest), 'hex'));
    }
    put('d1', 11, 1, null);
    put('d1', 12, 0, null);
    put('d2', 21, 1, null);
    put('d2', 22, 1, 5);
    put('d2', 23, 0, null);
    put('d3', 31, 1, null);
    put('d3', 32, 0, 5);
    put('d4', 41, 0, null);
    put('d5', 51, 1, null);
    put('d5', 52, 2, null, { reason: 'superseded' });
    put('d6', 61, 2, null, { reason: 'certificateHold' });
    put('d6', 62, 2, null, { reason: 'certificateHold' });
    put('d7', 71, 1, null, { entry: 3 });
    put('d7', 72, 0, null, { entry: 4 });
    db.exec("UPDATE devices SET admission = 4 WHERE id = 'd7'");
  });
  migrateSqliteStore(path);
  const store = await openSqliteStore({ path });
  const predecessors = ['d1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7'].map(
    async (name) => (await store.findDevice(id(name)))?.predecessor,
  );
  expect(await Promise.all(predecessors)).toEqual([
    ...[serial(11), serial(22), null, null],
    ...[serial(51), serial(61), null],
  ]);
  await store.close();
});
