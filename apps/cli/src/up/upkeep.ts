// What `up` does again and again while everything runs: look whether something is due, do it, say so.
import { messageOf } from '@keyline/kernel';

export interface Upkeep {
  /** What can't be done when it fails: "renew the certificate of the broker". */
  readonly what: string;
  readonly everyMilliseconds: number;
  /** A sentence about what was done, undefined when nothing was due. */
  readonly run: () => Promise<string | undefined>;
}

/** Each by itself, until stopped. A failure is said once, and tried again. */
export function startUpkeep(tasks: readonly Upkeep[], say: (text: string) => void): () => void {
  const timers = tasks.map(({ what, everyMilliseconds, run }) => {
    let running = false;
    let failing = false;
    const turn = async (): Promise<void> => {
      if (running) return;
      running = true;
      try {
        const done = await run();
        if (done !== undefined) say(done);
        failing = false;
      } catch (error) {
        if (!failing) say(`could not ${what}, will try again: ${messageOf(error)}`);
        failing = true;
      }
      running = false;
    };
    const timer = setInterval(() => void turn(), everyMilliseconds);
    timer.unref();
    return timer;
  });
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
