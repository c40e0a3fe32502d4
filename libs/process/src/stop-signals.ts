// The signals that end a service.
import type { EventEmitter } from 'node:events';

/**
 * Aborted, with the signal's name as its reason, by the first SIGTERM or SIGINT. The second must not end the process in the middle of
 * stopping, so it is taken, too.
 * @param process of Node
 */
export function onStopSignals(process: Pick<EventEmitter, 'on'>): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop.abort(signal);
    });
  }
  return stop.signal;
}

/** Resolves when it is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}
