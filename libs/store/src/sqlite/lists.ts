// Filtered pages of devices: the filter's own index where it has one, keyset cursors, never an OFFSET.
import type { Device, DeviceFilter, Page } from '@keyline/fleet';
import type { Database, Statement } from 'better-sqlite3';
import { deviceStateCodes } from './codes.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { toDevice, type Row } from './rows.ts';

/** So many rows are sorted in a few milliseconds. */
const fewRows = 2000;

/** The type of a service is `service:` and its role; ";" comes after ":". */
export const isService = (row: string): string =>
  `(${row}type >= 'service:' AND ${row}type < 'service;')`;

interface Query {
  readonly where: string[];
  readonly values: (string | number)[];
}

function describe(filter: DeviceFilter): Query {
  const where: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, ...bound: (string | number)[]): void => {
    where.push(condition);
    values.push(...bound);
  };
  if (filter.state !== undefined) {
    add('d.state = ?', deviceStateCodes.numbers[filter.state]);
    // The partial indices are only taken when their own condition stands in the query.
    if (filter.state !== 'active') add('d.state <> 1');
  }
  if (filter.kind !== undefined) {
    // Services are few, and the index by type has them together.
    add(
      filter.kind === 'service'
        ? `${isService('d.')} AND d.type <> 'default'`
        : `NOT ${isService('d.')}`,
    );
  }
  if (filter.type !== undefined) {
    add('d.type = ?', filter.type);
    if (filter.type !== 'default') add("d.type <> 'default'");
  }
  if (filter.batch !== undefined) add('d.batch = ?', filter.batch);
  if (filter.expiresBefore !== undefined) add('d.not_after < ?', filter.expiresBefore);
  if (filter.q !== undefined && filter.q !== '') {
    add('d.id >= ? AND d.id < ?', filter.q, `${filter.q}\u{10ffff}`);
  }
  const onlineBy =
    'EXISTS (SELECT 1 FROM presence p WHERE p.identity = d.id AND p.online = 1 AND p.source IN (SELECT value FROM json_each(?)))';
  if (filter.onlineBy !== undefined) add(onlineBy, JSON.stringify(filter.onlineBy));
  if (filter.notSeen !== undefined) {
    const { since, onlineBy: sources } = filter.notSeen;
    // Who was online by an earlier source was there until that was last heard of.
    add(
      `NOT ${onlineBy} AND NOT EXISTS (
         SELECT 1 FROM presence p LEFT JOIN presence_sources s ON s.id = p.source AND p.online = 1
         WHERE p.identity = d.id AND max(p.at, coalesce(s.as_of, 0)) >= ?)`,
      JSON.stringify(sources),
      since,
    );
  }
  return { where, values };
}

export function createDeviceList(db: Database): (filter: DeviceFilter) => Page<Device> {
  const statements = new Map<string, Statement>();
  const endingSoon = db
    .prepare('SELECT count(*) FROM (SELECT 1 FROM devices WHERE not_after < ? LIMIT ?)')
    .pluck();
  const isFew = (before: number): boolean =>
    (endingSoon.get(before, fewRows + 1) as number) <= fewRows;

  return (filter) => {
    const { where, values } = describe(filter);
    let from = 'devices d';
    // Few ends: find them and sort them. Many: go through the ids, where every page meets enough of them.
    if (filter.expiresBefore !== undefined && isFew(filter.expiresBefore)) {
      from = 'devices d INDEXED BY devices_by_end';
    }
    const bound: (string | number)[] = [];
    if (filter.label !== undefined) {
      const split = filter.label.indexOf('=');
      from = 'device_labels l CROSS JOIN devices d ON d.id = l.device';
      where.unshift('l.name = ? AND l.value = ?');
      bound.push(filter.label.slice(0, split), filter.label.slice(split + 1));
    }
    bound.push(...values);
    if (filter.cursor !== undefined) {
      where.push(filter.label === undefined ? 'd.id > ?' : 'l.device > ?');
      bound.push(decodeCursor('devices', filter.cursor));
    }
    const order = filter.label === undefined ? 'd.id' : 'l.device';
    const text = `SELECT d.* FROM ${from} ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY ${order} LIMIT ?`;
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = db.prepare(text);
      statements.set(text, statement);
    }
    const rows = statement.all(...bound, filter.limit + 1) as Row[];
    const items = rows.slice(0, filter.limit).map(toDevice);
    const last = items.at(-1);
    return {
      items,
      nextCursor:
        rows.length > filter.limit && last !== undefined ? encodeCursor('devices', last.id) : null,
    };
  };
}

/** Pages of a small table in the order of its text key. */
export function createKeyedList<Item>(
  db: Database,
  options: { table: string; key: string; toItem: (row: Row) => Item },
): (page: { limit: number; cursor?: string | undefined }) => Page<Item> {
  const { table, key, toItem } = options;
  const statement = db.prepare(`SELECT * FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT ?`);
  return ({ limit, cursor }) => {
    const after = cursor === undefined ? '' : decodeCursor(table, cursor);
    const rows = statement.all(after, limit + 1) as Row[];
    const last = rows.at(limit - 1);
    return {
      items: rows.slice(0, limit).map(toItem),
      nextCursor:
        rows.length > limit && last !== undefined ? encodeCursor(table, last[key] as string) : null,
    };
  };
}
