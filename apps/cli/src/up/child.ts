// One supervised process: started, waited for, started again with back-off when it dies, stopped cleanly.
import { setTimeout as sleep } from 'node:timers/promises';
import { removeFile } from '@keyline/files';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import {
  awaitReady,
  KeepRunning,
  RunningProcess,
  takeBackReady,
  type ServiceLog,
} from '@keyline/process';

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
const stopPatience = 10_000;
/** Attempts of a first start: killed, it may be another time; one that ended by itself has mostly said why, and says it again. */
const attemptsWhenKilled = 5;
const attemptsWhenEnded = 2;
/** What was written before the end may still be in the pipe. */
const lastWordsWithin = 500;

export class Child {
  readonly #spec: ChildSpec;
  readonly #keeper: KeepRunning;
  #said: Promise<unknown> = Promise.resolve();

  constructor(spec: ChildSpec) {
    this.#spec = spec;
    const { name, say } = spec;
    const inSeconds = (delay: number): string => `${String(delay / 1000)} s`;
    this.#keeper = new KeepRunning({
      stopPatience,
      launch: (started, signal) => this.#launch(started, signal),
      firstAttempts: (ending) =>
        ending?.wasKilled === true ? attemptsWhenKilled : attemptsWhenEnded,
      onStartFailed: ({ ending, delay }) => {
        say(
          `${name} ended while it was starting (${ending?.how ?? 'not started'}); starting it again in ${inSeconds(delay)}`,
        );
      },
      onEnded: ({ ending, delay }) => {
        say(`${name} ended (${ending.how}); starting it again in ${inSeconds(delay)}`);
      },
      onServingAgain: () => {
        say(`${name} serves again (process ${String(this.pid ?? '?')})`);
      },
      onNotStarted: (error) => {
        say(messageOf(error));
      },
      onStubborn: () => {
        say(`${name} does not stop; killing it`);
      },
    });
  }

  /** Process id; undefined between a death and the next start. */
  get pid(): number | undefined {
    return this.#keeper.running?.pid;
  }

  /**
   * Starts it and answers when it serves; one that dies meanwhile is started again, a bounded number of times.
   * @throws {KeylineError} INTERNAL with the end of its log
   */
  start(): Promise<void> {
    return this.#keeper.start(withAttempts);
  }

  /** SIGTERM, and SIGKILL after ten seconds. Answers when it is gone; no restart follows. */
  async stop(): Promise<void> {
    await this.#keeper.stop();
    await this.#untilSaid();
    this.#spec.log.close();
    await removeFile(this.#spec.pidFile);
    await takeBackReady(this.#spec.readyFile);
  }

  async #launch(started: (running: RunningProcess) => void, signal: AbortSignal): Promise<void> {
    const { name, program, args, env, readyFile, pidFile, logFile, log, say, onReady } = this.#spec;
    await takeBackReady(readyFile);
    signal.throwIfAborted();
    const said: Promise<void>[] = [];
    const running = RunningProcess.start({
      ...{ program, args, env, pidFile },
      output: (stream) => said.push(log.follow(stream)),
    });
    this.#said = Promise.all(said);
    started(running);
    // It serves without: a start after this supervisor was killed also looks at what runs.
    await running.remember().catch((error: unknown) => {
      say(messageOf(error));
    });
    const deadline = performance.now() + readyTimeout;
    const isOver = (): boolean => running.ending !== undefined || performance.now() > deadline;
    if (await awaitReady(readyFile, { isOver, signal })) {
      onReady();
      return;
    }
    const how = running.ending?.how ?? `not ready after ${String(readyTimeout / 1000)} s`;
    running.signal('SIGKILL');
    await this.#untilSaid();
    throw new KeylineError(
      'INTERNAL',
      `${name} did not start: ${how}. The end of its log (${logFile}):\n${log.tail}`,
    );
  }

  /** A process that it has started itself may hold the pipe open for longer than it lives. */
  async #untilSaid(): Promise<void> {
    await Promise.race([this.#said, sleep(lastWordsWithin, undefined, { ref: false })]);
  }
}

function withAttempts(error: unknown, attempts: number): unknown {
  if (!isKeylineError(error) || attempts === 1) return error;
  return new KeylineError(error.code, `${error.detail}\n(${String(attempts)} attempts)`, {
    cause: error,
  });
}
