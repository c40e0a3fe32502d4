// Whether there is a backup that is young enough: an alert, before it is needed.
import { conditionFinding, type Finding } from '@keyline/alerts';
import { overdueBy, type BackupStatus } from '@keyline/backup';
import { formatInstant } from '@keyline/kernel';

/**
 * @param status as `keyline backup` keeps it; undefined: nobody makes backups here
 * @param now epoch milliseconds
 */
export function findBackupConditions(
  status: BackupStatus | 'unreadable' | undefined,
  now: number,
): Finding[] {
  if (status === undefined) return [];
  const finding = (state: string, severity: 'warning' | 'critical', summary: string): Finding =>
    conditionFinding({ subject: 'backup', group: 'ca', state, severity, summary });
  if (status === 'unreadable') {
    return [
      finding(
        'unknown',
        'critical',
        'Whether there is a good backup is not known: backup-status.json in the folder of the issuing CA can not be read. Make a backup (keyline backup), which writes it anew.',
      ),
    ];
  }
  const { last, failure, since } = status;
  const why = failure === null ? '' : ` The last attempt failed: ${failure.message}`;
  if (overdueBy(status, now) !== undefined) {
    return [
      finding(
        'old',
        'critical',
        last === null
          ? `No backup was made since ${formatInstant(since)}, when the first was due.${why || ' See why: keyline backup --scheduled.'}`
          : `The last good backup is of ${formatInstant(last.at)} (${last.file}).${why || ' See why none was made since: keyline backup --scheduled.'}`,
      ),
    ];
  }
  return failure === null
    ? []
    : [
        finding(
          'failed',
          'warning',
          `The last backup failed at ${formatInstant(failure.at)}: ${failure.message}`,
        ),
      ];
}
