// A live session that the broker ends: counted, logged, and told why.
import type { Logger } from 'pino';
import type { LiveSession } from './live-sessions.ts';
import type { Metrics } from './metrics.ts';

interface End {
  /** Label of the metric, and in the log. */
  readonly reason: 'administrative' | 'certificate-expired' | 'no-longer-let-in' | 'superseded';
  readonly message: string;
  /** MQTT 5 DISCONNECT. */
  readonly reasonCode: number;
  readonly reasonString: string;
}

export function endSession(
  session: LiveSession,
  { reason, message, reasonCode, reasonString }: End,
  { metrics, log }: { readonly metrics: Pick<Metrics, 'kicked'>; readonly log: Logger },
): void {
  metrics.kicked.inc({ reason });
  log.info(
    {
      event: 'session ended',
      reason,
      certificate: { cn: session.username, serialHex: session.identity.serialHex },
      clientId: session.clientId,
    },
    message,
  );
  session.end(reasonCode, reasonString);
}
