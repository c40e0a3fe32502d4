// The ledger searched in slices, against a plain filter over an array.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntryPage, EntrySearch } from '@keyline/fleet';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSqliteStore } from '../src/index.ts';
import { createEntrySearch } from '../src/sqlite/entry-search.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyline-store-'));
let db: Database.Database;
const subjects = ['a', 'b', 'c'];
const kinds = ['token-created', 'token-revoked'] as const;
const entries = Array.from({ length: 120 }, (_, n) => ({
  seq: n + 1,
  // The clock was set back for a while.
  at: n >= 60 && n < 64 ? 1 : 1000 + n,
  actor: n % 5 === 0 ? 'admin:x' : 'keyline',
  subject: n < 50 ? 'a' : (subjects[n % 3] ?? ''),
  kind: kinds[n % 7 === 0 ? 1 : 0],
}));

beforeAll(() => {
  const path = join(folder, 'keyline.db');
  createSqliteStore(path);
  db = new Database(path);
  const insert = db.prepare(
    'INSERT INTO ledger (seq, at, actor, subject, data) VALUES (?,?,?,?,?)',
  );
  for (const { seq, at, actor, subject, kind } of entries) {
    const data = JSON.stringify({ v: 2, kind, token: subject, use: 'api' });
    insert.run(seq, at, actor, subject, data);
  }
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

function all(search: (one: EntrySearch) => EntryPage, given: EntrySearch): number[] {
  const found: number[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 200; pages++) {
    const page = search({ ...given, cursor });
    expect(page.items.length).toBeLessThanOrEqual(given.limit);
    expect(page.lastSeq).toBe(entries.length);
    found.push(...page.items.map(({ seq }) => seq));
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
  throw new Error('the pages do not come to an end');
}

it('gives what any combination of filters means, each entry once, in either order', () => {
  const search = createEntrySearch(db, 7);
  const optional = <T>(...values: T[]): fc.Arbitrary<T | undefined> =>
    fc.constantFrom(undefined, undefined, ...values);
  const searches = fc.record({
    limit: fc.integer({ min: 1, max: 30 }),
    subject: optional(...subjects, 'nobody'),
    actor: optional('admin:x', 'keyline', 'nobody'),
    kind: optional(...kinds),
    since: optional(0, 1020, 1063, 1100, 5000),
    after: optional(0, 55, 119, 120, 999_999_999_999_999),
  });
  fc.assert(
    fc.property(searches, (given) => {
      const { subject, actor, kind, since = 0, after } = given;
      const matching = entries.filter(
        (one) =>
          (subject === undefined || one.subject === subject) &&
          (actor === undefined || one.actor === actor) &&
          (kind === undefined || one.kind === kind) &&
          one.seq > (after ?? 0) &&
          one.at >= since,
      );
      const expected = after === undefined ? matching.toReversed() : matching;
      expect(all(search, given)).toEqual(expected.map(({ seq }) => seq));
    }),
    { numRuns: 300 },
  );
});

it('looks at one slice only, and says where to go on', () => {
  const search = createEntrySearch(db, 10);
  const first = search({ limit: 5, actor: 'nobody' });
  expect(first).toMatchObject({ items: [], lastSeq: 120 });
  expect(Buffer.from(first.nextCursor ?? '', 'base64url').toString()).toBe('ledger\n<111');
});

it('ends where a whole slice is older', () => {
  const search = createEntrySearch(db, 10);
  expect(search({ limit: 5, since: 5000 })).toMatchObject({ items: [], nextCursor: null });
  expect(search({ limit: 5, since: 1115, actor: 'nobody' }).nextCursor).not.toBeNull();
});

it('refuses a cursor that is not its own, and one of the other order', () => {
  const search = createEntrySearch(db);
  const forged = (text: string): string => Buffer.from(text).toString('base64url');
  for (const cursor of ['', 'x', forged('devices\na'), forged('ledger\n<-1'), forged('ledger\n>5')])
    expect(() => search({ limit: 5, cursor })).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    );
  expect(search({ limit: 1, cursor: forged('ledger\n<999999999999999') }).items[0]?.seq).toBe(120);
  expect(search({ limit: 1, cursor: forged('ledger\n<0') })).toMatchObject({
    items: [],
    nextCursor: null,
  });
});
