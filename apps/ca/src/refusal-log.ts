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
/** Reasons that a summary names. */
const mostReasons = 10;

export function createRefusalLog(options: {
  readonly log: FastifyBaseLogger;
  readonly clock: Clock;
  readonly count: (code: string) => void;
}): RefusalLog {
  const { log, clock } = options;
  const left = new Map<
    RefusalKind,
    { lines: number; suppressed: Map<string, number>; until: number }
  >();
  function summarize(kind: RefusalKind, suppressed: ReadonlyMap<string, number>): void {
    const count = [...suppressed.values()].reduce((sum, each) => sum + each, 0);
    const reasons = [...suppressed].map(([why, each]) => `${String(each)} × ${why}`).join(', ');
    log.warn(
      { kind, count, reasons: Object.fromEntries(suppressed) },
      `${String(count)} further refusals (${kind}) within a minute are not written down: ${reasons}. keyline_refusals_total counts them all.`,
    );
  }
  return {
    count: options.count,
    write(kind, fields, text) {
      const now = clock.now();
      let window = left.get(kind);
      // Also when the clock was set back.
      if (window === undefined || now >= window.until || now < window.until - minute) {
        if (window !== undefined && window.suppressed.size > 0) summarize(kind, window.suppressed);
        window = { lines: 0, suppressed: new Map(), until: now + minute };
        left.set(kind, window);
      }
      if (window.lines >= linesEachMinute[kind]) {
        const { code, reason } = fields;
        const why = [code, reason].find((one) => typeof one === 'string') ?? 'others';
        const { suppressed } = window;
        const key = suppressed.has(why) || suppressed.size < mostReasons ? why : 'others';
        suppressed.set(key, (suppressed.get(key) ?? 0) + 1);
        return;
      }
      window.lines++;
      log[kind === 'fault' ? 'error' : 'info'](fields, text);
    },
  };
}
