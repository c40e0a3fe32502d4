// Services that outlived a supervisor which was killed: they hold the ports and the database, so they are stopped first.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, readText, removeFile } from '@keyline/files';
import { endLeftover } from '@keyline/process';
import type { CliContext } from '../context.ts';

const patience = 10_000;

export interface Leftovers {
  /** With a `NAME.pid` for each service. */
  readonly folder: string;
  /** Data folder: it stands in the arguments of every service that belongs to it. */
  readonly data: string;
  readonly signalProcess: CliContext['signalProcess'];
  readonly say: (text: string) => void;
}

/** Stops the processes that the files name, if they still are what they were, and those of which no file was written any more. */
export async function stopLeftovers(given: Leftovers): Promise<void> {
  const { folder, data, say } = given;
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.pid')) continue;
    const file = join(folder, name);
    const pid = Number((await readText(file, 'a process id', 100)).trim());
    if (Number.isInteger(pid) && pid > 1 && (await belongsTo(pid, data))) {
      say(
        `a ${name.slice(0, -'.pid'.length)} of an earlier start still runs (process ${String(pid)}); stopping it`,
      );
      await stop(pid, given);
    }
    await removeFile(file);
  }
  for (const pid of await listProcesses()) {
    if (!(await belongsTo(pid, data))) continue;
    say(`a service of an earlier start still runs (process ${String(pid)}); stopping it`);
    await stop(pid, given);
  }
}

/** A supervisor that is killed between starting a process and writing down its id leaves no file. Linux only; elsewhere none. */
async function listProcesses(): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

async function stop(pid: number, { data, signalProcess }: Leftovers): Promise<void> {
  await endLeftover({
    isOurs: () => belongsTo(pid, data),
    signal: (name) => signalProcess(pid, name),
    patience,
  });
}

/** Process ids are given anew: only one that was started on this folder is meant. */
async function belongsTo(pid: number, data: string): Promise<boolean> {
  try {
    const args = (await readFile(`/proc/${String(pid)}/cmdline`, 'utf8')).split('\0');
    const folder = args[args.indexOf('--data') + 1] ?? '';
    return args.includes('serve') && (folder === data || folder.startsWith(`${data}/`));
  } catch (error) {
    // Gone, or another user's and so not of this folder.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].some((code) => isNodeError(error, code))) {
      return false;
    }
    throw error;
  }
}
