// What Mosquitto keeps for a name that was disabled: its session, with what is queued for it. Whoever gets the name anew, with another key,
// shall not read what was meant for who had it before; so the session is taken over by the supervisor, and ended.
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';

interface SessionPurgeOptions {
  /** Ends the session of a client id and forgets what is kept of it. */
  readonly discard: (clientId: string) => Promise<void>;
  readonly isReady: () => boolean;
  readonly log: Logger;
}

const retryEvery = 1000;
/** Client ids are names there, and a device's has no spaces. */
const disabledPattern = /^dynsec: .* \| disableClient \| username=(?<name>[^\s|]+)$/;

export class SessionPurge {
  readonly #options: SessionPurgeOptions;
  readonly #names = new Set<string>();
  #turn: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: SessionPurgeOptions) {
    this.#options = options;
  }

  /** A line of its log. */
  read(line: string): void {
    const name = disabledPattern.exec(line)?.groups?.['name'];
    if (name === undefined) return;
    this.#names.add(name);
    this.wake();
  }

  /** Mosquitto can be asked now. What it kept over a restart is still there. */
  wake(): void {
    clearTimeout(this.#retry);
    if (!this.#options.isReady() || this.#names.size === 0) return;
    this.#turn ??= this.#work().finally(() => {
      this.#turn = undefined;
      if (this.#names.size > 0) this.#retry = setTimeout(() => this.wake(), retryEvery).unref();
    });
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#names.clear();
  }

  async #work(): Promise<void> {
    const { discard, isReady, log } = this.#options;
    for (const name of this.#names) {
      if (!isReady()) return;
      try {
        await discard(name);
        this.#names.delete(name);
      } catch (error) {
        log.warn(
          { event: 'session not discarded', certificate: { cn: name } },
          `Mosquitto did not give up what it keeps for "${name}", and is asked again: ${messageOf(error)}`,
        );
        return;
      }
    }
  }
}
