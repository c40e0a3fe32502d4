// One supervised process: started, waited for, started again with back-off when it dies, stopped cleanly.
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeylineError, messageOf } from '@keyline/kernel';
import { readTextIfThere } from '../files/read-file.ts';
import { removeFile, replaceFile } from '../files/write-file.ts';

export interface ChildSpec {
  /** `keyline-ca`, as it is called on screen. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The process writes it when it serves. */
  readonly readyFile: string;
  /** Remembers the process for a start after this supervisor was killed. */
  readonly pidFile: string;
  readonly logFile: string;
  readonly say: (text: string) => void;
  /** After each start, when the process serves. */
  readonly onReady: () => void;
}

const readyTimeout = 60_000;
const readyPoll = 25;
const stopTimeout = 10_000;
const shortestDelay = 500;
const longestDelay = 30_000;
/** A process that served this long has earned a quick restart. */
const settledAfter = 60_000;

export class Child {
  readonly #spec: ChildSpec;
  #process: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve('not started');
  #stopping = new AbortController();
  #delay = shortestDelay;

  constructor(spec: ChildSpec) {
    this.#spec = spec;
  }

  /** Process id; undefined between a death and the next start. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts it and answers when it serves. @throws {KeylineError} INTERNAL with the end of its log */
  async start(): Promise<void> {
    await this.#launch();
    void this.#watch();
  }

  /** SIGTERM, and SIGKILL after ten seconds. Answers when it is gone; no restart follows. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#process;
    if (child !== undefined) {
      child.kill('SIGTERM');
      const killer = setTimeout(() => {
        this.#spec.say(`${this.#spec.name} does not stop; killing it`);
        child.kill('SIGKILL');
      }, stopTimeout);
      await this.#exited;
      clearTimeout(killer);
    }
    await removeFile(this.#spec.pidFile);
    await removeFile(this.#spec.readyFile);
  }

  async #launch(): Promise<void> {
    const { name, program, args, env, readyFile, pidFile, logFile, onReady } = this.#spec;
    await removeFile(readyFile);
    const log = await open(logFile, 'a', 0o600);
    if (this.#stopping.signal.aborted) {
      // Stopped since: nobody would stop what is started now.
      await log.close();
      this.#stopping.signal.throwIfAborted();
    }
    // A group of its own: Ctrl-C in the terminal reaches this supervisor alone, which then stops it in order.
    const child = spawn(program, args, {
      env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    this.#process = child;
    let gone: string | undefined;
    // Before anything is awaited: a process that ends at once ends during the next await.
    this.#exited = new Promise((resolve) => {
      const end = (how: string): void => {
        gone = how;
        if (this.#process === child) this.#process = undefined;
        resolve(how);
      };
      child.once('error', (error) => {
        end(messageOf(error));
      });
      child.once('exit', (code, signal) => {
        end(signal === null ? `exit code ${String(code)}` : signal);
      });
    });
    await log.close();
    if (child.pid !== undefined) await replaceFile(pidFile, `${String(child.pid)}\n`);
    const deadline = performance.now() + readyTimeout;
    while ((await readTextIfThere(readyFile, 'ready file')) === undefined) {
      this.#stopping.signal.throwIfAborted();
      if (gone !== undefined || performance.now() > deadline) {
        if (gone === undefined) child.kill('SIGKILL');
        throw new KeylineError(
          'INTERNAL',
          `${name} did not start: ${gone ?? `not ready after ${String(readyTimeout / 1000)} s`}. The end of its log (${logFile}):\n${await tailOf(logFile)}`,
        );
      }
      await sleep(readyPoll);
    }
    onReady();
  }

  /** Until stop(): waits for its end and starts it again. */
  async #watch(): Promise<void> {
    const { name, say } = this.#spec;
    const { signal } = this.#stopping;
    for (;;) {
      const startedAt = performance.now();
      const how = await this.#exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > settledAfter) this.#delay = shortestDelay;
      say(`${name} ended (${how}); starting it again in ${String(this.#delay / 1000)} s`);
      try {
        await sleep(this.#delay, undefined, { signal });
        this.#delay = Math.min(this.#delay * 2, longestDelay);
        await this.#launch();
        say(`${name} serves again (process ${String(this.pid ?? '?')})`);
      } catch (error) {
        if (isAborted(signal)) return;
        say(messageOf(error));
      }
    }
  }
}

// A function, so that the compiler does not take the earlier check of a value that changes for a fact.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

const tailLines = 15;

async function tailOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .slice(-20_000)
    .trimEnd()
    .split('\n')
    .slice(-tailLines)
    .map((line) => `  ${line.slice(0, 500)}`)
    .join('\n');
}
