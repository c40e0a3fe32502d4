// When Mosquitto is told of a new CRL, certificate or acl_file, and how: by SIGHUP where that is safe, else by a restart, and not often.
import type { Logger } from 'pino';
import { formatDuration } from '@keyline/kernel';

interface ReloadPlanOptions {
  readonly hangUpIsSafe: boolean;
  /** Whether it is known between two rounds of figures that no session is kept for somebody who is not connected. */
  readonly noneIsOffline: () => boolean;
  readonly hangUp: () => void;
  /** Milliseconds between two SIGHUPs that do not wait for figures. */
  readonly hangUpEvery: () => number;
  readonly restart: (reason: string) => void;
  /** Milliseconds between two restarts in the long run. */
  readonly restartEvery: number;
  /** So many may follow each other at once, if there were none before. */
  readonly restartsAtOnce: number;
  readonly log: Logger;
}

/** Rounds of figures come every two seconds; without them nothing says that nobody is offline. */
const roundsWithin = 6000;
const longestTimer = 2 ** 31 - 1;

export class ReloadPlan {
  readonly #options: ReloadPlanOptions;
  readonly #reasons = new Set<string>();
  #wanted = Infinity;
  #since = 0;
  #rounds = 0;
  /** When all restarts so far would have been over, had they kept their distance. */
  #spentUntil = -Infinity;
  #hungUpAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: ReloadPlanOptions) {
    this.#options = options;
  }

  /** Whether something on disk is not yet known to Mosquitto. */
  get isWaiting(): boolean {
    return this.#reasons.size > 0;
  }

  /** @param patience milliseconds after which it is worth a restart; 0: at once */
  request(reason: string, patience: number): void {
    const { hangUpIsSafe, log } = this.#options;
    if (hangUpIsSafe) {
      this.#reasons.add(reason);
      this.#hangUp();
      return;
    }
    if (!this.isWaiting) {
      this.#since = performance.now();
      this.#rounds = 0;
    }
    const isNew = !this.#reasons.has(reason);
    this.#reasons.add(reason);
    this.#wanted = Math.min(this.#wanted, performance.now() + patience);
    this.#schedule();
    this.#tryNow();
    if (isNew && this.isWaiting) {
      log.info(
        { event: 'reload waits', reason, patience },
        `${reason}: Mosquitto 2.0 is told by SIGHUP as soon as no kept session is offline, else by a restart${patience > 0 ? ` in ${formatDuration(patience)}` : ''}`,
      );
    }
  }

  /** Without waiting for figures, when it is known that nobody is offline. */
  #tryNow(): void {
    clearTimeout(this.#soon);
    if (!this.isWaiting || !this.#options.noneIsOffline()) return;
    const left = this.#hungUpAt + this.#options.hangUpEvery() - performance.now();
    if (left <= 0) this.#hangUp();
    else {
      this.#soon = setTimeout(() => {
        this.#tryNow();
      }, left);
      this.#soon.unref();
    }
  }

  #hangUp(): void {
    const { hangUp, log } = this.#options;
    const reason = this.#take();
    this.#hungUpAt = performance.now();
    hangUp();
    log.info({ event: 'reloaded', reason }, `Mosquitto was told to reload: ${reason}`);
  }

  /** A complete round of figures came, this very moment. */
  onFigures(offlineSessions: number): void {
    if (!this.isWaiting) return;
    this.#rounds += 1;
    if (offlineSessions > 0) this.#schedule();
    else this.#hangUp();
  }

  /** Mosquitto is started, and reads everything. */
  onStarting(): void {
    this.#take();
  }

  stop(): void {
    this.#take();
  }

  #schedule(): void {
    const now = performance.now();
    // One round first: it may say that nobody is offline.
    const seen = this.#rounds > 0 ? now : this.#since + roundsWithin;
    const { restartEvery, restartsAtOnce } = this.#options;
    const allowed = this.#spentUntil - (restartsAtOnce - 1) * restartEvery;
    const due = Math.max(seen, this.#wanted, allowed);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#restart();
      },
      Math.min(Math.max(0, due - now), longestTimer),
    );
    this.#timer.unref();
  }

  #restart(): void {
    if (!this.isWaiting) return;
    if (performance.now() < this.#wanted) {
      this.#schedule();
      return;
    }
    const reason = this.#take();
    this.#spentUntil = Math.max(this.#spentUntil, performance.now()) + this.#options.restartEvery;
    this.#options.restart(reason);
  }

  #take(): string {
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
    const reason = [...this.#reasons].join(', ');
    this.#reasons.clear();
    this.#wanted = Infinity;
    return reason;
  }
}
