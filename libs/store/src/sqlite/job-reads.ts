// Jobs and their results, in pages.
import type { Job, JobResult, StoreReader } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { jobResultCodes } from './codes.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { Row } from './rows.ts';

type JobReads = Pick<
  StoreReader,
  'findJob' | 'listJobs' | 'listOpenJobs' | 'listJobPending' | 'listJobResults'
>;

export function createJobReads(db: Database): JobReads {
  const find = db.prepare('SELECT * FROM jobs WHERE id = ?');
  const list = db.prepare('SELECT * FROM jobs WHERE number < ? ORDER BY number DESC LIMIT ?');
  const open = db.prepare(
    "SELECT * FROM jobs WHERE state IN ('selecting', 'running') ORDER BY number",
  );
  const pending = db
    .prepare('SELECT device FROM job_devices WHERE job = ? AND status = 0 ORDER BY device LIMIT ?')
    .pluck();
  const results = (condition: string) =>
    db.prepare(
      `SELECT * FROM job_devices WHERE job = @job AND device > @after ${condition} ORDER BY device LIMIT @limit`,
    );
  const allResults = results('');
  /** The partial indices are only taken when their own condition stands in the query. */
  const resultsOf = {
    pending: results('AND status = 0'),
    changed: results('AND status = 1'),
    unchanged: results('AND status = 2'),
    failed: results('AND status = 3'),
  };
  return {
    findJob: async (id) => {
      const row = find.get(id) as Row | undefined;
      return row === undefined ? undefined : toJob(row);
    },
    async listJobs({ limit, cursor }) {
      const before =
        cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(decodeCursor('jobs', cursor));
      const rows = list.all(Number.isNaN(before) ? 0 : before, limit + 1) as Row[];
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(toJob),
        nextCursor:
          rows.length > limit && last !== undefined
            ? encodeCursor('jobs', String(last['number']))
            : null,
      };
    },
    listOpenJobs: async () => (open.all() as Row[]).map(toJob),
    listJobPending: async (job, limit) => pending.all(job, limit) as string[],
    async listJobResults({ job, status, limit, cursor }) {
      const after = cursor === undefined ? '' : decodeCursor('job_devices', cursor);
      const statement = status === undefined ? allResults : resultsOf[status];
      const rows = statement.all({ job, after, limit: limit + 1 }) as Row[];
      const items = rows.slice(0, limit).map(toResult);
      const last = items.at(-1);
      return {
        items,
        nextCursor:
          rows.length > limit && last !== undefined
            ? encodeCursor('job_devices', last.device)
            : null,
      };
    },
  };
}

function toJob(row: Row): Job {
  return {
    id: row['id'] as string,
    action: row['action'] as Job['action'],
    input: JSON.parse(row['input'] as string) as Job['input'],
    caller: JSON.parse(row['caller'] as string) as Job['caller'],
    state: row['state'] as Job['state'],
    rate: row['rate'] as number,
    cursor: row['cursor'] as string | null,
    total: row['total'] as number,
    changed: row['changed'] as number,
    unchanged: row['unchanged'] as number,
    failed: row['failed'] as number,
    createdAt: row['created_at'] as number,
    startedAt: row['started_at'] as number | null,
    endedAt: row['ended_at'] as number | null,
    note: row['note'] as string | null,
  };
}

function toResult(row: Row): JobResult {
  return {
    device: row['device'] as string,
    status: jobResultCodes.nameOf(Number(row['status'])),
    code: row['code'] as string | null,
    detail: row['detail'] as string | null,
    at: row['at'] as number | null,
    seq: row['seq'] as number | null,
  };
}
