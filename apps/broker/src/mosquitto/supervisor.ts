// Keeps one Mosquitto running: starts it on prepared state, starts it again when it dies or hangs, and restarts it when it is told to.
import { readFile, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { Verdict } from './canary.ts';
import { ControlLine } from './control-line.ts';
import { createLogin, prepareState } from './dynsec-file.ts';
import type { InstalledMosquitto } from './find-mosquitto.ts';
import { LogLines, type ConnectedClient } from './log-lines.ts';
import { MosquittoProcess } from './mosquitto-process.ts';
import type { Paces } from './options.ts';
import { runtimeFiles, type RuntimeFolder } from './runtime-folder.ts';
import { SessionPurge } from './session-purge.ts';
import { StrangerGuard } from './stranger-guard.ts';

interface SupervisorOptions {
  readonly mosquitto: InstalledMosquitto;
  readonly leash: string | undefined;
  readonly folder: RuntimeFolder;
  readonly pidFile: string;
  readonly admins: readonly string[];
  readonly paces: Paces;
  readonly log: Logger;
  readonly events: {
    /** It is about to be started, and will read every file as it is now. */
    readonly onStarting: () => void;
    /** It answers, and has read every file. */
    readonly onServing: () => void;
    /** A complete round of `$SYS` came. */
    readonly onFigures: (figures: ReadonlyMap<string, number>) => void;
    readonly onConnected: (client: ConnectedClient) => void;
    /** It logged anything else. */
    readonly onLine: (line: string) => void;
    readonly onStranger: () => void;
    readonly onRestart: (why: 'crashed' | 'hung' | 'asked') => void;
  };
}

const startTimeout = 50_000;
/** It says its figures every two seconds; this long without a word, and it serves nobody. */
const longestSilence = 60_000;
/** One that served this long has earned a quick restart. */
const settledAfter = 60_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #lines: LogLines;
  readonly #guard: StrangerGuard;
  readonly #purge: SessionPurge;
  readonly #stopping = new AbortController();
  #process: MosquittoProcess | undefined;
  #control: ControlLine | undefined;
  #hangUpDue = false;
  #asked: 'hung' | 'asked' | undefined;
  #delay: number;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#delay = options.paces.backOff;
    this.#guard = new StrangerGuard({
      log: options.log,
      onDenied: options.events.onStranger,
      isReady: () => this.#control !== undefined,
      send: async (commands) => {
        if (this.#control === undefined) throw new KeylineError('TARGET_UNREACHABLE', 'It is down');
        return this.#control.send(commands);
      },
    });
    this.#purge = new SessionPurge({
      log: options.log,
      isReady: () => this.#control !== undefined,
      discard: async (clientId) => {
        if (this.#control === undefined) throw new KeylineError('TARGET_UNREACHABLE', 'It is down');
        await this.#control.discardSession(clientId);
      },
    });
    this.#lines = new LogLines(options.log, {
      onLine: (line) => {
        options.events.onLine(line);
        this.#purge.read(line);
      },
      onConnected: (client) => {
        const { username } = client;
        options.events.onConnected(client);
        // Its own connection; everybody else is looked up.
        if (username?.startsWith('supervisor@') === false) this.#guard.saw(username);
      },
    });
  }

  get isServing(): boolean {
    return this.#control?.isOpen ?? false;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Answers when it serves. @throws {KeylineError} INTERNAL with the end of its log */
  async start(): Promise<void> {
    await this.#launch();
    this.#watching = this.#watch();
  }

  /** Tells it to read its files again; one that is still starting, when it serves: before, the signal would end it. */
  hangUp(): void {
    this.#hangUpDue = this.#control === undefined;
    if (this.#hangUpDue) return;
    this.#process?.hangUp();
    // It looks at its signals when something wakes it, else up to 100 ms later: time for a session to go offline.
    this.#control?.send([{ command: 'getDefaultACLAccess' }]).catch(() => undefined);
  }

  /** @param reason a sentence's beginning, for the log */
  restart(reason: string): void {
    const { log } = this.#options;
    const running = this.#process;
    if (running === undefined || this.#stopping.signal.aborted) return;
    log.warn({ event: 'restarting', reason }, `${reason}: restarting Mosquitto to make it known`);
    this.#asked = 'asked';
    void running.stop();
  }

  /** A CRL is in force: who is denied and came in before it, is sent away once more, and stays away. */
  cutDenied(): void {
    this.#guard.cutDenied();
  }

  /** The supervisor's own client is tried, which Mosquitto's log tells of too. */
  duringCanary(trial: () => Promise<Verdict>): Promise<Verdict> {
    return this.#lines.duringCanary(trial);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#guard.reset();
    this.#purge.stop();
    await this.#control?.close();
    await this.#process?.stop();
    await this.#watching;
    await rm(this.#options.pidFile, { force: true });
    await rm(this.#options.folder.at(runtimeFiles.control), { force: true });
  }

  async #launch(): Promise<void> {
    const { mosquitto, leash, folder, pidFile, log, events } = this.#options;
    const login = createLogin();
    await this.#prepareState(login);
    this.#takeHangUp();
    this.#guard.reset();
    events.onStarting();
    const running = await MosquittoProcess.start({
      program: mosquitto.program,
      leash,
      folder,
      pidFile,
      lines: this.#lines,
    });
    this.#process = running;
    this.#asked = undefined;
    const control = await ControlLine.create({ folder, login, onFigures: events.onFigures });
    const timeout = new AbortController();
    const late = sleep(startTimeout, `not serving after ${String(startTimeout / 1000)} s`, {
      signal: timeout.signal,
    });
    late.catch(() => undefined);
    const how = await Promise.race([control.opened().catch(messageOf), running.ended, late]);
    timeout.abort();
    if (how === undefined) {
      this.#control = control;
      log.info(
        { event: 'mosquitto serving', pid: running.pid, version: mosquitto.version },
        `Mosquitto ${mosquitto.version} serves (process ${String(running.pid ?? '?')}${await describeFiles(running.pid)})`,
      );
      if (this.#takeHangUp()) this.hangUp();
      events.onServing();
      // Whoever came before it could be asked.
      this.#guard.wake();
      this.#purge.wake();
      return;
    }
    await control.close();
    if (!running.hasEnded) running.kill();
    await running.ended;
    this.#process = undefined;
    throw new KeylineError(
      'INTERNAL',
      `Mosquitto ${mosquitto.version} did not start: ${how}. The end of its log:\n${this.#lines.tail}`,
    );
  }

  #takeHangUp(): boolean {
    const due = this.#hangUpDue;
    this.#hangUpDue = false;
    return due;
  }

  /** Until stop(): waits for its end and starts it again. */
  async #watch(): Promise<void> {
    const { log, events, paces } = this.#options;
    const { signal } = this.#stopping;
    const hangs = setInterval(() => {
      this.#endHung();
    }, 5000);
    hangs.unref();
    let startedAt = performance.now();
    while (!signal.aborted) {
      const how = (await this.#process?.ended) ?? 'not started';
      await this.#control?.close();
      this.#control = undefined;
      this.#process = undefined;
      if (isAborted(signal)) break;
      const why = this.#asked ?? 'crashed';
      events.onRestart(why);
      if (performance.now() - startedAt > settledAfter) this.#delay = paces.backOff;
      const delay = why === 'asked' ? 0 : this.#delay;
      if (why !== 'asked') {
        this.#delay = Math.min(this.#delay * 2, paces.longestBackOff);
        log.error(
          { event: 'mosquitto ended', how, delay },
          `Mosquitto ended (${how}); starting it again in ${String(delay / 1000)} s. The end of its log:\n${this.#lines.tail}`,
        );
      }
      try {
        await sleep(delay, undefined, { signal });
        startedAt = performance.now();
        await this.#launch();
      } catch (error) {
        if (isAborted(signal)) break;
        log.error({ event: 'mosquitto not started', error: messageOf(error) }, messageOf(error));
      }
    }
    clearInterval(hangs);
  }

  #endHung(): void {
    const silence = this.#control?.silence ?? 0;
    if (silence < longestSilence || this.#asked !== undefined) return;
    this.#options.log.error(
      { event: 'mosquitto hung', silence },
      `Mosquitto has said nothing for ${String(Math.round(silence / 1000))} s; killing it`,
    );
    this.#asked = 'hung';
    this.#process?.kill();
  }

  async #prepareState(login: ReturnType<typeof createLogin>): Promise<void> {
    const { folder, admins, log } = this.#options;
    const file = folder.at(runtimeFiles.state);
    const text = (await folder.read(runtimeFiles.state))?.toString();
    let state = prepareState(text, { admins, login });
    if (state === undefined) {
      const aside = `${file}.unreadable-${String(Date.now())}`;
      await rename(file, aside);
      log.error(
        { event: 'state set aside', file: aside },
        `${file} is not the state of dynamic security any more. It was set aside as ${aside}, and nobody has rights until the issuing CA has compared the broker with the fleet, which it does now.`,
      );
      state = prepareState(undefined, { admins, login });
    }
    await folder.put(runtimeFiles.state, state ?? '');
  }
}

// A function, so that the compiler does not take the earlier check of a value that changes for a fact.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Each connection takes one. Linux only; elsewhere there is nothing to read. */
async function describeFiles(pid: number | undefined): Promise<string> {
  const limits = await readFile(`/proc/${String(pid)}/limits`, 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined ? '' : `, may open ${soft} files`;
}
