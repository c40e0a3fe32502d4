// One running Mosquitto: started in its folder, as its user, with the promise that it does not outlive its supervisor.
import { execFile } from 'node:child_process';
import { readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { endLeftover, RunningProcess } from '@keyline/process';
import type { LogLines } from './log-lines.ts';
import type { MosquittoContext } from './options.ts';
import { runtimeFiles, type RuntimeFolder } from './runtime-folder.ts';

/** It writes its sessions to disk when it ends; many of them take time. */
export const stopPatience = 20_000;

/** Started in its folder, as its user. */
export function startMosquitto(given: {
  readonly program: string;
  /** setpriv, where it can be had: the kernel then ends Mosquitto when its supervisor is killed. */
  readonly leash: string | undefined;
  readonly folder: RuntimeFolder;
  readonly pidFile: string;
  readonly lines: LogLines;
}): RunningProcess {
  const { program, leash, folder, pidFile, lines } = given;
  const command = [program, '-c', runtimeFiles.configuration];
  const [file = program, ...args] =
    leash === undefined ? command : [leash, '--pdeathsig', 'TERM', ...command];
  return RunningProcess.start({
    program: file,
    args,
    cwd: folder.path,
    owner: folder.owner,
    pidFile,
    output: (stream) => {
      lines.follow(stream);
    },
  });
}

/** setpriv of util-linux, when it knows how to tie a process to its parent. */
export function findLeash(): Promise<string | undefined> {
  return new Promise((found) => {
    execFile('setpriv', ['--help'], (_error, out) => {
      found(out.includes('--pdeathsig') ? 'setpriv' : undefined);
    });
  });
}

/** A Mosquitto of an earlier supervisor holds the port and writes the same files: it is stopped first, if it still is what it was. */
export async function stopLeftover(
  folder: RuntimeFolder,
  pidFile: string,
  { host, log }: Pick<MosquittoContext, 'host' | 'log'>,
): Promise<void> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  const runs = (): Promise<boolean> => isOurs(pid, folder);
  if (Number.isInteger(pid) && pid > 1 && (await runs())) {
    log.warn(
      { event: 'leftover stopped', pid },
      `a Mosquitto of an earlier start still runs (process ${String(pid)}); stopping it`,
    );
    await endLeftover({
      isOurs: runs,
      signal: (name) => {
        try {
          host.signal(pid, name);
        } catch {
          // It ended between the look and the signal.
        }
      },
      patience: stopPatience,
    });
  }
  await rm(pidFile, { force: true });
}

/** Process ids are given anew: only one that runs in this folder with this configuration is meant. */
async function isOurs(pid: number, folder: RuntimeFolder): Promise<boolean> {
  const process = `/proc/${String(pid)}`;
  try {
    const [cwd, commandLine, ours] = await Promise.all([
      readlink(join(process, 'cwd')),
      readFile(join(process, 'cmdline'), 'utf8'),
      realpath(folder.path),
    ]);
    return cwd === ours && commandLine.split('\0').includes(runtimeFiles.configuration);
  } catch {
    return false; // gone, or of another user and so not ours
  }
}
