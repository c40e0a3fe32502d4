// How long something the root signs may last: given in ISO 8601, within bounds that catch a slip of the finger.
import { KeylineError, parseDuration } from '@keyline/kernel';

export interface ValidityBounds {
  /** ISO 8601. */
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
