// What strangers may cost while others wait, and how much of it is logged.
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFairWork } from '../src/fair-work.ts';
import { createRefusalLog } from '../src/refusal-log.ts';

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
