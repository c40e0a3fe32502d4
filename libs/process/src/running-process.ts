// One process that was started to be watched: its end, its id on disk for whoever comes after a supervisor that was killed, and its stop.
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { replaceFile } from '@keyline/files';
import { messageOf } from '@keyline/kernel';

export interface Ending {
  /** `SIGKILL`, `exit code 1`. */
  readonly how: string;
  /** By a signal, so not by a decision of its own. */
  readonly wasKilled: boolean;
}

export interface ProcessSpec {
  readonly program: string;
  readonly args: readonly string[];
  /** Absent: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** Entered before the user is changed, so that the folders above may be closed to that user. */
  readonly cwd?: string;
  /** Whom it runs as; absent: this user. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Remembers the process for a start after this supervisor was killed. */
  readonly pidFile: string;
  /** Takes what it writes. */
  readonly output: (stream: Readable) => void;
}

export class RunningProcess {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #pidFile: string;
  #ending: Ending | undefined;

  private constructor(child: ChildProcess, pidFile: string) {
    this.#child = child;
    this.#pidFile = pidFile;
    // Before anything is awaited: a process that ends at once ends during the next await.
    this.ended = new Promise((resolve) => {
      const end = (how: string, wasKilled = false): void => {
        this.#ending ??= { how, wasKilled };
        resolve(this.#ending);
      };
      child.once('error', (error) => {
        end(messageOf(error));
      });
      child.once('exit', (code, signal) => {
        end(signal ?? `exit code ${String(code)}`, signal !== null);
      });
    });
  }

  static start(spec: ProcessSpec): RunningProcess {
    const { program, args, env, cwd, owner, pidFile, output } = spec;
    const child = spawn(program, args, {
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      ...owner,
      // A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then stops it in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = new RunningProcess(child, pidFile);
    output(child.stdout);
    output(child.stderr);
    return running;
  }

  /** Writes its id down. @throws {KeylineError} FILE_UNREADABLE: it runs all the same */
  async remember(): Promise<void> {
    if (this.pid !== undefined) await replaceFile(this.#pidFile, `${String(this.pid)}\n`);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How it ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(name: NodeJS.Signals): void {
    if (this.#ending === undefined) this.#child.kill(name);
  }

  /**
   * SIGTERM, and SIGKILL when that does not help. Answers when it is gone.
   * @param patience milliseconds
   */
  async stop(patience: number, onStubborn: () => void = () => undefined): Promise<void> {
    this.signal('SIGTERM');
    const killer = setTimeout(() => {
      onStubborn();
      this.signal('SIGKILL');
    }, patience);
    await this.ended;
    clearTimeout(killer);
  }
}
