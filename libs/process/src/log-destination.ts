// Where log lines go: standard output, at once. A disk that is full loses lines, and nothing but lines.
import { pino, type DestinationStream } from 'pino';

/** Lines that wait while they can't be written; more are dropped. */
const mostWaitingBytes = 256 * 1024;

export function openLogDestination(): DestinationStream {
  const destination = pino.destination({ dest: 1, sync: true, maxLength: mostWaitingBytes });
  // Without somebody who listens, a failed write would end the process.
  destination.on('error', () => undefined);
  // Written at once already; asked to flush, it tries for ever, and everything else with it.
  destination.flushSync = () => undefined;
  return destination;
}
