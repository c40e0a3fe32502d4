import { describe, expect, it } from 'vitest';
import type { BackupStatus } from '@keyline/backup';
import { findBackupConditions } from '../src/backup-findings.ts';

const hour = 3_600_000;
const now = Date.UTC(2026, 0, 10);
const status: BackupStatus = {
  version: 1,
  alertAfter: 48 * hour,
  since: now - 100 * hour,
  last: { at: now - hour, file: '/backups/keyline.age', bytes: 1, ledgerSeq: 1 },
  failure: null,
};
const found = (given: Parameters<typeof findBackupConditions>[0]): string[] =>
  findBackupConditions(given, now).map(
    ({ key, severity, summary }) => `${severity} ${key}: ${summary}`,
  );

describe('the alert about backups', () => {
  it('is not there where nobody makes backups, nor while the last one is young enough', () => {
    expect(found(undefined)).toEqual([]);
    expect(found(status)).toEqual([]);
    expect(found({ ...status, alertAfter: null, last: null })).toEqual([]);
  });

  it('is critical when the last good one is too old, and says why there is no newer one', () => {
    const last = { at: now - 49 * hour, file: '/backups/keyline.age', bytes: 1, ledgerSeq: 1 };
    const failure = { at: now - hour, message: 'The disk is full.' };
    expect(found({ ...status, last })).toEqual([
      expect.stringMatching(/^critical state:backup:ca:old: .*2026-01-07T23:00:00Z/),
    ]);
    expect(found({ ...status, last, failure })).toEqual([
      expect.stringContaining('The disk is full.'),
    ]);
    expect(found({ ...status, last: null })).toEqual([
      expect.stringMatching(/^critical .*No backup was made since/),
    ]);
  });

  it('warns of one that failed while the one before is young enough', () => {
    const failure = { at: now, message: 'The disk is full.' };
    expect(found({ ...status, failure })).toEqual([
      expect.stringMatching(/^warning state:backup:ca:failed: .*The disk is full/),
    ]);
  });

  it('is critical when nobody can tell', () => {
    expect(found('unreadable')).toEqual([expect.stringMatching(/^critical .*not known/)]);
  });
});
