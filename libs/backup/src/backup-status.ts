// What is known of the backups of an issuing CA, in its folder: when the last good one was made, and from which age on somebody is told. Who
// makes backups writes it; the CA reads it for its alerts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isNodeError, replaceFile } from '@keyline/files';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';

const StatusSchema = Type.Object({
  version: Type.Literal(1),
  /** Milliseconds; null: nobody waits for one. */
  alertAfter: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  /** Epoch milliseconds of the first time that one was to be made. */
  since: Type.Integer({ minimum: 0 }),
  last: Type.Union([
    Type.Object({
      /** Epoch milliseconds. */
      at: Type.Integer({ minimum: 0 }),
      file: Type.String(),
      bytes: Type.Integer({ minimum: 0 }),
      ledgerSeq: Type.Integer({ minimum: 0 }),
    }),
    Type.Null(),
  ]),
  /** The last attempt, when it failed. */
  failure: Type.Union([
    Type.Object({ at: Type.Integer({ minimum: 0 }), message: Type.String() }),
    Type.Null(),
  ]),
});

export type BackupStatus = Static<typeof StatusSchema>;

const name = 'backup-status.json';

export async function writeBackupStatus(caFolder: string, status: BackupStatus): Promise<void> {
  await replaceFile(join(caFolder, name), `${JSON.stringify(status, null, 2)}\n`);
}

/** @returns undefined: no backup was ever made or asked for; `unreadable`: nobody knows */
export function readBackupStatus(caFolder: string): BackupStatus | 'unreadable' | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(caFolder, name), 'utf8'));
    return Value.Check(StatusSchema, value) ? value : 'unreadable';
  } catch (error) {
    return isNodeError(error, 'ENOENT') ? undefined : 'unreadable';
  }
}

/**
 * Milliseconds that the last good backup is too old.
 * @returns undefined: it is young enough, or nobody waits for one
 */
export function overdueBy(
  { alertAfter, since, last }: BackupStatus,
  now: number,
): number | undefined {
  if (alertAfter === null) return undefined;
  const overdue = now - (last?.at ?? since) - alertAfter;
  return overdue > 0 ? overdue : undefined;
}
