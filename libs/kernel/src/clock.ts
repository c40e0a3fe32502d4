// Time as a port, so that tests own it.

/** Milliseconds since the Unix epoch, UTC. */
export type Instant = number;

export interface Clock {
  now(): Instant;
}

export const systemClock: Clock = { now: () => Date.now() };

/** A clock that stands still until it is told to move. */
export class FakeClock implements Clock {
  #now: Instant;
  constructor(now: Instant) {
    this.#now = now;
  }
  now(): Instant {
    return this.#now;
  }
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

let lastInstant = Number.NaN;
let lastText = '';

/** RFC 3339 UTC without fraction when it is zero: `2026-11-24T16:00:00Z`. */
export function formatInstant(instant: Instant): string {
  // An answer says the same moment several times (created, updated, recorded).
  if (instant === lastInstant) return lastText;
  const text = new Date(instant).toISOString();
  lastText = text.endsWith('.000Z') ? `${text.slice(0, -5)}Z` : text;
  lastInstant = instant;
  return lastText;
}
