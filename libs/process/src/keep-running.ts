// The one supervisor: starts a process, waits for its end, starts it again with back-off, restarts it when asked, stops it for good. What
// the process is, when it serves and what is said about it belong to who uses this.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ending, RunningProcess } from './running-process.ts';

/** Milliseconds. */
export interface RestartPaces {
  readonly shortest: number;
  readonly longest: number;
  /** A process that served this long has earned a quick restart. */
  readonly settledAfter: number;
}

export const defaultRestartPaces: RestartPaces = {
  shortest: 500,
  longest: 30_000,
  settledAfter: 60_000,
};

export interface KeepRunningOptions {
  readonly paces?: RestartPaces;
  /** From SIGTERM to SIGKILL, milliseconds. */
  readonly stopPatience: number;
  /**
   * Starts it, and answers when it serves. When it throws, what was started is killed.
   * @param started to be called with the process as soon as there is one
   */
  readonly launch: (
    started: (running: RunningProcess) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Attempts that a first start has, by how the last of them ended; 1 when absent. */
  readonly firstAttempts?: (ending: Ending | undefined) => number;
  /** A first start failed and is tried again after the delay (milliseconds). */
  readonly onStartFailed?: (failed: {
    readonly ending: Ending | undefined;
    readonly delay: number;
  }) => void;
  /** It ended, and is started again after the delay: 0 when it was asked to. */
  readonly onEnded: (ended: {
    readonly ending: Ending;
    readonly delay: number;
    readonly isAsked: boolean;
  }) => Promise<void> | void;
  /** It was started again after its end, and serves. */
  readonly onServingAgain?: () => void;
  /** It was started again after its end, and did not come to serve; it is tried again. */
  readonly onNotStarted: (error: unknown) => void;
  readonly onStubborn?: () => void;
}

export class KeepRunning {
  readonly #options: KeepRunningOptions;
  readonly #paces: RestartPaces;
  readonly #stopping = new AbortController();
  #running: RunningProcess | undefined;
  #lastEnding: Ending | undefined;
  #delay: number;
  #isAsked = false;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: KeepRunningOptions) {
    this.#options = options;
    this.#paces = options.paces ?? defaultRestartPaces;
    this.#delay = this.#paces.shortest;
  }

  /** The process; undefined between an end and the next start. */
  get running(): RunningProcess | undefined {
    return this.#running?.ending === undefined ? this.#running : undefined;
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /**
   * Answers when it serves. One that dies meanwhile is started again, as often as `firstAttempts` says.
   * @throws what the last attempt threw, with how many there were; the signal's reason when it was stopped meanwhile
   */
  async start(
    describe: (error: unknown, attempts: number) => unknown = (error) => error,
  ): Promise<void> {
    const { firstAttempts = () => 1, onStartFailed } = this.#options;
    const { signal } = this.#stopping;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#launch();
        break;
      } catch (error) {
        if (this.isStopping) throw error;
        const ending = this.#lastEnding;
        if (attempt >= firstAttempts(ending)) throw describe(error, attempt);
        onStartFailed?.({ ending, delay: this.#delay });
        await this.#rest(signal);
      }
    }
    this.#watching = this.#watch();
  }

  /** Ends it, so that it is started again at once. Nothing when it is not running. */
  async restart(): Promise<void> {
    if (this.running === undefined || this.isStopping) return;
    this.#isAsked = true;
    await this.running.stop(this.#options.stopPatience, this.#options.onStubborn);
  }

  /** Answers when it is gone; no restart follows. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.stop(this.#options.stopPatience, this.#options.onStubborn);
    await this.#watching;
  }

  async #launch(): Promise<void> {
    const { signal } = this.#stopping;
    // Stopped since: nobody would stop what is started now.
    signal.throwIfAborted();
    this.#lastEnding = undefined;
    this.#isAsked = false;
    try {
      await this.#options.launch((running) => {
        this.#running = running;
      }, signal);
    } catch (error) {
      // One that does not serve would be in the way of the next. One that is asked to stop has its time: it may have children of its own.
      if (this.isStopping) {
        await this.#running?.stop(this.#options.stopPatience, this.#options.onStubborn);
      } else this.#running?.signal('SIGKILL');
      this.#lastEnding = await this.#running?.ended;
      throw error;
    }
  }

  /** Until stop(): waits for its end and starts it again. */
  async #watch(): Promise<void> {
    const { onEnded, onNotStarted, onServingAgain } = this.#options;
    const { signal } = this.#stopping;
    let servingSince = performance.now();
    let isServing = true;
    while (this.#running !== undefined) {
      if (isServing) {
        const ending = await this.#running.ended;
        if (this.isStopping) return;
        if (performance.now() - servingSince > this.#paces.settledAfter) {
          this.#delay = this.#paces.shortest;
        }
        const isAsked = this.#isAsked;
        this.#isAsked = false;
        await onEnded({ ending, delay: isAsked ? 0 : this.#delay, isAsked });
        if (!isAsked && !(await this.#rested(signal))) return;
      } else if (!(await this.#rested(signal))) return;
      servingSince = performance.now();
      try {
        await this.#launch();
        isServing = true;
        onServingAgain?.();
      } catch (error) {
        if (this.isStopping) return;
        isServing = false;
        onNotStarted(error);
      }
    }
  }

  async #rested(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#rest(signal);
      return true;
    } catch {
      return false;
    }
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const delay = this.#delay;
    this.#delay = Math.min(delay * 2, this.#paces.longest);
    await sleep(delay, undefined, { signal });
  }
}
