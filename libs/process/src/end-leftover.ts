// A process of an earlier supervisor, which was killed, holds ports and files: it is ended first.
import { setTimeout as sleep } from 'node:timers/promises';

const pause = 20;

/**
 * SIGTERM, and SIGKILL when that does not help. Answers when it is gone.
 * @param given.isOurs whether the process of that id still is what it was: ids are given anew
 * @param given.signal may be sent to one that has just ended
 * @param given.patience milliseconds
 */
export async function endLeftover(given: {
  readonly isOurs: () => Promise<boolean>;
  readonly signal: (name: 'SIGTERM' | 'SIGKILL') => unknown;
  readonly patience: number;
}): Promise<void> {
  const { isOurs, signal, patience } = given;
  signal('SIGTERM');
  const deadline = performance.now() + patience;
  while (await isOurs()) {
    if (performance.now() > deadline) signal('SIGKILL');
    await sleep(pause);
  }
}
