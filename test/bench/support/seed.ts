// A database as it is after a million enrollments, written by SQL alone: through the API it would take minutes. It is made once and
// kept in build/bench; every bench works on a copy.
import {
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrations } from '../../../libs/store/src/sqlite/migrations.ts';
import { createIssuingCa, serveIssuingCa } from './issuing-ca.ts';

const kept = join(import.meta.dirname, '../../../build/bench');
const day = 24 * 3600 * 1000;

export interface SeedOptions {
  readonly devices: number;
  /** Share of the devices that are revoked, from 0 to 1. */
  readonly revoked: number;
}

/** A folder for `serveIssuingCa` whose service has run once, so that followers stand at the ledger's end and a CRL is published. */
export async function createSeededCa(folder: string, options: SeedOptions): Promise<void> {
  const source = join(kept, `seed-${options.devices}-${options.revoked}`);
  if (!isOfThisVersion(source)) {
    rmSync(source, { recursive: true, force: true });
    const part = `${source}.part`;
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    await createIssuingCa(part);
    await (await serveIssuingCa(part)).stop();
    fill(join(part, 'ca', 'keyline.db'), options);
    // Followers and CRL catch up with what was written behind their backs.
    await (await serveIssuingCa(part, { timeout: 120_000 })).stop();
    writeFileSync(join(part, 'migrations.txt'), migrations.join('\n'));
    renameSync(part, source);
  }
  cpSync(source, folder, { recursive: true });
  // Otherwise the service's first fsync of the database waits for the copy.
  const copy = openSync(join(folder, 'ca', 'keyline.db'), 'r+');
  fsyncSync(copy);
  closeSync(copy);
}

/** The schema is the program's own: a seed of another one is made anew. */
function isOfThisVersion(source: string): boolean {
  const file = join(source, 'migrations.txt');
  return existsSync(file) && readFileSync(file, 'utf8') === migrations.join('\n');
}

function fill(path: string, { devices, revoked }: SeedOptions): void {
  const db = new DatabaseSync(path);
  const now = Date.now();
  // Every certificate has the size of a real one, and its own serial; nobody verifies their signatures here.
  db.exec(`
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -1048576;
    PRAGMA temp_store = MEMORY;
    BEGIN;
    CREATE TEMP TABLE template AS SELECT der, length(der) AS size, authority, profile
      FROM certificates ORDER BY rowid LIMIT 1;
    CREATE TEMP TABLE unit AS
      WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${devices - 1})
      SELECT i,
        printf('unit-%07d', i) AS id,
        CAST(x'40' || randomblob(16) AS BLOB) AS serial,
        randomblob(32) AS spki,
        CASE i % 10 WHEN 0 THEN 'gateway' WHEN 1 THEN 'sensor' WHEN 2 THEN 'sensor' ELSE 'default' END AS type,
        CASE WHEN i % 5 = 0 THEN printf('lot-%03d', i / 5 % 200) END AS batch,
        CASE WHEN i % 4 = 0 THEN printf('hall-%d', i / 4 % 100) END AS site,
        CASE WHEN abs(random() % 1000) < ${Math.round(revoked * 1000)} THEN 3 ELSE 1 END AS state,
        ${now - 60 * day} + i % 1000 * 1000 AS at,
        ${now + 30 * day} + (i * 104729) % ${60 * day} AS not_after
      FROM n;
    INSERT INTO devices (id, type, batch, labels, state, version, created_at, updated_at, serial, not_after)
      SELECT id, type, batch, CASE WHEN site IS NOT NULL THEN json_object('site', site) END,
        state, 1, at, at, serial, not_after FROM unit;
    INSERT INTO device_labels (name, value, device) SELECT 'site', site, id FROM unit WHERE site IS NOT NULL;
    UPDATE device_counts SET count = (SELECT count(*) FROM devices WHERE devices.state = device_counts.state);
    INSERT INTO certificates (serial, kind, owner, profile, authority, not_before, not_after, spki_sha256, der, state, revoked_at, reason)
      SELECT serial, 0, id, 'device-client', authority, at, not_after, spki,
        CAST(substr(der, 1, 15) || serial || substr(der, 33) AS BLOB),
        CASE state WHEN 3 THEN 2 ELSE 0 END,
        CASE state WHEN 3 THEN ${now - day} END,
        CASE state WHEN 3 THEN 'keyCompromise' END
      FROM unit, template;
    INSERT INTO keys (spki_sha256, owner) SELECT spki, id FROM unit ORDER BY spki;
    INSERT INTO ledger (seq, at, actor, subject, data)
      SELECT (SELECT max(seq) FROM ledger) + 1 + i, at, 'token:tok_seed', id,
        json_object('kind', 'device-enrolled', 'device', id, 'type', type, 'state', 'active', 'role', 'device',
          'serial', lower(hex(serial)), 'notAfter', not_after, 'token', 'tok_seed')
      FROM unit;
    -- What followers did as it happened.
    UPDATE cursors SET seq = (SELECT max(seq) FROM ledger);
    DELETE FROM crls;
    COMMIT;
    PRAGMA journal_mode = WAL;
  `);
  db.close();
}
