// Keeps one Mosquitto running: starts it on prepared state, starts it again when it dies or hangs, and restarts it when it is told to.
import { readFile, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { KeylineError, messageOf } from '@keyline/kernel';
import {
  defaultRestartPaces,
  KeepRunning,
  type Ending,
  type RunningProcess,
} from '@keyline/process';
import type { Verdict } from './canary.ts';
import { ControlLine } from './control-line.ts';
import { createLogin, prepareState } from './dynsec-file.ts';
import type { InstalledMosquitto } from './find-mosquitto.ts';
import { LogLines, type ConnectedClient } from './log-lines.ts';
import { startMosquitto, stopPatience } from './mosquitto-process.ts';
import type { Limits } from '../options.ts';
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
  /** For what is said of its log. */
  readonly limits: Pick<Limits, 'maxPacketSize'>;
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

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #lines: LogLines;
  readonly #guard: StrangerGuard;
  readonly #purge: SessionPurge;
  readonly #keeper: KeepRunning;
  readonly #hangs: NodeJS.Timeout;
  #control: ControlLine | undefined;
  #hangUpDue = false;
  #isHung = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { paces, log } = options;
    this.#keeper = new KeepRunning({
      paces: {
        ...defaultRestartPaces,
        shortest: paces.backOff,
        longest: paces.longestBackOff,
      },
      stopPatience,
      launch: (started) => this.#launch(started),
      onEnded: (ended) => this.#onEnded(ended),
      onNotStarted: (error) => {
        log.error({ event: 'mosquitto not started', error: messageOf(error) }, messageOf(error));
      },
    });
    this.#hangs = setInterval(() => {
      this.#endHung();
    }, 5000);
    this.#hangs.unref();
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
    this.#lines = new LogLines(
      options.log,
      {
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
      },
      options.limits,
    );
  }

  get isServing(): boolean {
    return this.#control?.isOpen ?? false;
  }

  get pid(): number | undefined {
    return this.#keeper.running?.pid;
  }

  /** Answers when it serves. @throws {KeylineError} INTERNAL with the end of its log */
  start(): Promise<void> {
    return this.#keeper.start();
  }

  /** Tells it to read its files again; one that is still starting, when it serves: before, the signal would end it. */
  hangUp(): void {
    this.#hangUpDue = this.#control === undefined;
    if (this.#hangUpDue) return;
    this.#keeper.running?.signal('SIGHUP');
    // It looks at its signals when something wakes it, else up to 100 ms later: time for a session to go offline.
    this.#control?.send([{ command: 'getDefaultACLAccess' }]).catch(() => undefined);
  }

  /** @param reason a sentence's beginning, for the log */
  restart(reason: string): void {
    if (this.#keeper.running === undefined || this.#keeper.isStopping) return;
    this.#options.log.warn(
      { event: 'restarting', reason },
      `${reason}: restarting Mosquitto to make it known`,
    );
    void this.#keeper.restart();
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
    clearInterval(this.#hangs);
    this.#guard.reset();
    this.#purge.stop();
    await this.#control?.close();
    await this.#keeper.stop();
    await rm(this.#options.pidFile, { force: true });
    await rm(this.#options.folder.at(runtimeFiles.control), { force: true });
  }

  async #launch(started: (running: RunningProcess) => void): Promise<void> {
    const { mosquitto, leash, folder, pidFile, log, events } = this.#options;
    const login = createLogin();
    await this.#prepareState(login);
    this.#takeHangUp();
    this.#guard.reset();
    events.onStarting();
    this.#isHung = false;
    const running = startMosquitto({
      ...{ program: mosquitto.program, leash, folder, pidFile, lines: this.#lines },
    });
    started(running);
    await running.remember().catch((error: unknown) => {
      log.warn({ event: 'pid not written', error: messageOf(error) }, messageOf(error));
    });
    const control = await ControlLine.create({ folder, login, onFigures: events.onFigures });
    const timeout = new AbortController();
    const late = sleep(startTimeout, `not serving after ${String(startTimeout / 1000)} s`, {
      signal: timeout.signal,
    });
    late.catch(() => undefined);
    const ended = running.ended.then(({ how }) => how);
    const how = await Promise.race([control.opened().catch(messageOf), ended, late]);
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

  async #onEnded(ended: {
    readonly ending: Ending;
    readonly delay: number;
    readonly isAsked: boolean;
  }): Promise<void> {
    const { log, events } = this.#options;
    const { ending, delay, isAsked } = ended;
    const { how } = ending;
    await this.#control?.close();
    this.#control = undefined;
    events.onRestart(isAsked ? 'asked' : this.#isHung ? 'hung' : 'crashed');
    if (isAsked) return;
    log.error(
      { event: 'mosquitto ended', how, delay },
      `Mosquitto ended (${how}); starting it again in ${String(delay / 1000)} s. The end of its log:\n${this.#lines.tail}`,
    );
  }

  #endHung(): void {
    const silence = this.#control?.silence ?? 0;
    if (silence < longestSilence || this.#isHung) return;
    this.#options.log.error(
      { event: 'mosquitto hung', silence },
      `Mosquitto has said nothing for ${String(Math.round(silence / 1000))} s; killing it`,
    );
    this.#isHung = true;
    this.#keeper.running?.signal('SIGKILL');
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

/** Each connection takes one. Linux only; elsewhere there is nothing to read. */
async function describeFiles(pid: number | undefined): Promise<string> {
  const limits = await readFile(`/proc/${String(pid)}/limits`, 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined ? '' : `, may open ${soft} files`;
}
