// What ends soon, grouped: devices by type, everything else by owner.
import type { ExpiryGroup, StoreReader } from '@keyline/fleet';
import { profileKinds } from '@keyline/pki';
import type { Database } from 'better-sqlite3';
import type { Row } from './rows.ts';

const examplesShown = 5;

// States 0, 1, 2: registered, active, suspended. Revoked and decommissioned devices have nothing to renew.
const devices = `
  SELECT 0 AS kind, d.type AS "group", d.id AS owner, d.not_after AS not_after, c.not_before AS not_before
  FROM devices d JOIN certificates c ON c.serial = d.serial
  WHERE d.state < 3 AND d.not_after < @before`;
const infrastructure = `
  SELECT kind, owner AS "group", owner, max(not_after) AS not_after, not_before
  FROM certificates
  WHERE kind <> 0 AND state = 0
  GROUP BY owner, kind
  HAVING max(not_after) < @before`;
const grouped = (condition: string): string => `
  SELECT kind, "group", count(*) AS count, min(not_after) AS soonest,
         group_concat(owner, char(10)) FILTER (WHERE rank <= ${String(examplesShown)}) AS examples
  FROM (
    SELECT *, row_number() OVER (PARTITION BY kind, "group" ORDER BY not_after, owner) AS rank
    FROM (${devices} UNION ALL ${infrastructure})
    WHERE ${condition}
  )
  GROUP BY kind, "group" ORDER BY kind, "group"`;

function toGroup(row: Row): ExpiryGroup {
  const kind = profileKinds[row['kind'] as number];
  if (kind === undefined) throw new Error(`unknown kind ${String(row['kind'])}`);
  return {
    kind,
    group: row['group'] as string,
    count: row['count'] as number,
    examples: ((row['examples'] as string | null) ?? '').split('\n').filter(Boolean),
    soonest: row['soonest'] as number,
  };
}

export function createExpiryReads(
  db: Database,
): Pick<StoreReader, 'listExpiring' | 'listExpiringByShare'> {
  const byTime = db.prepare(
    grouped('not_after - not_before >= @minLifetime AND not_after - not_before < @maxLifetime'),
  );
  const byShare = db.prepare(
    grouped(
      `not_after - not_before < @maxLifetime
       AND not_after - @at <= @share * (not_after - not_before)`,
    ),
  );
  return {
    listExpiring: (options) => Promise.resolve((byTime.all(options) as Row[]).map(toGroup)),
    listExpiringByShare: ({ at, share, maxLifetime }) =>
      Promise.resolve(
        (
          byShare.all({
            at,
            share,
            maxLifetime,
            // Nothing later can have so small a share left.
            before: at + Math.ceil(share * maxLifetime) + 1,
          }) as Row[]
        ).map(toGroup),
      ),
  };
}
