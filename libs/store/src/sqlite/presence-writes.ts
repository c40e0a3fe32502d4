// What a broker has told of who came and went, as rows: one for each identity and broker, and a few refusals of each.
import type { Write } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { keptRefusals } from './presence-reads.ts';
import type { Refusal } from './writes.ts';

export function preparePresenceWrite(
  db: Database,
): (write: Extract<Write, { op: 'put-presence' }>) => Refusal {
  const sql = (text: string) => db.prepare(text);
  const statements = {
    lastSource: sql(
      'SELECT id, start, last FROM presence_sources WHERE target = ? ORDER BY id DESC LIMIT 1',
    ),
    insertSource: sql('INSERT INTO presence_sources (target, start, last) VALUES (?, ?, 0)'),
    // Rows of one that is gone say when somebody came, not until when they were there.
    pruneSources: sql(
      `DELETE FROM presence_sources WHERE target = @target AND id <=
         (SELECT id FROM presence_sources WHERE target = @target ORDER BY id DESC LIMIT 1 OFFSET 100)`,
    ),
    moveSource: sql(
      'UPDATE presence_sources SET last = ?, as_of = coalesce(?, as_of) WHERE id = ?',
    ),
    // A broker that was killed may remember an older moment than is on record.
    putSighting: sql(
      `INSERT INTO presence (identity, target, source, online, at, client_id, protocol, address)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (identity, target) DO UPDATE SET source = excluded.source, online = excluded.online,
         at = iif(excluded.online, excluded.at, max(at, excluded.at)), client_id = excluded.client_id, protocol = excluded.protocol, address = excluded.address`,
    ),
    putRefusal: sql(
      `INSERT INTO refusals (identity, target, event, reason, topic, first_at, last_at, count, client_id, address,
         serial, happened, remedy, proven)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at), count = count + excluded.count,
         client_id = excluded.client_id, address = excluded.address, serial = excluded.serial,
         happened = excluded.happened, remedy = excluded.remedy`,
    ),
    // What anybody can bring about by a name alone must not push out what the device itself was told.
    pruneRefusals: sql(
      `DELETE FROM refusals WHERE identity = @identity AND proven = @proven AND rowid NOT IN
         (SELECT rowid FROM refusals WHERE identity = @identity AND proven = @proven ORDER BY last_at DESC, rowid DESC LIMIT @kept)`,
    ),
  };
  return ({ target, start, last, asOf, sightings, refusals }) => {
    let source = statements.lastSource.get(target) as
      { id: number; start: string; last: number } | undefined;
    if (source?.start === start && source.last > last) {
      return { code: 'STORE_CONFLICT', context: { target } };
    }
    if (source?.start !== start) {
      const { lastInsertRowid } = statements.insertSource.run(target, start);
      statements.pruneSources.run({ target });
      source = { id: Number(lastInsertRowid), start, last: 0 };
    }
    statements.moveSource.run(last, asOf ?? null, source.id);
    for (const { identity, online, at, clientId, protocol, address } of sightings) {
      statements.putSighting.run(
        ...[identity, target, source.id, online ? 1 : 0, at, clientId, protocol, address],
      );
    }
    for (const one of refusals) {
      statements.putRefusal.run(
        ...[one.identity, target, one.event, one.reason, one.topic, one.firstAt, one.lastAt],
        ...[one.count, one.clientId, one.address, one.serial, one.happened, one.remedy],
        one.proven ? 1 : 0,
      );
    }
    for (const identity of new Set(refusals.map((one) => one.identity))) {
      statements.pruneRefusals.run({ identity, proven: 1, kept: keptRefusals.proven });
      statements.pruneRefusals.run({ identity, proven: 0, kept: keptRefusals.unproven });
    }
    return undefined;
  };
}
