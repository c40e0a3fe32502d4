// Refused calls of note in the ledger: who tried what they may not, from where. A few each minute and address; what comes above is
// counted with the next, so that nobody fills the ledger by being refused.
import type { Store } from '@keyline/fleet';
import { isKeylineError, type Clock, type ErrorCode } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';

/** Not those of a form that is wrong: these are of somebody without the right, the role or the secret. */
const ofNote: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'FORBIDDEN',
  'CERTIFICATE_NOT_ACCEPTED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_EXHAUSTED',
  'TOKEN_PATTERN_MISMATCH',
  'BATCH_STATION_NOT_ALLOWED',
  'CSR_KEY_IN_USE',
]);

export interface Refusal {
  readonly code: ErrorCode;
  /** `POST /v1/devices/:id/revoke`. */
  readonly route: string;
  readonly address: string;
  /** As the ledger names callers; absent: nobody who was known. */
  readonly actor?: string | undefined;
  /** Whom it is about: the caller, or the owner of the certificate that was presented. */
  readonly subject?: string | undefined;
}

const minute = 60_000;
/** Entries in all, however many addresses there are. */
const entriesEachMinute = 10;
const mostKept = 1000;

export function createRefusalLedger({
  store,
  clock,
}: {
  store: Pick<Store, 'commit'>;
  clock: Clock;
}) {
  const kept = new Map<string, { until: number; suppressed: number }>();
  let budget = { until: 0, left: 0 };

  function takeFromBudget(now: number): boolean {
    // Also when the clock was set back.
    if (now >= budget.until || now < budget.until - minute) {
      budget = { until: now + minute, left: entriesEachMinute };
    }
    return budget.left-- > 0;
  }

  return {
    async note(refusal: Refusal): Promise<void> {
      const { code, route, address, actor = 'anyone', subject = address } = refusal;
      if (!ofNote.has(code)) return;
      const now = clock.now();
      const key = `${code} ${actor} ${subject} ${address}`;
      const known = kept.get(key);
      const isResting = known !== undefined && now < known.until && now >= known.until - minute;
      if (isResting || !takeFromBudget(now)) {
        if (known !== undefined) known.suppressed++;
        return;
      }
      const count = 1 + (known?.suppressed ?? 0);
      kept.delete(key);
      kept.set(key, { until: now + minute, suppressed: 0 });
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
      const data = { kind: 'call-refused', subject, code, route, count } as const;
      await store.commit({ writes: [], entries: [{ at: now, actor, address, data }] });
    },
  };
}

export type RefusalLedger = ReturnType<typeof createRefusalLedger>;

/** @param onError told when the ledger does not take it; the refusal stands all the same */
export function recordRefusals(
  app: FastifyInstance,
  ledger: RefusalLedger,
  onError: (error: unknown) => void,
): void {
  app.addHook('onError', (request, _reply, error: unknown, done) => {
    done();
    // A guessed API token is UNAUTHENTICATED like a call without any; only the guess is of note.
    const isGuess =
      isKeylineError(error) &&
      error.code === 'UNAUTHENTICATED' &&
      request.headers.authorization !== undefined;
    if (!isKeylineError(error)) return;
    const { caller } = request;
    const owner = error.context['owner'];
    ledger
      .note({
        code: isGuess ? 'TOKEN_INVALID' : error.code,
        route: `${request.method} ${request.routeOptions.url ?? ''}`,
        address: request.ip,
        actor: caller === undefined ? undefined : `${caller.role}:${caller.name}`,
        subject: caller?.name ?? (typeof owner === 'string' ? owner : undefined),
      })
      .catch(onError);
  });
}
