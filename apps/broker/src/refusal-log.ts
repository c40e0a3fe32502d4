// One log line for every refusal, saying what to fix; bounded, so that a flood of bad certificates does not become a flood of lines.
import type { Logger } from 'pino';
import type { Clock, Instant } from '@keyline/kernel';
import type { CertificateNames } from './peer-identity.ts';

export interface RefusalLine {
  /** `connection refused`, `publish denied`, … */
  readonly event: string;
  readonly reason: string;
  readonly certificate: CertificateNames;
  readonly clientId?: string | undefined;
  readonly peer?: string | undefined;
  readonly topic?: string | undefined;
  readonly happened: string;
  readonly remedy: string;
}

const windowLength = 1000;
const linesPerWindow = 50;
/** Characters of what came from a peer. */
const longest = 256;

export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #windowStart: Instant = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  write(line: RefusalLine): void {
    const now = this.#clock.now();
    // Also when the clock was set back.
    if (now - this.#windowStart >= windowLength || now < this.#windowStart) {
      if (this.#suppressed > 0) {
        this.#log.warn(
          { event: 'refusals not logged', count: this.#suppressed },
          `${this.#suppressed} further refusals within a second are not logged; the metrics count them`,
        );
      }
      this.#windowStart = now;
      this.#lines = 0;
      this.#suppressed = 0;
    }
    if (this.#lines >= linesPerWindow) {
      this.#suppressed += 1;
      return;
    }
    this.#lines += 1;
    const { event, happened, remedy, ...fields } = line;
    const { clientId, topic } = line;
    // A line stays a line, whatever the peer calls itself.
    if (clientId !== undefined) Object.assign(fields, { clientId: clientId.slice(0, longest) });
    if (topic !== undefined) Object.assign(fields, { topic: topic.slice(0, longest) });
    this.#log.warn({ event, ...fields, remedy }, `${event}: ${happened} ${remedy}`);
  }
}
