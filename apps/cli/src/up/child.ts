// One supervised process: started, waited for, started again with back-off when it dies, stopped cleanly.
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTextIfThere, removeFile, replaceFile } from '@keyline/files';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import type { ServiceLog } from './service-log.ts';

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
  /** For messages; `log` writes it. */
  readonly logFile: string;
  /** Takes what the process writes. */
  readonly log: ServiceLog;
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
/** Attempts of a first start: killed, it may be another time; one that ended by itself has mostly said why, and says it again. */
const attemptsWhenKilled = 5;
const attemptsWhenEnded = 2;
/** What was written before the end may still be in the pipe. */
const lastWordsWithin = 500;

interface Ending {
  /** `SIGKILL`, `exit code 1`. */
  readonly how: string;
  /** By a signal, so not by a decision of its own. */
  readonly wasKilled: boolean;
}

export class Child {
  readonly #spec: ChildSpec;
  #process: ChildProcess | undefined;
  #exited: Promise<Ending> = Promise.resolve({ how: 'not started', wasKilled: false });
  #said: Promise<unknown> = Promise.resolve();
  #stopping = new AbortController();
  #delay = shortestDelay;

  constructor(spec: ChildSpec) {
    this.#spec = spec;
  }

  /** Process id; undefined between a death and the next start. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Starts it and answers when it serves; one that dies meanwhile is started again, a bounded number of times.
   * @throws {KeylineError} INTERNAL with the end of its log
   */
  async start(): Promise<void> {
    const { name, say } = this.#spec;
    const { signal } = this.#stopping;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#launch();
        break;
      } catch (error) {
        if (isAborted(signal)) throw error;
        const { how, wasKilled } = await this.#exited;
        const most = wasKilled ? attemptsWhenKilled : attemptsWhenEnded;
        if (attempt >= most) throw withAttempts(error, attempt);
        say(
          `${name} ended while it was starting (${how}); starting it again in ${String(this.#delay / 1000)} s`,
        );
        await sleep(this.#delay, undefined, { signal });
        this.#delay = Math.min(this.#delay * 2, longestDelay);
      }
    }
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
    await this.#untilSaid();
    this.#spec.log.close();
    await removeFile(this.#spec.pidFile);
    await removeFile(this.#spec.readyFile);
  }

  async #launch(): Promise<void> {
    const { name, program, args, env, readyFile, pidFile, logFile, log, onReady } = this.#spec;
    await removeFile(readyFile);
    // Stopped since: nobody would stop what is started now.
    this.#stopping.signal.throwIfAborted();
    // A group of its own: Ctrl-C in the terminal reaches this supervisor alone, which then stops it in order.
    const child = spawn(program, args, {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#said = Promise.all([log.follow(child.stdout), log.follow(child.stderr)]);
    this.#process = child;
    let gone: string | undefined;
    // Before anything is awaited: a process that ends at once ends during the next await.
    this.#exited = new Promise((resolve) => {
      const end = (how: string, wasKilled = false): void => {
        gone = how;
        if (this.#process === child) this.#process = undefined;
        resolve({ how, wasKilled });
      };
      child.once('error', (error) => {
        end(messageOf(error));
      });
      child.once('exit', (code, signal) => {
        end(signal ?? `exit code ${String(code)}`, signal !== null);
      });
    });
    if (child.pid !== undefined) await replaceFile(pidFile, `${String(child.pid)}\n`);
    const deadline = performance.now() + readyTimeout;
    while ((await readTextIfThere(readyFile, 'ready file')) === undefined) {
      this.#stopping.signal.throwIfAborted();
      if (gone !== undefined || performance.now() > deadline) {
        if (gone === undefined) child.kill('SIGKILL');
        await this.#untilSaid();
        throw new KeylineError(
          'INTERNAL',
          `${name} did not start: ${gone ?? `not ready after ${String(readyTimeout / 1000)} s`}. The end of its log (${logFile}):\n${log.tail}`,
        );
      }
      await sleep(readyPoll);
    }
    onReady();
  }

  /** A process that it has started itself may hold the pipe open for longer than it lives. */
  async #untilSaid(): Promise<void> {
    await Promise.race([this.#said, sleep(lastWordsWithin, undefined, { ref: false })]);
  }

  /** Until stop(): waits for its end and starts it again. */
  async #watch(): Promise<void> {
    const { name, say } = this.#spec;
    const { signal } = this.#stopping;
    for (;;) {
      const startedAt = performance.now();
      const { how } = await this.#exited;
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

function withAttempts(error: unknown, attempts: number): unknown {
  if (!isKeylineError(error) || attempts === 1) return error;
  return new KeylineError(error.code, `${error.detail}\n(${String(attempts)} attempts)`, {
    cause: error,
  });
}
