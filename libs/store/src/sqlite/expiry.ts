// What ends soon, grouped: devices by type, everything else by owner (services too: each is an application somebody waits for).
import { setImmediate } from 'node:timers/promises';
import type { ExpiryGroup, StoreReader } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { certificateKindCodes } from './codes.ts';
import { isService } from './lists.ts';

const examplesShown = 5;

/** Devices looked at in one go, some milliseconds; other work has its turn after that. */
const devicesPerTurn = 500;

// States 0, 1, 2: registered, active, suspended. Revoked and decommissioned devices have nothing to renew, nor has a device whose
// certificate was revoked alone; one on hold will be back. INDEXED BY keeps SQLite, which has no statistics here, to the few rows
// that end soon. The page is of devices, whether they count or not, so that it is never a long one.
const devices = (condition: string): string => `
  SELECT d.type, d.id, d.not_after,
    d.state < 3 AND (c.state < 2 OR c.reason = 'certificateHold') AND (${condition}) AND NOT ${isService('d.')}
  FROM (
    SELECT type, id, not_after, state, serial FROM devices INDEXED BY devices_by_end
    WHERE (not_after, id) > (@afterEnd, @afterId) AND not_after < @before
    ORDER BY not_after, id LIMIT ${String(devicesPerTurn)}
  ) d LEFT JOIN certificates c ON c.serial = d.serial
  ORDER BY d.not_after, d.id`;
const infrastructure = (condition: string): string => `
  SELECT kind, owner, owner, not_after FROM (
    SELECT kind, owner, max(not_after) AS not_after, not_before
    FROM certificates INDEXED BY certificates_infrastructure
    WHERE kind <> 0 AND state = 0
    GROUP BY owner, kind
    HAVING max(not_after) < @before)
  WHERE ${condition} ORDER BY not_after, owner`;

type DeviceRow = readonly [type: string, id: string, notAfter: number, counts: 0 | 1 | null];
type EndingRow = readonly [kind: number, group: string, owner: string, notAfter: number];

/** Rows in the order they end, so that the first of a group are its examples. (A window function does this ten times as slowly.) */
function createGroups(): { add(row: EndingRow): void; list(): ExpiryGroup[] } {
  const groups = new Map<
    string,
    { -readonly [K in keyof ExpiryGroup]: ExpiryGroup[K] } & { examples: string[] }
  >();
  return {
    add([kindNumber, name, owner, notAfter]) {
      const key = `${String(kindNumber)}\n${name}`;
      const known = groups.get(key);
      if (known === undefined) {
        groups.set(key, {
          kind: certificateKindCodes.nameOf(kindNumber),
          group: name,
          count: 1,
          examples: [owner],
          soonest: notAfter,
        });
      } else {
        known.count++;
        if (known.examples.length < examplesShown) known.examples.push(owner);
      }
    },
    list: () => [...groups.keys()].sort().flatMap((key) => groups.get(key) ?? []),
  };
}

export function createExpiryReads(
  db: Database,
): Pick<StoreReader, 'listExpiring' | 'listExpiringByShare'> {
  const prepare = (
    devicesCondition: string,
    infrastructureCondition: string,
  ): ((options: { readonly before: number }) => Promise<ExpiryGroup[]>) => {
    const page = db.prepare<[object], DeviceRow>(devices(devicesCondition)).raw();
    const others = db.prepare<[object], EndingRow>(infrastructure(infrastructureCondition)).raw();
    return async (options) => {
      const groups = createGroups();
      for (const row of others.iterate(options)) groups.add(row);
      for (let after: object = { afterEnd: -1, afterId: '' }; ;) {
        const rows = page.all({ ...options, ...after });
        for (const [type, id, notAfter, counts] of rows) {
          if (counts === 1) groups.add([0, type, id, notAfter]);
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < devicesPerTurn) return groups.list();
        after = { afterEnd: last[2], afterId: last[1] };
        await setImmediate();
      }
    };
  };
  const byTime = (row: string, beginning: string): string =>
    `${row}not_after - ${beginning}not_before >= @minLifetime
     AND ${row}not_after - ${beginning}not_before < @maxLifetime`;
  const byShare = (row: string, beginning: string): string =>
    `${row}not_after - ${beginning}not_before < @maxLifetime
     AND ${row}not_after - @at <= @share * (${row}not_after - ${beginning}not_before)`;
  const listByTime = prepare(byTime('d.', 'c.'), byTime('', ''));
  const listByShare = prepare(byShare('d.', 'c.'), byShare('', ''));
  return {
    listExpiring: (options) => listByTime(options),
    listExpiringByShare: ({ at, share, maxLifetime }) =>
      listByShare({
        at,
        share,
        maxLifetime,
        // Nothing later can have so small a share left.
        before: at + Math.ceil(share * maxLifetime) + 1,
      } as { before: number }),
  };
}
