// CRLs of many megabytes in pieces of a transaction each: as one row they hold up every request for as long as the disk takes.
import { randomInt } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { CommitResult, Crl, UnitOfWork, Write } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { busyPatience, isBusy, retryAfter } from './commits.ts';

/** A CRL whose DER lies in pieces; its own is empty. */
export interface CrlInParts extends Crl {
  /** Which pieces, and how many: all must be there when it is committed. */
  readonly parts: number;
  readonly pieces: number;
}

export interface CrlParts {
  isLarge(unit: UnitOfWork): boolean;
  /** Writes the pieces of large CRLs, which count for nothing until the unit that says where they are is committed too. */
  commit(unit: UnitOfWork): Promise<CommitResult>;
}

const partBytes = 1024 * 1024;
/** The log is copied into the database every so many pieces, so that no later commit has all of it to do. */
const checkpointEvery = 2;

/** @param options.beforeWrite called before each transaction of its own */
export function createCrlParts(
  db: Database,
  options: {
    readonly beforeWrite: () => void;
    readonly commitUnit: (unit: UnitOfWork) => Promise<CommitResult>;
  },
): CrlParts {
  const { beforeWrite, commitUnit } = options;
  const insert = db.prepare('INSERT INTO crl_parts (parts, position, der) VALUES (?, ?, ?)');
  const lost = db
    .prepare(
      `SELECT rowid FROM crl_parts
       WHERE parts NOT IN (SELECT parts FROM crls WHERE parts IS NOT NULL) LIMIT 1`,
    )
    .pluck();
  const remove = db.prepare('DELETE FROM crl_parts WHERE rowid = ?');
  // One after the other: a sweep must not take what waits for its commit.
  let chain: Promise<unknown> = Promise.resolve();

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = chain.then(work);
    chain = turn.catch(() => undefined);
    return turn;
  }

  /** Another program that writes is waited for between turns. @throws when it does so for too long */
  async function whenFree(work: () => void): Promise<void> {
    const deadline = performance.now() + busyPatience;
    for (;;) {
      beforeWrite();
      try {
        work();
        return;
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline) throw error;
      }
      await sleep(retryAfter);
    }
  }

  async function write(der: Uint8Array): Promise<number> {
    // Another service may be writing pieces of its own.
    const parts = randomInt(2 ** 47);
    for (let position = 0; position * partBytes < der.length; position++) {
      const piece = der.subarray(position * partBytes, (position + 1) * partBytes);
      await whenFree(() => insert.run(parts, position, piece));
      await nextTurn();
      if (position % checkpointEvery !== checkpointEvery - 1) continue;
      beforeWrite();
      db.pragma('wal_checkpoint(PASSIVE)');
      await nextTurn();
    }
    return parts;
  }

  async function putAside(unit: UnitOfWork): Promise<UnitOfWork> {
    const writes = [];
    for (const one of unit.writes) {
      if (isLargeCrl(one)) {
        const parts = await write(one.crl.der);
        const pieces = Math.ceil(one.crl.der.length / partBytes);
        const crl: CrlInParts = { ...one.crl, der: new Uint8Array(), parts, pieces };
        writes.push({ ...one, crl });
      } else writes.push(one);
    }
    return { ...unit, writes };
  }

  /** Removes the pieces that no CRL refers to any more, a little in each turn. */
  async function sweep(): Promise<void> {
    while (db.open) {
      beforeWrite();
      const rowid = lost.get();
      if (rowid === undefined) return;
      await whenFree(() => remove.run(rowid));
      await nextTurn();
    }
  }

  return {
    isLarge: ({ writes }) => writes.some(isLargeCrl),
    async commit(unit) {
      const result = await inTurn(async () => commitUnit(await putAside(unit)));
      // What is left over is taken the next time.
      inTurn(sweep).catch(() => undefined);
      return result;
    },
  };
}

function isLargeCrl(write: Write): write is Extract<Write, { op: 'insert-crl' }> {
  return write.op === 'insert-crl' && write.crl.der.length > partBytes;
}

export function isInParts(crl: Crl): crl is CrlInParts {
  return 'parts' in crl;
}
