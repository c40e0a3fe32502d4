// Sessions that outlive their certificate. TLS looks at it in the handshake alone, and a certificate that nobody can revoke
// (noRevAvail, RFC 9608) has nothing but its end.
import type { Logger } from 'pino';
import { formatInstant, type Clock } from '@keyline/kernel';
import { endSession } from './end-session.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Metrics } from './metrics.ts';

interface ExpiredSessionsOptions {
  readonly sessions: Pick<LiveSessions, 'all'>;
  readonly metrics: Pick<Metrics, 'kicked' | 'faults'>;
  readonly log: Logger;
  readonly clock: Clock;
}

const lookEvery = 1000;
/** MQTT 5 DISCONNECT: not authorized. */
const notAuthorized = 0x87;

/** Ends each within a second of its certificate's end. @returns what stops it */
export function watchExpiry(options: ExpiredSessionsOptions): () => void {
  const { sessions, clock } = options;
  const timer = setInterval(() => {
    const now = clock.now();
    for (const session of sessions.all()) {
      const { notAfter, serialHex } = session.identity;
      if (notAfter >= now) continue;
      endSession(
        session,
        {
          reason: 'certificate-expired',
          message: 'session ended, because its certificate has',
          reasonCode: notAuthorized,
          reasonString: `The certificate of "${session.username}" (serial ${serialHex}) expired on ${formatInstant(notAfter)}. Renew it (POST /v1/renew, or keyline device renew) and connect again.`,
        },
        options,
      );
    }
  }, lookEvery);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
