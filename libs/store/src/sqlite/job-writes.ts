// The writes of jobs: which devices, how each went, and where the whole stands.
import type { Write } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { jobResultCodes } from './codes.ts';
import type { Refusal } from './writes.ts';

type Of<Op extends Write['op']> = Extract<Write, { op: Op }>;
export type JobOp = 'insert-job' | 'select-for-job' | 'change-job' | 'note-job-result';

export function prepareJobWrites(db: Database): {
  [Op in JobOp]: (write: Of<Op>, firstEntry: number | null) => Refusal;
} {
  const insertJob = db.prepare(
    `INSERT INTO jobs (id, action, input, caller, state, rate, cursor, total, changed, unchanged, failed, created_at)
     VALUES (?, ?, ?, ?, ?, ?, NULL, 0, 0, 0, 0, ?)`,
  );
  const insertDevice = db.prepare(
    'INSERT INTO job_devices (job, device, status) VALUES (?, ?, 0) ON CONFLICT DO NOTHING',
  );
  const selected = db.prepare(
    `UPDATE jobs SET total = total + ?, cursor = ?, state = ? WHERE id = ? AND state IN ('selecting', 'waiting')`,
  );
  const standing = db.prepare(
    'SELECT state, total - changed - unchanged - failed AS left FROM jobs WHERE id = ?',
  );
  const changeJob = db.prepare(
    `UPDATE jobs SET state = @to, note = @note, caller = coalesce(@caller, caller),
       started_at = CASE WHEN @to = 'running' THEN coalesce(started_at, @at) ELSE started_at END,
       ended_at = CASE WHEN @to IN ('stopped', 'done') THEN @at ELSE NULL END
     WHERE id = @id`,
  );
  const noteResult = db.prepare(
    `UPDATE job_devices SET status = ?, code = ?, detail = ?, at = ?, seq = ?
     WHERE job = ? AND device = ? AND status = 0
       AND EXISTS (SELECT 1 FROM jobs WHERE id = ? AND state = 'running')`,
  );
  const counted = {
    changed: db.prepare('UPDATE jobs SET changed = changed + 1 WHERE id = ?'),
    unchanged: db.prepare('UPDATE jobs SET unchanged = unchanged + 1 WHERE id = ?'),
    failed: db.prepare('UPDATE jobs SET failed = failed + 1 WHERE id = ?'),
    pending: undefined,
  };
  type Standing = { readonly state: string; readonly left: number } | undefined;
  const refuse = (id: string): Refusal => {
    const found = standing.get(id) as Standing;
    return found === undefined
      ? { code: 'JOB_NOT_FOUND', context: { job: id } }
      : { code: 'JOB_STATE_FORBIDS', context: { job: id, state: found.state } };
  };
  return {
    'insert-job': ({ job }) => {
      const { id, action, input, caller, state, rate, createdAt } = job;
      insertJob.run(
        ...[id, action, JSON.stringify(input), JSON.stringify(caller), state, rate, createdAt],
      );
      return undefined;
    },
    'select-for-job': ({ job, devices, cursor, state }) => {
      let added = 0;
      for (const device of devices) added += insertDevice.run(job, device).changes;
      return selected.run(added, cursor, state, job).changes > 0 ? undefined : refuse(job);
    },
    'change-job': ({ id, from, to, at, left, caller, note }) => {
      const found = standing.get(id) as Standing;
      if (found === undefined || !from.some((one) => one === found.state)) return refuse(id);
      if (left !== undefined && left !== found.left) {
        return { code: 'JOB_COUNT_DIFFERS', context: { job: id, left: found.left } };
      }
      const by = caller === undefined ? null : JSON.stringify(caller);
      changeJob.run({ id, to, at, caller: by, note: note ?? null });
      return undefined;
    },
    'note-job-result': ({ job, device, status, code, detail, at }, firstEntry) => {
      const number = jobResultCodes.numbers[status];
      const noted = noteResult.run(number, code, detail, at, firstEntry, job, device, job);
      if (noted.changes === 0) return refuse(job);
      counted[status]?.run(job);
      return undefined;
    },
  };
}
