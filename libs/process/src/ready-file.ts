// By which a process says that it serves: there while it does, and whole when it is there.
import { setTimeout as sleep } from 'node:timers/promises';
import { readTextIfThere, removeFile, replaceFile } from '@keyline/files';

const poll = 25;

/** @param file undefined: nobody asked for one. @throws {KeylineError} FILE_UNREADABLE */
export async function sayReady(file: string | undefined, text = 'ready'): Promise<void> {
  if (file !== undefined) await replaceFile(file, `${text}\n`);
}

/** For before a start and from the first moment of a stop. */
export async function takeBackReady(file: string | undefined): Promise<void> {
  if (file !== undefined) await removeFile(file);
}

/**
 * @param given.isOver asked again and again: then there is nothing to wait for any more
 * @returns whether the file came
 * @throws the signal's reason
 */
export async function awaitReady(
  file: string,
  given: { readonly isOver: () => boolean; readonly signal: AbortSignal },
): Promise<boolean> {
  while ((await readTextIfThere(file, 'the ready file')) === undefined) {
    given.signal.throwIfAborted();
    if (given.isOver()) return false;
    await sleep(poll);
  }
  return true;
}
