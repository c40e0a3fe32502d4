// How often each kind of caller may ask. Proved callers are counted by name, so that nobody uses up another's share; guesses by address.
import type { ServiceConfig } from '@keyline/config';
import { peerKeyOf } from '@keyline/edge';
import { hashToken, type Caller } from '@keyline/fleet';
import { KeylineError, type Clock } from '@keyline/kernel';
import type { FastifyRequest } from 'fastify';

type Peer = Pick<FastifyRequest, 'ip'>;

export interface RateLimits {
  /** One request of a proved caller. @throws {KeylineError} RATE_LIMITED */
  count(caller: Caller): void;
  /**
   * Before a token is judged: a right guess must not succeed either, once an address has made too many. A token that was right before
   * is no guess, so that nobody behind the same address can lock its holder out.
   * @throws {KeylineError} RATE_LIMITED
   */
  assertMayGuess(peer: Peer, secret: string): void;
  /** The token was right. @param tokenHash `hashToken` of it */
  proved(tokenHash: string): void;
  /** Somebody could not prove anything. @throws {KeylineError} RATE_LIMITED in place of the refusal, when it is one too many */
  countFailure(peer: Peer): void;
  /** One enrollment with a token. @throws {KeylineError} RATE_LIMITED */
  countEnrollment(tokenHash: string): void;
}

export function createRateLimits(limits: ServiceConfig['rateLimits'], clock: Clock): RateLimits {
  const failures = createLimiter(limits.anonymous, clock);
  const device = createLimiter(limits.device, clock);
  const operator = createLimiter(limits.operator, clock);
  const enroll = createLimiter(limits.enroll, clock);
  const rightTokens = new Set<string>();
  return {
    count(caller) {
      (caller.role === 'device' || caller.role === 'service' ? device : operator).count(
        `${caller.via}:${caller.name}`,
      );
    },
    assertMayGuess({ ip }, secret) {
      if (failures.isUsedUp(peerKeyOf(ip)) && !rightTokens.has(hashToken(secret))) {
        throw failures.refusal();
      }
    },
    proved(tokenHash) {
      // The one that was not seen for longest gives way.
      rightTokens.delete(tokenHash);
      rightTokens.add(tokenHash);
      const [oldest] = rightTokens;
      if (rightTokens.size > mostTokens && oldest !== undefined) rightTokens.delete(oldest);
    },
    countFailure({ ip }) {
      failures.count(peerKeyOf(ip));
    },
    countEnrollment: (tokenHash) => {
      enroll.count(tokenHash);
    },
  };
}

const mostTokens = 10_000;
/** Names come from outside, so there is a bound on how many are remembered. */
const mostKeys = 50_000;

interface Limiter {
  /** @throws {KeylineError} RATE_LIMITED */
  count(key: string): void;
  /** Counts more than one, or what was done already; never throws. */
  add(key: string, amount: number): void;
  isUsedUp(key: string): boolean;
  secondsLeft(): number;
  refusal(): KeylineError;
}

export interface Limit {
  readonly requests: number;
  /** Milliseconds. */
  readonly window: number;
  /** How many keys are told apart. */
  readonly keys?: number;
}

/**
 * Counts per key in windows that all keys share: one number each, and nothing to clean up but the whole.
 *
 * When there are too many keys, those that asked for least are forgotten, and whoever is not remembered counts as having asked for as much
 * as they had: nobody is ever counted too low, so nobody gets another's limit, or their own, counted anew by coming from many addresses.
 */
export function createLimiter({ requests, window, keys = mostKeys }: Limit, clock: Clock): Limiter {
  const counts = new Map<string, number>();
  let floor = 0;
  let windowEnd = 0;

  function turn(): void {
    const now = clock.now();
    // Also when the clock was set back by more than a window.
    if (now >= windowEnd || now < windowEnd - window) {
      counts.clear();
      floor = 0;
      windowEnd = now + window;
    }
  }

  const secondsLeft = (): number => Math.max(1, Math.ceil((windowEnd - clock.now()) / 1000));

  /** All above the floor, so the floor rises each time, and this is done `requests` times in a window at most. */
  function forgetLeast(): void {
    let least = Infinity;
    for (const count of counts.values()) if (count < least) least = count;
    floor = least;
    for (const [key, count] of counts) if (count === least) counts.delete(key);
  }

  function add(key: string, amount: number): number {
    turn();
    const before = counts.get(key);
    // With the floor at the limit, whoever is not remembered is refused: there is nothing more to tell apart.
    if (before === undefined && counts.size >= keys && floor < requests) forgetLeast();
    const count = (before ?? floor) + amount;
    if (before !== undefined || counts.size < keys) counts.set(key, count);
    return count;
  }

  function refusal(): KeylineError {
    const seconds = secondsLeft();
    return new KeylineError(
      'RATE_LIMITED',
      `More than ${String(requests)} requests in ${String(window / 1000)} s. Try again in ${String(seconds)} s.`,
      { context: { retryAfterSeconds: seconds } },
    );
  }

  return {
    refusal,
    secondsLeft,
    add,
    isUsedUp(key) {
      turn();
      return (counts.get(key) ?? floor) >= requests;
    },
    count(key) {
      if (add(key, 1) > requests) throw refusal();
    },
  };
}
