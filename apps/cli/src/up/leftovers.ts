// Services that outlived a supervisor which was killed: they hold the ports and the database, so they are stopped first.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, readText } from '../files/read-file.ts';
import { removeFile } from '../files/write-file.ts';

const patience = 10_000;

/**
 * Stops the processes named by `*.pid` files in the folder, if they still are what they were.
 * @param data data folder: it stands in the arguments of every service that belongs to it
 */
export async function stopLeftovers(
  folder: string,
  data: string,
  say: (text: string) => void,
): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.pid')) continue;
    const file = join(folder, name);
    const pid = Number((await readText(file, 'a process id', 100)).trim());
    if (Number.isInteger(pid) && pid > 1 && (await belongsTo(pid, data))) {
      say(
        `a ${name.slice(0, -'.pid'.length)} of an earlier start still runs (process ${String(pid)}); stopping it`,
      );
      await stop(pid, data);
    }
    await removeFile(file);
  }
}

async function stop(pid: number, data: string): Promise<void> {
  signal(pid, 'SIGTERM');
  const deadline = performance.now() + patience;
  while (await belongsTo(pid, data)) {
    if (performance.now() > deadline) signal(pid, 'SIGKILL');
    await sleep(50);
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    kill(pid, name);
  } catch (error) {
    // Gone in the meantime, which is what was wanted.
    if (!isNodeError(error, 'ESRCH')) throw error;
  }
}

/** Process ids are given anew: only one that was started on this folder is meant. */
async function belongsTo(pid: number, data: string): Promise<boolean> {
  try {
    const args = (await readFile(`/proc/${String(pid)}/cmdline`, 'utf8')).split('\0');
    const folder = args[args.indexOf('--data') + 1] ?? '';
    return args.includes('serve') && (folder === data || folder.startsWith(`${data}/`));
  } catch (error) {
    if (isNodeError(error, 'ENOENT') || isNodeError(error, 'ESRCH')) return false;
    throw error;
  }
}
