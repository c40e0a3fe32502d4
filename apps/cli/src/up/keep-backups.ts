// Backups on a schedule: made when one is due, by a process of its own, so that what is served meanwhile does not wait for it.
import { readBackupStatus, writeBackupStatus, type BackupStatus } from '@keyline/backup';
import type { PlantConfig } from '@keyline/config';
import { Duration, type Clock } from '@keyline/kernel';
import type { Layout } from './layout.ts';
import { runProgram } from './programs.ts';

interface Schedule {
  readonly layout: Pick<Layout, 'data' | 'ca'>;
  /** Undefined: none is made. */
  readonly backup: PlantConfig['backup'];
  /** Folder of the configuration in use. */
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly run?: typeof runProgram;
}

/** After one that failed; a disk that is full does not get room by trying. */
const pauseAfterFailure = Duration.minutes(15);

/** @returns a sentence about what was done, undefined when nothing was due @throws what the attempt said */
export async function keepBackups(schedule: Schedule): Promise<string | undefined> {
  const { layout, backup, config, env, signal, clock, run = runProgram } = schedule;
  const status = await expectBackups(layout.ca.folder, backup?.alertAfter ?? null, clock.now());
  if (backup === undefined || status === undefined) return undefined;
  if (!isDue(status, backup.every, clock.now())) return undefined;
  try {
    await run('keyline', ['backup', '--scheduled', '--data', layout.data, '--config', config], {
      env,
      signal,
    });
  } catch (error) {
    if (signal.aborted) return undefined;
    await noteIfUnknown(layout.ca.folder, status, clock.now());
    throw error;
  }
  const after = readBackupStatus(layout.ca.folder);
  const file = after === undefined || after === 'unreadable' ? undefined : after.last?.file;
  return `made a backup${file === undefined ? '' : `: ${file}`}`;
}

/** An alert is open also where no attempt ever came so far that it could say why. */
async function expectBackups(
  caFolder: string,
  alertAfter: number | null,
  now: number,
): Promise<BackupStatus | undefined> {
  const before = readBackupStatus(caFolder);
  if (before === undefined && alertAfter === null) return undefined;
  if (before !== undefined && before !== 'unreadable' && before.alertAfter === alertAfter)
    return before;
  const known =
    before === undefined || before === 'unreadable'
      ? ({ version: 1, since: now, last: null, failure: null } as const)
      : // Whoever made backups by hand until now is not late from the first moment on.
        { ...before, ...(before.alertAfter === null ? { since: now } : {}) };
  const status = { ...known, alertAfter };
  await writeBackupStatus(caFolder, status);
  return status;
}

function isDue({ last, failure }: BackupStatus, every: number, now: number): boolean {
  const isOver = (since: number, time: number): boolean =>
    // A clock that was ahead, and is put right.
    now - since >= time || since > now;
  if (failure !== null && !isOver(failure.at, Math.min(every, pauseAfterFailure))) return false;
  return last === null || isOver(last.at, every);
}

/** One that was killed, or could not begin, has said nothing. */
async function noteIfUnknown(caFolder: string, before: BackupStatus, now: number): Promise<void> {
  const after = readBackupStatus(caFolder);
  if (after !== 'unreadable' && after?.failure?.at !== before.failure?.at) return;
  const failure = { at: now, message: 'It ended without a word: see the log of keyline up.' };
  await writeBackupStatus(caFolder, { ...before, failure });
}
