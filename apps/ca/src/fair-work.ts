// How much of the process strangers may keep busy. Nobody is limited while it has time, nor while nobody else calls.
import { performance } from 'node:perf_hooks';
import { peerKeyOf } from '@keyline/edge';
import { KeylineError } from '@keyline/kernel';

export interface FairWork {
  /** Somebody who proved who they are, and so is not limited here. */
  count(ip: string): void;
  /** A stranger's request, before anything is done for it. @throws {KeylineError} RATE_LIMITED */
  admit(ip: string): void;
  close(): void;
}

/** From here on there is a queue that others wait in. */
const busyFrom = 0.85;
/** Of a process's time, for addresses that ask for much; the rest is for everybody else. */
const shareOfHeavy = 0.75;
/** An address that asks for this part of what one process can do asks for much. */
const heavyFrom = 1 / 16;
/** Requests of one address in a second that are never refused here. */
const least = 50;
const mostKeys = 50_000;

/** @param readLoad share of the time since it was last asked that the process was busy, 0 to 1 */
export function createFairWork(readLoad: () => number = createLoadMeter()): FairWork {
  let counts = new Map<string, number>();
  let total = 0;
  let limit = Infinity;

  function tick(): void {
    const load = readLoad();
    const capacity = total / Math.max(load, 0.01);
    let heavy = 0;
    for (const count of counts.values()) if (count >= capacity * heavyFrom) heavy++;
    limit =
      load >= busyFrom && counts.size > 1
        ? Math.max(least, (capacity * shareOfHeavy) / Math.max(1, heavy))
        : Infinity;
    counts = new Map();
    total = 0;
  }
  const timer = setInterval(tick, 1000);
  timer.unref();

  function count(key: string): number {
    total++;
    const had = counts.get(key) ?? 0;
    if (had > 0 || counts.size < mostKeys) counts.set(key, had + 1);
    return had + 1;
  }

  return {
    count: (ip) => void count(peerKeyOf(ip)),
    admit(ip) {
      if (count(peerKeyOf(ip)) <= limit) return;
      throw new KeylineError(
        'RATE_LIMITED',
        'This address asks for more than its share while others wait. Try again in a second.',
        { context: { retryAfterSeconds: 1 } },
      );
    },
    close: () => {
      clearInterval(timer);
    },
  };
}

function createLoadMeter(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
