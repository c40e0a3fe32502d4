// Refusals in the log: counted all, written down a few each minute, so that whoever is refused often can't fill the disk.
import type { Clock } from '@keyline/kernel';
import type { FastifyBaseLogger } from 'fastify';

/** Of whom a line is: budgets are apart, so that strangers do not hide what callers were refused, or what failed here. */
export type RefusalKind = 'stranger' | 'caller' | 'fault';

export interface RefusalLog {
  /** Counts it, by its stable code. */
  count(code: string): void;
  write(kind: RefusalKind, fields: Readonly<Record<string, unknown>>, text: string): void;
}

const linesEachMinute: Readonly<Record<RefusalKind, number>> = {
  stranger: 20,
  caller: 60,
  fault: 60,
};
const minute = 60_000;

export function createRefusalLog(options: {
  readonly log: FastifyBaseLogger;
  readonly clock: Clock;
  readonly count: (code: string) => void;
}): RefusalLog {
  const { log, clock } = options;
  const left = new Map<RefusalKind, { lines: number; suppressed: number; until: number }>();
  return {
    count: options.count,
    write(kind, fields, text) {
      const now = clock.now();
      let window = left.get(kind);
      // Also when the clock was set back.
      if (window === undefined || now >= window.until || now < window.until - minute) {
        if (window !== undefined && window.suppressed > 0) {
          log.warn(
            { kind, count: window.suppressed },
            `${String(window.suppressed)} further refusals (${kind}) within a minute are not written down; keyline_refusals_total counts them.`,
          );
        }
        window = { lines: 0, suppressed: 0, until: now + minute };
        left.set(kind, window);
      }
      if (window.lines >= linesEachMinute[kind]) {
        window.suppressed++;
        return;
      }
      window.lines++;
      log[kind === 'fault' ? 'error' : 'info'](fields, text);
    },
  };
}
