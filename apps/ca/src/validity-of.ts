// The validity that a request asks for.
import { parseDuration } from '@keyline/kernel';

/** @param text ISO 8601; absent: what the profile gives. @returns milliseconds. @throws {KeylineError} */
export function validityOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
