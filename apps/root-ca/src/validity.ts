// How long something the root signs may last: given as 20y, within bounds that catch a slip of the finger.
import { formatInstant, KeylineError, parseDuration } from '@keyline/kernel';
import { endOfTime } from '@keyline/pki';

export interface ValidityBounds {
  /** Durations. */
  readonly least: string;
  readonly most: string;
}

/** Milliseconds. @throws {KeylineError} REQUEST_INVALID, VALIDITY_NOT_ALLOWED */
export function parseValidity(text: string, { least, most }: ValidityBounds): number {
  const validity = parseDuration(text);
  if (validity >= parseDuration(least) && validity <= parseDuration(most)) return validity;
  throw new KeylineError(
    'VALIDITY_NOT_ALLOWED',
    `--validity ${text} is out of bounds: from ${least} to ${most}. Nothing was done.`,
  );
}

const noEnd: ReadonlySet<string> = new Set(['9999-12-31', '9999-12-31T23:59:59Z']);

/**
 * The same for a certificate, which may also have no well-defined end: 9999-12-31 (RFC 5280 §4.1.2.5), for an authority of IDevIDs
 * (IEEE 802.1AR), which devices keep for life.
 * @returns milliseconds from `now`
 * @throws {KeylineError} REQUEST_INVALID, VALIDITY_NOT_ALLOWED
 */
export function parseLifetime(text: string, bounds: ValidityBounds, now: number): number {
  return noEnd.has(text) ? endOfTime - now : parseValidity(text, bounds);
}

/** What a person is told of an end that is not the one asked for. Epoch milliseconds. */
export function describeShortening(asked: number, end: number): string | undefined {
  // Whole seconds are written.
  if (asked - end < 1000) return undefined;
  return `${formatInstant(asked)} was asked for; a root ends before`;
}
