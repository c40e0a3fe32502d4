// When Mosquitto is told of a new CRL, certificate or acl_file, and how: by SIGHUP where that is safe, else by a restart, and not often.
import type { Logger } from 'pino';

interface ReloadPlanOptions {
  readonly hangUpIsSafe: boolean;
  readonly hangUp: () => void;
  readonly restart: (reason: string) => void;
  /** Milliseconds between two restarts. */
  readonly restartEvery: number;
  readonly log: Logger;
}

/** Rounds of figures come every two seconds; without them nothing says that nobody is offline. */
const patience = 6000;

export class ReloadPlan {
  readonly #options: ReloadPlanOptions;
  readonly #reasons = new Set<string>();
  #isUrgent = false;
  #since = 0;
  #rounds = 0;
  #restartedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReloadPlanOptions) {
    this.#options = options;
  }

  /** Whether something on disk is not yet known to Mosquitto. */
  get isWaiting(): boolean {
    return this.#reasons.size > 0;
  }

  /** @param urgency `when-safe`: it is not worth a restart */
  request(reason: string, urgency: 'urgent' | 'when-safe'): void {
    const { hangUpIsSafe, hangUp, log } = this.#options;
    if (hangUpIsSafe) {
      hangUp();
      log.info({ event: 'reloaded', reason }, `Mosquitto was told to reload: ${reason}`);
      return;
    }
    if (!this.isWaiting) {
      this.#since = performance.now();
      this.#rounds = 0;
    }
    if (!this.#reasons.has(reason)) {
      log.info(
        { event: 'reload waits', reason, urgency },
        `${reason}: Mosquitto 2.0 is told by SIGHUP as soon as no kept session is offline${urgency === 'urgent' ? ', else by a restart' : ''}`,
      );
    }
    this.#reasons.add(reason);
    this.#isUrgent ||= urgency === 'urgent';
    if (this.#isUrgent) this.#schedule();
  }

  /** A complete round of figures came, this very moment. */
  onFigures(offlineSessions: number): void {
    if (!this.isWaiting) return;
    this.#rounds += 1;
    if (offlineSessions > 0) {
      if (this.#isUrgent) this.#schedule();
      return;
    }
    const reason = this.#take();
    this.#options.hangUp();
    this.#options.log.info(
      { event: 'reloaded', reason },
      `Mosquitto was told to reload: ${reason}`,
    );
  }

  /** Mosquitto was started and has read everything. */
  onStarted(): void {
    this.#take();
  }

  stop(): void {
    this.#take();
  }

  #schedule(): void {
    const now = performance.now();
    // One round first: it may say that nobody is offline.
    const seen = this.#rounds > 0 ? now : this.#since + patience;
    const due = Math.max(seen, this.#restartedAt + this.#options.restartEvery);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#restart();
      },
      Math.max(0, due - now),
    );
    this.#timer.unref();
  }

  #restart(): void {
    if (!this.isWaiting) return;
    const reason = this.#take();
    this.#restartedAt = performance.now();
    this.#options.restart(reason);
  }

  #take(): string {
    clearTimeout(this.#timer);
    const reason = [...this.#reasons].join(', ');
    this.#reasons.clear();
    this.#isUrgent = false;
    return reason;
  }
}
