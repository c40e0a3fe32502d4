// Times as people read them: date and minute in UTC, and how far away.
import { formatDuration } from '@keyline/kernel';

/** `2026-11-24 16:00` (UTC); `-` for none. */
export function formatTime(timestamp: string | null | undefined): string {
  if (timestamp === null || timestamp === undefined) return '-';
  const instant = Date.parse(timestamp);
  if (Number.isNaN(instant)) return timestamp;
  return new Date(instant).toISOString().slice(0, 16).replace('T', ' ');
}

/** `2026-11-24 16:00:05` (UTC): what happened to one thing, where two may be within a minute. */
export function formatSecond(timestamp: string): string {
  return formatExactTime(timestamp).replace(/\.\d+$/, '');
}

/** `2026-11-24 16:00:05.123` for effects that follow each other within milliseconds. */
export function formatExactTime(timestamp: string): string {
  const instant = Date.parse(timestamp);
  if (Number.isNaN(instant)) return timestamp;
  return new Date(instant).toISOString().replace('T', ' ').replace('Z', '');
}

/** `2026-11-24 16:00 (in 12d 3h)`, `… (4m 10s ago)`; the far end of time has no distance. */
export function formatTimeAndDistance(timestamp: string | null, now: number): string {
  if (timestamp === null) return '-';
  const instant = Date.parse(timestamp);
  if (Number.isNaN(instant) || new Date(instant).getUTCFullYear() === 9999)
    return formatTime(timestamp);
  const distance = instant - now;
  const words = formatDuration(Math.abs(distance));
  return `${formatTime(timestamp)} (${distance < 0 ? `${words} ago` : `in ${words}`})`;
}

/** When a certificate ends: `2026-11-24 16:00 (in 12d 3h)`, `… (expired 4m 10s ago)`. */
export function formatEnd(timestamp: string | null, now: number): string {
  const text = formatTimeAndDistance(timestamp, now);
  return text.endsWith(' ago)') ? text.replace(' (', ' (expired ') : text;
}
