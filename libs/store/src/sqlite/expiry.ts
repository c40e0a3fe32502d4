// What ends soon, grouped: devices by type, everything else by owner.
import type { ExpiryGroup, StoreReader } from '@keyline/fleet';
import { profileKinds } from '@keyline/pki';
import type { Database, Statement } from 'better-sqlite3';

const examplesShown = 5;

// States 0, 1, 2: registered, active, suspended. Revoked and decommissioned devices have nothing to renew, nor has a device whose
// certificate was revoked alone; one on hold will be back. CROSS JOIN and INDEXED BY keep SQLite, which has no statistics here, to the
// few rows that end soon.
const devices = `
  SELECT 0 AS kind, d.type AS "group", d.id AS owner, d.not_after AS not_after, c.not_before AS not_before
  FROM devices d INDEXED BY devices_by_end CROSS JOIN certificates c ON c.serial = d.serial
  WHERE d.state < 3 AND d.not_after < @before
    AND (c.state < 2 OR c.reason = 'certificateHold')`;
const infrastructure = `
  SELECT kind, owner AS "group", owner, max(not_after) AS not_after, not_before
  FROM certificates INDEXED BY certificates_infrastructure
  WHERE kind <> 0 AND state = 0
  GROUP BY owner, kind
  HAVING max(not_after) < @before`;
const ending = (condition: string): string => `
  SELECT kind, "group", owner, not_after FROM (${devices} UNION ALL ${infrastructure})
  WHERE ${condition} ORDER BY not_after, owner`;

type EndingRow = readonly [kind: number, group: string, owner: string, notAfter: number];

/** Rows in the order they end, so that the first of a group are its examples. (A window function does this ten times as slowly.) */
function group(rows: Iterable<EndingRow>): ExpiryGroup[] {
  const groups = new Map<
    string,
    { -readonly [K in keyof ExpiryGroup]: ExpiryGroup[K] } & { examples: string[] }
  >();
  for (const [kindNumber, name, owner, notAfter] of rows) {
    const key = `${String(kindNumber)}\n${name}`;
    const known = groups.get(key);
    if (known === undefined) {
      groups.set(key, {
        kind: kindOf(kindNumber),
        group: name,
        count: 1,
        examples: [owner],
        soonest: notAfter,
      });
    } else {
      known.count++;
      if (known.examples.length < examplesShown) known.examples.push(owner);
    }
  }
  return [...groups.keys()].sort().flatMap((key) => groups.get(key) ?? []);
}

function kindOf(number: number): ExpiryGroup['kind'] {
  const kind = profileKinds[number];
  if (kind === undefined) throw new Error(`unknown kind ${String(number)}`);
  return kind;
}

export function createExpiryReads(
  db: Database,
): Pick<StoreReader, 'listExpiring' | 'listExpiringByShare'> {
  const prepare = (condition: string): Statement<[object], EndingRow> =>
    db.prepare<[object], EndingRow>(ending(condition)).raw();
  const byTime = prepare(
    'not_after - not_before >= @minLifetime AND not_after - not_before < @maxLifetime',
  );
  const byShare = prepare(
    `not_after - not_before < @maxLifetime
     AND not_after - @at <= @share * (not_after - not_before)`,
  );
  return {
    listExpiring: async (options) => group(byTime.iterate(options)),
    listExpiringByShare: async ({ at, share, maxLifetime }) =>
      group(
        byShare.iterate({
          at,
          share,
          maxLifetime,
          // Nothing later can have so small a share left.
          before: at + Math.ceil(share * maxLifetime) + 1,
        }),
      ),
  };
}
