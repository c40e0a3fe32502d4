// The validity that a request asks for.
import { parseDuration } from '@keyline/kernel';

/** @param text a duration; absent: what the profile gives. @returns milliseconds. @throws {KeylineError} */
export function validityOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
