// Counting of requests by key in a bounded memory: what is forgotten is never to the good of whoever asks.
import { hashToken } from '@keyline/fleet';
import { KeylineError } from '@keyline/kernel';
import { describe, expect, it } from 'vitest';
import { createLimiter, createRateLimits } from '../src/rate-limits.ts';

const clock = (at = { now: 1_000_000 }) => ({ at, now: () => at.now });

describe('a limiter', () => {
  it('counts each key by itself, and anew in the next window', () => {
    const time = clock();
    const limiter = createLimiter({ requests: 2, window: 1000 }, time);
    limiter.count('a');
    limiter.count('a');
    expect(() => limiter.count('a')).toThrow(KeylineError);
    limiter.count('b');
    time.at.now += 1000;
    limiter.count('a');
    expect(limiter.isUsedUp('a')).toBe(false);
  });

  it('keeps the counts of those who asked for most when strangers come by the thousand', () => {
    const limiter = createLimiter({ requests: 5, window: 1000, keys: 100 }, clock());
    for (let i = 0; i < 5; i++) limiter.count('guesser');
    for (let i = 0; i < 300; i++) limiter.add(`stranger-${String(i)}`, 1);
    expect(limiter.isUsedUp('guesser')).toBe(true);
    expect(() => limiter.count('guesser')).toThrow(KeylineError);
  });

  it('never counts a key too low, whatever was forgotten', () => {
    const limiter = createLimiter({ requests: 1000, window: 1000, keys: 8 }, clock());
    const asked = new Map<string, number>();
    // The same for each run: a walk over more keys than are kept.
    for (let i = 0; i < 2000; i++) {
      const key = `k${String((i * i + 7 * i) % 23)}`;
      asked.set(key, (asked.get(key) ?? 0) + 1);
      limiter.add(key, 1);
    }
    for (const [key, times] of asked) {
      let left = 0;
      while (!limiter.isUsedUp(key)) {
        limiter.add(key, 1);
        left++;
      }
      expect(left, key).toBeLessThanOrEqual(1000 - times);
    }
  });

  it('is closed to whoever it can not remember once everybody it knows has used up all', () => {
    const limiter = createLimiter({ requests: 3, window: 1000, keys: 4 }, clock());
    for (let i = 0; i < 20; i++) {
      for (let n = 0; n < 3; n++) limiter.add(`k${String(i)}`, 1);
    }
    expect(limiter.isUsedUp('new')).toBe(true);
  });
});

describe('a token that was right', () => {
  const limits = {
    anonymous: { requests: 1, window: 1000 },
    device: { requests: 1, window: 1000 },
    operator: { requests: 1, window: 1000 },
    enroll: { requests: 1, window: 1000 },
  };

  it('stays known while it is used, however many others are', () => {
    const rates = createRateLimits(limits, clock());
    const peer = { ip: '192.0.2.1' };
    rates.proved(hashToken('kept'));
    for (let i = 0; i < 30_000; i++) {
      rates.proved(`other-${String(i)}`);
      if (i % 5000 === 0) rates.proved(hashToken('kept'));
    }
    rates.countFailure(peer);
    rates.assertMayGuess(peer, 'kept');
    expect(() => rates.assertMayGuess(peer, 'unknown')).toThrow(KeylineError);
  });
});
