// Shares of what is bounded, between addresses.
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FairShare } from '../src/fair-share.ts';
import { createFairWork } from '../src/fair-work.ts';
import { peerKeyOf } from '../src/peer-address.ts';
import { createRefusalLog } from '../src/refusal-log.ts';

describe('the key of a peer', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, ''],
  ])('is the address, or the /64 of IPv6: %s', (ip, key) => {
    expect(peerKeyOf(ip)).toBe(key);
  });
});

describe('a fair share', () => {
  const build = (most: number) => {
    const ended: { name: string }[] = [];
    return { ended, share: new FairShare<{ name: string }>({ most, end: (h) => ended.push(h) }) };
  };
  const holder = (name: string) => ({ name });

  it('gives one address everything while nobody else comes', () => {
    const { share, ended } = build(100);
    for (let i = 0; i < 100; i++) expect(share.take('plant', holder(String(i)))).toBe(true);
    expect(share.take('plant', holder('one more'))).toBe(false);
    expect([share.total, ended]).toEqual([100, []]);
  });

  it('takes the oldest from who has most, down to equal parts and no further', () => {
    const { share, ended } = build(10);
    for (let i = 0; i < 10; i++) share.take('flood', holder(`f${String(i)}`));
    for (let i = 0; i < 5; i++) expect(share.take('device', holder(`d${String(i)}`))).toBe(true);
    expect(ended.map(({ name }) => name)).toEqual(['f0', 'f1', 'f2', 'f3', 'f4']);
    expect(share.take('device', holder('d5'))).toBe(false);
    expect(share.take('flood', holder('f10'))).toBe(false);
    expect(share.take('third', holder('t'))).toBe(true);
  });

  it('spares those who proved who they are while the same address has others', () => {
    const { share, ended } = build(3);
    const station = holder('station');
    share.take('nat', station);
    share.take('nat', holder('a'));
    share.take('nat', holder('b'));
    share.prove(station);
    share.take('x', holder('x'));
    expect(ended.map(({ name }) => name)).toEqual(['a']);
  });

  it('counts weights, and gives back what was released, once', () => {
    const { share, ended } = build(100);
    const big = holder('big');
    expect(share.take('a', big, 90)).toBe(true);
    expect(share.take('b', holder('small'), 20)).toBe(true);
    expect(ended).toEqual([big]);
    share.release(big);
    expect(share.total).toBe(20);
    expect(share.take('c', holder('too big'), 101)).toBe(false);
  });
});

describe('work for strangers', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const asked = (work: ReturnType<typeof createFairWork>, ip: string, times: number): number => {
    let admitted = 0;
    for (let i = 0; i < times; i++) {
      try {
        work.admit(ip);
        admitted++;
      } catch (error) {
        expect((error as { code?: string }).code).toBe('RATE_LIMITED');
      }
    }
    return admitted;
  };

  it('is not limited while the process has time, nor for one who is alone', () => {
    let load = 0.5;
    const work = createFairWork(() => load);
    asked(work, '192.0.2.1', 10_000);
    work.count('192.0.2.2');
    vi.advanceTimersByTime(1000);
    expect(asked(work, '192.0.2.1', 10_000)).toBe(10_000);
    load = 1;
    vi.advanceTimersByTime(1000);
    expect(asked(work, '192.0.2.1', 10_000)).toBe(10_000);
    work.close();
  });

  it('leaves a quarter to others once they wait, and never refuses one who asks for little', () => {
    const work = createFairWork(() => 1);
    asked(work, '192.0.2.1', 10_000);
    asked(work, '192.0.2.2', 3);
    vi.advanceTimersByTime(1000);
    const admitted = asked(work, '192.0.2.1', 10_000);
    expect(admitted).toBeGreaterThan(7000);
    expect(admitted).toBeLessThan(8000);
    expect(asked(work, '192.0.2.2', 50)).toBe(50);
    work.close();
  });
});

describe('the log of refusals', () => {
  it('writes some each minute and says how many more there were; strangers hide nobody else', () => {
    const lines: string[] = [];
    const counted: string[] = [];
    let now = 0;
    const refusals = createRefusalLog({
      log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
      clock: { now: () => now },
      count: (code) => counted.push(code),
    });
    for (let i = 0; i < 100_000; i++) refusals.write('stranger', { code: 'NOT_FOUND' }, 'no');
    refusals.write('caller', { code: 'FORBIDDEN' }, 'forbidden');
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toContain('forbidden');
    now = 60_000;
    refusals.write('stranger', { code: 'NOT_FOUND' }, 'no');
    expect(lines).toHaveLength(23);
    expect(JSON.parse(lines.at(-2) ?? '')).toMatchObject({ count: 99_980 });
  });
});
