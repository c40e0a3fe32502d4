// What is said to be in force: only what was seen to be refused.
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Verdict } from '../src/mosquitto/canary.ts';
import { CrlEvidence, type WrittenCrls } from '../src/mosquitto/crl-evidence.ts';

function file(number: bigint): WrittenCrls {
  const crl = { name: 'a.crl', number, thisUpdate: 0, nextUpdate: 1, revoked: 0 };
  return { crls: [crl], canary: { cert: String(number), key: '' } };
}

describe('a CRL', () => {
  let verdict: Verdict;
  let tried: string[];
  const onInForce = vi.fn();
  const onNotRead = vi.fn();
  let evidence: CrlEvidence;
  const numbers = (): bigint[] => evidence.crls.map(({ number }) => number);
  const advance = (milliseconds: number): Promise<unknown> =>
    vi.advanceTimersByTimeAsync(milliseconds);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
    verdict = 'let in';
    tried = [];
    vi.clearAllMocks();
    evidence = new CrlEvidence({
      tryCanary: ({ cert }) => {
        tried.push(cert);
        return Promise.resolve(verdict);
      },
      onInForce,
      onNotRead,
      log: pino({ level: 'silent' }),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('that was written and told is not in force until its canary is refused', async () => {
    evidence.written(file(1n));
    expect(evidence.isWaiting).toBe(true);
    await advance(1000);
    expect(tried).toEqual([]);
    evidence.told();
    await advance(1000);
    expect(numbers()).toEqual([]);
    verdict = 'unclear';
    await advance(1000);
    expect(numbers()).toEqual([]);
    expect(evidence.isWaiting).toBe(true);
    verdict = 'refused';
    await advance(1000);
    expect(numbers()).toEqual([1n]);
    expect(evidence.isWaiting).toBe(false);
    expect(onInForce).toHaveBeenCalledOnce();
    expect(onNotRead).not.toHaveBeenCalled();
  });

  it('stays in force while the next is on its way, which is tried by its own canary', async () => {
    verdict = 'refused';
    evidence.written(file(1n));
    evidence.told();
    await advance(1000);
    evidence.written(file(2n));
    expect(numbers()).toEqual([1n]);
    expect(evidence.isWaiting).toBe(true);
    verdict = 'let in';
    evidence.told();
    await advance(1000);
    expect(numbers()).toEqual([1n]);
    evidence.written(file(3n));
    evidence.told();
    verdict = 'refused';
    await advance(1000);
    expect(numbers()).toEqual([3n]);
    expect(tried.at(-1)).toBe('3');
  });

  it('that Mosquitto does not read although it serves is told of once more, another way', async () => {
    evidence.written(file(1n));
    evidence.told();
    await advance(20_000);
    expect(onNotRead).toHaveBeenCalledOnce();
    expect(numbers()).toEqual([]);
  });

  it('is not known to be in force after Mosquitto ended, until it is tried again', async () => {
    verdict = 'refused';
    evidence.written(file(1n));
    evidence.told();
    await advance(1000);
    evidence.forget();
    expect(numbers()).toEqual([]);
    expect(evidence.isWaiting).toBe(true);
    evidence.told();
    await advance(1000);
    expect(numbers()).toEqual([1n]);
  });
});
