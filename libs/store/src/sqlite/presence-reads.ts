// Who is on which broker, and the last refusals of each identity.
import type { PresenceRow, PresenceSource, RefusalRow, StoreReader } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import type { Row } from './rows.ts';

/** The newest of each identity: those it has met itself, and those that somebody met who said its name. */
export const keptRefusals = { proven: 10, unproven: 3 } as const;

export function createPresenceReads(
  db: Database,
): Pick<StoreReader, 'listPresenceSources' | 'listPresence' | 'listRefusalsOf'> {
  const sources = db.prepare('SELECT * FROM presence_sources ORDER BY id');
  const presence = db.prepare(
    'SELECT p.* FROM json_each(?) AS asked JOIN presence p ON p.identity = asked.value',
  );
  const refusals = db.prepare(
    'SELECT * FROM refusals WHERE identity = ? ORDER BY last_at DESC, rowid DESC',
  );
  return {
    listPresenceSources: () => Promise.resolve((sources.all() as Row[]).map(toSource)),
    listPresence: (identities) =>
      Promise.resolve((presence.all(JSON.stringify(identities)) as Row[]).map(toPresence)),
    listRefusalsOf: (identity) => Promise.resolve((refusals.all(identity) as Row[]).map(toRefusal)),
  };
}

function toSource(row: Row): PresenceSource {
  return {
    id: row['id'] as number,
    target: row['target'] as string,
    start: row['start'] as string,
    last: row['last'] as number,
    asOf: row['as_of'] as number | null,
  };
}

function toPresence(row: Row): PresenceRow {
  return {
    identity: row['identity'] as string,
    target: row['target'] as string,
    source: row['source'] as number,
    online: row['online'] === 1,
    at: row['at'] as number,
    clientId: row['client_id'] as string,
    protocol: row['protocol'] as number | null,
    address: row['address'] as string,
  };
}

function toRefusal(row: Row): RefusalRow {
  return {
    identity: row['identity'] as string,
    target: row['target'] as string,
    event: row['event'] as string,
    reason: row['reason'] as string,
    topic: row['topic'] as string,
    firstAt: row['first_at'] as number,
    lastAt: row['last_at'] as number,
    count: row['count'] as number,
    clientId: row['client_id'] as string,
    address: row['address'] as string,
    serial: row['serial'] as string,
    happened: row['happened'] as string,
    remedy: row['remedy'] as string,
    proven: row['proven'] === 1,
  };
}
