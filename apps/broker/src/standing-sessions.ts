// Sessions that stand while what let them in changes: who would not be let in now does not stay either.
import type { Logger } from 'pino';
import type { DynsecEngine } from '@keyline/dynsec';
import { endSession, endSuperseded } from './end-session.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Metrics } from './metrics.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type { PeerRules } from './peer-rules.ts';
import { reasonStringOf } from './refusal.ts';

interface StandingSessionsOptions {
  readonly dynsec: Pick<DynsecEngine, 'noteUse'>;
  readonly sessions: LiveSessions;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export class StandingSessions {
  readonly #options: StandingSessionsOptions;

  constructor(options: StandingSessionsOptions) {
    this.#options = options;
  }

  /** A successor is in use: whoever is here with what it took the place of is so no longer. */
  endSuperseded({ verdict }: PeerIdentity): void {
    if ('refusal' in verdict || verdict.identity.login !== 'certificate') return;
    const { dynsec, sessions } = this.#options;
    const { name, serialHex } = verdict.identity;
    const superseded = dynsec.noteUse(name, serialHex, '');
    if (superseded.length === 0) return;
    for (const session of sessions.withCertificates(name, superseded)) {
      endSuperseded(session, this.#options);
    }
  }

  /** Authorities, administrators' keys or rights have changed. @param by who says whether an identity may be here */
  judgeAgain(by: Pick<PeerRules, 'refusalOf'>): void {
    for (const session of [...this.#options.sessions.all()]) {
      const refusal = by.refusalOf(session.identity);
      if (refusal === undefined) continue;
      endSession(
        session,
        {
          reason: 'no-longer-let-in',
          message: `session ended: ${refusal.happened}`,
          reasonCode: refusal.reasonCode,
          reasonString: reasonStringOf(refusal),
        },
        this.#options,
      );
    }
  }
}
