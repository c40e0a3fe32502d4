// The edge of what one peer can break: whatever is thrown while it is served ends that peer, is counted and logged, and nobody else
// notices. The process goes on, because what a peer sends is no reason to stop serving the others.
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import type { Metrics } from './metrics.ts';

interface Peer {
  destroy(): unknown;
}

/** @param where label of the metric: one of few words, never something that came from the peer */
export type Boundary = (where: string, peer: Peer, work: () => void) => void;

const linesPerWindow = 20;
const windowMilliseconds = 1000;

export function createBoundary(options: {
  readonly metrics: Pick<Metrics, 'faults'>;
  readonly log: Logger;
}): Boundary {
  const { metrics, log } = options;
  let windowStart = 0;
  let lines = 0;
  return (where, peer, work) => {
    try {
      work();
    } catch (error) {
      metrics.faults.inc({ where });
      try {
        peer.destroy();
      } catch {
        // What is left of it ends with its socket.
      }
      const now = performance.now();
      if (now - windowStart >= windowMilliseconds) {
        windowStart = now;
        lines = 0;
      }
      lines += 1;
      // A fault that a peer can cause, it can cause often.
      if (lines > linesPerWindow) return;
      log.error(
        {
          event: 'fault contained',
          where,
          error: messageOf(error).slice(0, 500),
          stack: error instanceof Error ? error.stack?.slice(0, 2000) : undefined,
        },
        'serving one peer failed: that peer was cut, everybody else goes on',
      );
    }
  };
}
