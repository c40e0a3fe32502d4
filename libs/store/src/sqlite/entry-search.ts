// The ledger searched in bounded slices: there is no index for who did it and for what kind it is, and a read holds the event loop.
import type { EntryPage, EntrySearch } from '@keyline/fleet';
import type { Database, Statement } from 'better-sqlite3';
import { KeylineError } from '@keyline/kernel';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { toEntry, type Row } from './rows.ts';

/** Entries that one search looks at, at most. */
const defaultSlice = 10_000;

/** Where a search begins, the entry itself not among them: before it and backwards, or after it and forwards. */
interface Start {
  readonly isForward: boolean;
  readonly seq: number;
}

export function createEntrySearch(
  db: Database,
  slice = defaultSlice,
): (search: EntrySearch) => EntryPage {
  const newest = db.prepare('SELECT coalesce(max(seq), 0) FROM ledger').pluck();
  // Of the index alone: the last entry of a slice of those that are about one thing.
  const lastOf = {
    backward: db
      .prepare(
        `SELECT min(seq) FROM (SELECT seq FROM ledger WHERE subject = ? AND seq < ? ORDER BY seq DESC LIMIT ${String(slice)})`,
      )
      .pluck(),
    forward: db
      .prepare(
        `SELECT max(seq) FROM (SELECT seq FROM ledger WHERE subject = ? AND seq > ? ORDER BY seq LIMIT ${String(slice)})`,
      )
      .pluck(),
  };
  const statements = new Map<string, Statement>();
  const read = (
    { subject, actor, kind, since }: EntrySearch,
    bounds: { readonly from: number; readonly to: number; readonly order: string },
    limit: number,
  ): Row[] => {
    const where = ['seq BETWEEN ? AND ?'];
    const values: (string | number)[] = [bounds.from, bounds.to];
    const add = (condition: string, value: string | number | undefined): void => {
      if (value === undefined) return;
      where.push(condition);
      values.push(value);
    };
    add('subject = ?', subject);
    add('at >= ?', since);
    add('actor = ?', actor);
    add("data ->> 'kind' = ?", kind);
    const text = `SELECT * FROM ledger WHERE ${where.join(' AND ')} ORDER BY seq ${bounds.order} LIMIT ?`;
    const statement = statements.get(text) ?? db.prepare(text);
    statements.set(text, statement);
    return statement.all(...values, limit) as Row[];
  };

  return (search) => {
    const { subject, limit, since } = search;
    const lastSeq = newest.get() as number;
    const { isForward, seq } = startOf(search, lastSeq);
    // Numbers have no gaps, so a slice of the whole ledger is known without looking.
    let end = isForward ? Math.min(seq + slice, lastSeq) : Math.max(seq - slice, 1);
    if (subject !== undefined) {
      const { forward, backward } = lastOf;
      end = ((isForward ? forward : backward).get(subject, seq) as number | null) ?? end;
    }
    const bounds = isForward
      ? { from: seq + 1, to: end, order: 'ASC' }
      : { from: end, to: seq - 1, order: 'DESC' };
    const rows = read(search, bounds, limit + 1);
    const items = rows.slice(0, limit).map(toEntry);
    const last = items.at(-1);
    if (rows.length > limit && last !== undefined) {
      return { items, lastSeq, nextCursor: cursorOf({ isForward, seq: last.seq }) };
    }
    const isLast =
      (isForward ? end >= lastSeq : end <= 1) ||
      (subject !== undefined && isEndOf(subject, { isForward, seq: end })) ||
      // A clock may have been set back, so that one older entry says nothing of those before it; a whole slice of them does.
      (!isForward &&
        since !== undefined &&
        rows.length === 0 &&
        read({ subject, since, limit }, bounds, 1).length === 0);
    return { items, lastSeq, nextCursor: isLast ? null : cursorOf({ isForward, seq: end }) };
  };

  function isEndOf(subject: string, { isForward, seq }: Start): boolean {
    const { forward, backward } = lastOf;
    return (isForward ? forward : backward).get(subject, seq) === null;
  }
}

function startOf({ cursor, after }: EntrySearch, lastSeq: number): Start {
  if (cursor === undefined) {
    return after === undefined
      ? { isForward: false, seq: lastSeq + 1 }
      : { isForward: true, seq: after };
  }
  const [, sign, digits] = /^([<>])(\d{1,15})$/.exec(decodeCursor('ledger', cursor)) ?? [];
  if (digits === undefined || (sign === '>') !== (after !== undefined)) {
    throw new KeylineError(
      'REQUEST_INVALID',
      'The cursor is of a search in the other order. Give it back with "after" where it came from a search with "after", and without where not.',
    );
  }
  // No entry is beyond the newest: a cursor of a newer database than this one begins there.
  return sign === '>'
    ? { isForward: true, seq: Number(digits) }
    : { isForward: false, seq: Math.min(Number(digits), lastSeq + 1) };
}

const cursorOf = ({ isForward, seq }: Start): string =>
  encodeCursor('ledger', `${isForward ? '>' : '<'}${String(seq)}`);
