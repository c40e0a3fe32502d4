// What is being written and has not its name yet, so that a signal leaves none of it.
import { rmSync } from 'node:fs';

/** Absolute paths of files and folders. */
export const unfinished = new Set<string>();

/** Takes away what is half written, before the process ends by a signal. */
export function removeUnfinished(): void {
  for (const path of unfinished) rmSync(path, { force: true, recursive: true });
}
