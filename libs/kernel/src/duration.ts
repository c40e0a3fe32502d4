// Durations as people write them in configuration, requests and on command lines: `30d`, `12h`, `1h30m`; ISO 8601 (`P30D`) is taken too.
import { KeylineError } from './errors.ts';

const short =
  /^(?:(\d{1,4})y)? ?(?:(\d{1,5})w)? ?(?:(\d{1,6})d)? ?(?:(\d{1,6})h)? ?(?:(\d{1,7})m)? ?(?:(\d{1,9})s)?$/;
const iso =
  /^P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/;

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const units = [
  [day, 'd'],
  [hour, 'h'],
  [minute, 'm'],
  [second, 's'],
] as const;

export const Duration = {
  seconds: (n: number): number => n * second,
  minutes: (n: number): number => n * minute,
  hours: (n: number): number => n * hour,
  days: (n: number): number => n * day,
} as const;

/**
 * A duration → milliseconds. A year counts 365 days and a month 30: these are lifetimes, not calendars. `m` are minutes; months are
 * written in ISO 8601 only (`P1M`).
 * @throws {KeylineError} REQUEST_INVALID
 */
export function parseDuration(text: string): number {
  const [years, months, weeks, days, hours, minutes, seconds] = partsOf(text).map((part) =>
    Number(part ?? 0),
  );
  return (
    ((years ?? 0) * 365 + (months ?? 0) * 30 + (weeks ?? 0) * 7 + (days ?? 0)) * day +
    (hours ?? 0) * hour +
    (minutes ?? 0) * minute +
    (seconds ?? 0) * second
  );
}

/** Years, months, weeks, days, hours, minutes, seconds. */
function partsOf(text: string): readonly (string | undefined)[] {
  // Groups that did not take part are undefined, which the type of a match does not say.
  const [years, ...rest]: readonly (string | undefined)[] = short.exec(text)?.slice(1) ?? [];
  const isShort = [years, ...rest].some((part) => part !== undefined);
  const parts = isShort ? [years, undefined, ...rest] : (iso.exec(text)?.slice(1) ?? []);
  if (parts.every((part) => part === undefined) || text.endsWith('T') || /^ | $/.test(text)) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${text.slice(0, 40)}" is not a duration. Write for instance 90d, 12h, 10m (minutes) or 1h30m; ISO 8601 (P90D) is taken too.`,
    );
  }
  return parts;
}

/** Milliseconds in the two largest units a person reads: `12d 3h`, `4m 10s`, `0s`. */
export function formatDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  let rest = Math.abs(milliseconds);
  const words: string[] = [];
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 && words.length < 2) words.push(`${count}${unit}`);
  }
  return sign + (words.join(' ') || '0s');
}

/** Milliseconds, in whole seconds, as `parseDuration` reads them back: `18h12m15s`, `7d`, `0s`. */
export function encodeDuration(milliseconds: number): string {
  let rest = Math.floor(milliseconds / second) * second;
  let text = '';
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text || '0s';
}
