// Whether a Keyline of this machine is backed up. What is too old or failed is an alert of the service, and said there.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readBackupStatus } from '@keyline/backup';
import type { ServiceLocation } from '@keyline/client';
import { formatDuration, quoteForShell } from '@keyline/kernel';
import { layoutOf } from '../up/layout.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

const check = 'backups';

/** @param location says where the data folder is when it is one of this machine; else, and of a trial, nothing is said */
export function checkBackups(location: ServiceLocation, now: number): Finding[] {
  const trust = location.endpoints?.ca;
  if (trust === undefined) return [];
  const layout = layoutOf(dirname(trust));
  if (!existsSync(layout.ca.database)) return [];
  const status = readBackupStatus(layout.ca.folder);
  if (status === 'unreadable') {
    return [
      fail(
        check,
        `${join(layout.ca.folder, 'backup-status.json')} can't be read`,
        'keyline backup writes it anew.',
      ),
    ];
  }
  const last = status?.last ?? undefined;
  if (last !== undefined) {
    const age = formatDuration(Math.max(0, now - last.at));
    return [ok(check, `the last good one is ${age} old (${last.file})`)];
  }
  if (!existsSync(layout.settings)) return [];
  return [
    warn(
      check,
      status === undefined || status.alertAfter === null
        ? 'none was ever made'
        : 'none was made yet',
      `keyline backup --data ${quoteForShell(layout.data)} --out FILE, or a section "backup" in keyline.yaml (docs/disaster-recovery.md)`,
    ),
  ];
}
