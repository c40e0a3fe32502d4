// One log line for every refusal, saying what to fix; bounded, so that a flood of bad certificates does not become a flood of lines.
import type { Logger } from 'pino';
import type { Clock, Instant } from '@keyline/kernel';
import type { CertificateNames } from './peer-identity.ts';
import type { RefusalReason } from './refusal.ts';

export interface RefusalLine {
  /** `connection refused`, `message denied`, … */
  readonly event: string;
  readonly reason: string;
  readonly certificate: CertificateNames;
  readonly clientId?: string | undefined;
  readonly peer?: string | undefined;
  readonly topic?: string | undefined;
  readonly happened: string;
  readonly remedy: string;
  /** Whether the peer has shown that the name is its own; absent: the reason says it. */
  readonly isProven?: boolean;
}

/** What is refused before the peer has shown whose name that is, or because of that. */
const unproven: ReadonlySet<string> = new Set([
  'no-certificate',
  'unknown-ca',
  'certificate-expired',
  'certificate-not-yet-valid',
  'certificate-purpose',
  'certificate-invalid',
  'certificate-unreadable',
  'certificate-name',
  'no-login',
  'bad-login',
  'login-limit',
] satisfies RefusalReason[]);

/** Whether the name in a line is that of whoever was refused: a certificate of ours, or a password, was shown for it. */
export function isProven(line: Pick<RefusalLine, 'event' | 'reason' | 'isProven'>): boolean {
  return line.isProven ?? (line.event !== 'handshake failed' && !unproven.has(line.reason));
}

const windowLength = 1000;
/** Reasons that a summary names. */
const mostReasons = 8;
const linesPerWindow = 50;
/** Characters of what came from a peer. */
const longest = 256;

export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #windowStart: Instant = 0;
  #lines = 0;
  /** By event and reason: refusals of this window that got no line. */
  #suppressed = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #onRefusal: ((line: RefusalLine) => void) | undefined;

  /** @param onRefusal is told of each, also of those that get no line */
  constructor(log: Logger, clock: Clock, onRefusal?: (line: RefusalLine) => void) {
    this.#log = log;
    this.#clock = clock;
    this.#onRefusal = onRefusal;
  }

  write(line: RefusalLine): void {
    this.#onRefusal?.(line);
    const now = this.#clock.now();
    // Also when the clock was set back.
    if (now - this.#windowStart >= windowLength || now < this.#windowStart) {
      this.#summarize();
      this.#windowStart = now;
      this.#lines = 0;
    }
    if (this.#lines >= linesPerWindow) {
      const kind = `${line.event} (${line.reason})`;
      const isKept = this.#suppressed.has(kind) || this.#suppressed.size < mostReasons;
      const key = isKept ? kind : 'others';
      this.#suppressed.set(key, (this.#suppressed.get(key) ?? 0) + 1);
      // Also when it was the last refusal for today.
      this.#timer ??= setTimeout(() => {
        this.#summarize();
      }, windowLength).unref();
      return;
    }
    this.#lines += 1;
    const { event, happened, remedy, isProven: _known, ...fields } = line;
    const { clientId, topic } = line;
    // A line stays a line, whatever the peer calls itself.
    if (clientId !== undefined) Object.assign(fields, { clientId: clientId.slice(0, longest) });
    if (topic !== undefined) Object.assign(fields, { topic: topic.slice(0, longest) });
    this.#log.warn({ event, ...fields, remedy }, `${event}: ${happened} ${remedy}`);
  }

  #summarize(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#suppressed.size === 0) return;
    const counts = [...this.#suppressed];
    this.#suppressed = new Map();
    const count = counts.reduce((sum, [, each]) => sum + each, 0);
    const reasons = counts.map(([kind, each]) => `${String(each)} × ${kind}`).join(', ');
    this.#log.warn(
      { event: 'refusals not logged', count, reasons: Object.fromEntries(counts) },
      `${String(count)} further refusals within a second have no line of their own: ${reasons}. The metrics count them all.`,
    );
  }
}
