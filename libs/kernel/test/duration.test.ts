import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Duration,
  encodeDuration,
  formatDuration,
  formatInstant,
  parseDuration,
} from '../src/index.ts';

describe('an ISO 8601 duration', () => {
  it.each([
    ['P90D', Duration.days(90)],
    ['PT10M', Duration.minutes(10)],
    ['P1Y', Duration.days(365)],
    ['P2M', Duration.days(60)],
    ['P1W', Duration.days(7)],
    [
      'P1DT2H3M4S',
      Duration.days(1) + Duration.hours(2) + Duration.minutes(3) + Duration.seconds(4),
    ],
    ['PT0S', 0],
  ])('%s is %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it('comes back from its text, whatever parts it has', () => {
    const part = (max: number) => fc.option(fc.integer({ min: 0, max }), { nil: undefined });
    const parts = fc.record({
      Y: part(9999),
      Mo: part(99_999),
      W: part(99_999),
      D: part(999_999),
      H: part(999_999),
      M: part(9_999_999),
      S: part(999_999_999),
    });
    fc.assert(
      fc.property(parts, ({ Y, Mo, W, D, H, M, S }) => {
        const say = (value: number | undefined, unit: string): string =>
          value === undefined ? '' : `${value}${unit}`;
        const date = say(Y, 'Y') + say(Mo, 'M') + say(W, 'W') + say(D, 'D');
        const time = say(H, 'H') + say(M, 'M') + say(S, 'S');
        fc.pre(date + time !== '');
        const milliseconds = parseDuration(`P${date}${time === '' ? '' : `T${time}`}`);
        const days = (Y ?? 0) * 365 + (Mo ?? 0) * 30 + (W ?? 0) * 7 + (D ?? 0);
        const seconds = days * 86_400 + (H ?? 0) * 3600 + (M ?? 0) * 60 + (S ?? 0);
        expect(milliseconds).toBe(seconds * 1000);
        expect(Number.isSafeInteger(milliseconds)).toBe(true);
      }),
    );
  });

  it.each([
    '',
    'P',
    'PT',
    'P1DT',
    '90D',
    'P-1D',
    'P1.5D',
    'p1d',
    'P1D ',
    'P1H',
    'PT1D',
    'P1D1Y',
    'P12345Y',
    'P1D\n',
  ])('is not %j: REQUEST_INVALID', (text) => {
    expect(() => parseDuration(text)).toThrow(/^REQUEST_INVALID/);
  });

  it('is refused with REQUEST_INVALID and nothing else, however strange the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
        try {
          expect(parseDuration(text)).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
        }
      }),
    );
  });
});

describe('a duration as people write it', () => {
  it.each([
    ['90d', Duration.days(90)],
    ['10m', Duration.minutes(10)],
    ['1y', Duration.days(365)],
    ['2w', Duration.days(14)],
    ['1h30m', Duration.minutes(90)],
    ['1y2w3d4h5m6s', ((365 + 17) * 24 + 4) * 3_600_000 + 306_000],
    ['12d 3h', Duration.hours(12 * 24 + 3)],
    ['0s', 0],
  ])('%s is %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each([
    '30',
    '30D',
    '1mo',
    '-1d',
    '1.5d',
    '1h1d',
    '1d1d',
    ' 1d',
    '1d ',
    '1d  3h',
    '30 days',
    '12345y',
  ])('is not %j: REQUEST_INVALID, with what to write', (text) => {
    expect(() => parseDuration(text)).toThrow(/^REQUEST_INVALID.*90d, 12h, 10m \(minutes\)/);
  });

  it('may be typed as it was printed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e12 }), (milliseconds) => {
        const printed = formatDuration(milliseconds);
        expect(formatDuration(parseDuration(printed))).toBe(printed);
      }),
    );
  });
});

it('comes back from what is written exactly, in whole seconds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (seconds) => {
      expect(parseDuration(encodeDuration(seconds * 1000))).toBe(seconds * 1000);
    }),
  );
  expect(encodeDuration(65_535_000)).toBe('18h12m15s');
});

describe('a duration for people', () => {
  it.each([
    [0, '0s'],
    [999, '0s'],
    [Duration.seconds(59), '59s'],
    [Duration.minutes(4) + Duration.seconds(10), '4m 10s'],
    [Duration.days(12) + Duration.hours(3) + Duration.minutes(59), '12d 3h'],
    [-Duration.hours(2), '-2h'],
  ])('%d milliseconds read %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  it('says at most two units, which are never more than it is', () => {
    const sizes: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e13 }), (milliseconds) => {
        const words = formatDuration(milliseconds).split(' ');
        expect(words.length).toBeLessThanOrEqual(2);
        const said = words.map((word) => Number.parseInt(word, 10) * sizes[word.slice(-1)]!);
        const total = said.reduce((sum, one) => sum + one);
        expect(total).toBeLessThanOrEqual(milliseconds);
        expect(milliseconds - total).toBeLessThan(Math.max(1000, said[0]!));
      }),
    );
  });
});

it('writes an instant as RFC 3339 UTC, with a fraction only when there is one', () => {
  expect(formatInstant(Date.UTC(2026, 10, 24, 16))).toBe('2026-11-24T16:00:00Z');
  expect(formatInstant(Date.UTC(2026, 10, 24, 16) + 5)).toBe('2026-11-24T16:00:00.005Z');
});
