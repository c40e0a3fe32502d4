// One running Mosquitto: started in its folder, as its user, with the promise that it does not outlive its supervisor.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogLines } from './log-lines.ts';
import type { MosquittoContext } from './options.ts';
import { runtimeFiles, type RuntimeFolder } from './runtime-folder.ts';

/** It writes its sessions to disk when it ends; many of them take time. */
const stopPatience = 20_000;

export class MosquittoProcess {
  /** How it ended. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    // Before anything is awaited: a process that ends at once ends during the next await.
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        resolve(error.message);
      });
      child.once('exit', (code, signal) => {
        resolve(signal ?? `exit code ${String(code)}`);
      });
    });
  }

  static async start(given: {
    readonly program: string;
    /** setpriv, where it can be had: the kernel then ends Mosquitto when its supervisor is killed. */
    readonly leash: string | undefined;
    readonly folder: RuntimeFolder;
    readonly pidFile: string;
    readonly lines: LogLines;
  }): Promise<MosquittoProcess> {
    const { program, leash, folder, pidFile, lines } = given;
    const command = [program, '-c', runtimeFiles.configuration];
    const [file = program, ...args] =
      leash === undefined ? command : [leash, '--pdeathsig', 'TERM', ...command];
    const child = spawn(file, args, {
      // The folder first, the user second: so folders above may be closed to that user.
      cwd: folder.path,
      ...folder.owner,
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then stops it in order.
      detached: true,
    });
    const running = new MosquittoProcess(child);
    lines.follow(child.stderr);
    if (child.pid !== undefined) await writeFile(pidFile, `${String(child.pid)}\n`);
    return running;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  hangUp(): void {
    this.#child.kill('SIGHUP');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), stopPatience);
    await this.ended;
    clearTimeout(killer);
  }
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
    const signal = (name: NodeJS.Signals): void => {
      try {
        host.signal(pid, name);
      } catch {
        // It ended between the look and the signal.
      }
    };
    signal('SIGTERM');
    const deadline = performance.now() + stopPatience;
    while (await runs()) {
      if (performance.now() > deadline) signal('SIGKILL');
      await sleep(20);
    }
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
