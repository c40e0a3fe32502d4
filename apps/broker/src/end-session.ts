// A live session that the broker ends: counted, logged, and told why.
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
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
  { metrics, log }: { readonly metrics: Pick<Metrics, 'kicked' | 'faults'>; readonly log: Logger },
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
  try {
    session.end(reasonCode, reasonString);
  } catch (error) {
    // Many are ended in one go, of a timer or a change: one that fails keeps none of the others.
    metrics.faults.inc({ where: 'end' });
    log.error(
      { event: 'session not ended', clientId: session.clientId, error: messageOf(error) },
      'a session could not be ended',
    );
  }
}

/** The session of a certificate that was superseded by another, which is in use. */
export function endSuperseded(
  session: LiveSession,
  surroundings: { readonly metrics: Pick<Metrics, 'kicked' | 'faults'>; readonly log: Logger },
): void {
  const { username, identity } = session;
  endSession(
    session,
    {
      reason: 'superseded',
      message: 'session ended, because the successor of its certificate is in use',
      reasonCode: 0x87,
      reasonString: `The certificate of "${username}" (serial ${identity.serialHex}) was superseded by another, which is in use. Use that one.`,
    },
    surroundings,
  );
}
