// How often each kind of caller may ask. Counted after the proof of identity, so that nobody uses up another's share.
import type { ServiceConfig } from '@keyline/config';
import type { Caller } from '@keyline/fleet';
import { KeylineError, type Clock } from '@keyline/kernel';
import type { FastifyRequest } from 'fastify';

export interface RateLimits {
  /** One request of a caller; undefined: somebody unproved, by address. @throws {KeylineError} RATE_LIMITED */
  count(request: Pick<FastifyRequest, 'ip'>, caller: Caller | undefined): void;
  /** One enrollment with a token. @throws {KeylineError} RATE_LIMITED */
  countEnrollment(tokenHash: string): void;
}

export function createRateLimits(limits: ServiceConfig['rateLimits'], clock: Clock): RateLimits {
  const anonymous = createLimiter(limits.anonymous, clock);
  const device = createLimiter(limits.device, clock);
  const operator = createLimiter(limits.operator, clock);
  const enroll = createLimiter(limits.enroll, clock);
  return {
    count(request, caller) {
      if (caller === undefined) anonymous(request.ip);
      else if (caller.role === 'device') device(`${caller.via}:${caller.name}`);
      else operator(`${caller.via}:${caller.name}`);
    },
    countEnrollment: enroll,
  };
}

/** Names come from outside, so there is a bound on how many are remembered. */
const mostKeys = 50_000;

/** Counts per key in windows that all keys share: one number each, and nothing to clean up but the whole. */
function createLimiter(
  { requests, window }: { readonly requests: number; readonly window: number },
  clock: Clock,
): (key: string) => void {
  const counts = new Map<string, number>();
  let windowEnd = 0;
  return (key) => {
    const now = clock.now();
    // Also when the clock was set back by more than a window.
    if (now >= windowEnd || now < windowEnd - window) {
      counts.clear();
      windowEnd = now + window;
    }
    const count = (counts.get(key) ?? 0) + 1;
    if (count === 1 && counts.size >= mostKeys) counts.clear();
    counts.set(key, count);
    if (count <= requests) return;
    const seconds = Math.ceil((windowEnd - now) / 1000);
    throw new KeylineError(
      'RATE_LIMITED',
      `More than ${String(requests)} requests in ${String(window / 1000)} s. Try again in ${String(seconds)} s.`,
      { context: { retryAfterSeconds: seconds } },
    );
  };
}
