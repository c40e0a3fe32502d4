// Durations as people write them in configuration and requests: ISO 8601 (`P90D`, `PT10M`, `P1Y`).
import { KeylineError } from './errors.ts';

const pattern =
  /^P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/;

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export const Duration = {
  seconds: (n: number): number => n * second,
  minutes: (n: number): number => n * minute,
  hours: (n: number): number => n * hour,
  days: (n: number): number => n * day,
} as const;

/**
 * ISO 8601 duration → milliseconds. A year counts 365 days and a month 30: these are lifetimes, not calendars.
 * @throws {KeylineError} REQUEST_INVALID
 */
export function parseDuration(text: string): number {
  // Groups that did not take part are undefined, which the type of a match does not say.
  const parts: readonly (string | undefined)[] = pattern.exec(text)?.slice(1) ?? [];
  if (parts.every((part) => part === undefined) || text.endsWith('T')) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${text.slice(0, 40)}" is not an ISO 8601 duration. Write for instance P90D, PT12H or PT10M.`,
    );
  }
  const [years, months, weeks, days, hours, minutes, seconds] = parts.map((part) =>
    Number(part ?? 0),
  );
  return (
    ((years ?? 0) * 365 + (months ?? 0) * 30 + (weeks ?? 0) * 7 + (days ?? 0)) * day +
    (hours ?? 0) * hour +
    (minutes ?? 0) * minute +
    (seconds ?? 0) * second
  );
}

/** Milliseconds in the two largest units a person reads: `12d 3h`, `4m 10s`, `0s`. */
export function formatDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  let rest = Math.abs(milliseconds);
  const words: string[] = [];
  for (const [size, unit] of [
    [day, 'd'],
    [hour, 'h'],
    [minute, 'm'],
    [second, 's'],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 && words.length < 2) words.push(`${count}${unit}`);
  }
  return sign + (words.join(' ') || '0s');
}
