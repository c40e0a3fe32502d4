// Alerts as a follower of the ledger: changes that matter lead to an evaluation, what evaluations recorded is delivered. When
// `apply` and `tick` are called is the caller's.
import type { Alert, LedgerEntry, Store } from '@keyline/fleet';
import { Duration, messageOf, systemClock, type Clock } from '@keyline/kernel';
import { AlertEngine, type AlertEngineOptions } from './alert-engine.ts';
import type { AlertChange, AlertChannel, AlertLog } from './channel.ts';
import type { AlertRules } from './rules.ts';

export interface AlertFollowerOptions extends Pick<AlertEngineOptions, 'authorities' | 'crls'> {
  readonly store: AlertEngineOptions['store'] & Pick<Store, 'onCommit'>;
  readonly rules: AlertRules;
  readonly channels: readonly AlertChannel[];
  readonly clock?: Clock | undefined;
  readonly log?: Pick<AlertLog, 'warn'> | undefined;
}

export interface AlertFollower {
  readonly name: 'alerts';
  /** Delivers what is in the entries, at least once to each channel. @throws {KeylineError} of the first channel that failed */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** Evaluates everything now; call it at start and every `rules.evaluateEvery`. */
  tick(): Promise<void>;
  /** Ends pending evaluations. */
  close(): Promise<void>;
}

/** Evaluations may take this share of the time at most, whatever happens in the fleet. */
const mostShare = 0.05;
/** The longest backdate a profile may have. */
const longestBackdate = Duration.hours(1);

export function createAlertFollower(options: AlertFollowerOptions): AlertFollower {
  const { store, rules, channels, clock = systemClock, log } = options;
  const engine = new AlertEngine({ ...options, clock });
  const delivered = new Map<AlertChannel, number>();
  let turn: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let lastTook = 0;
  let closed = false;

  function evaluate(): Promise<void> {
    const work = turn.then(async () => {
      const start = performance.now();
      await engine.evaluate();
      lastTook = performance.now() - start;
    });
    turn = work.catch(() => undefined);
    return work;
  }

  function notice(entries: readonly LedgerEntry[]): void {
    if (closed || timer !== undefined) return;
    if (!entries.some((entry) => mayChangeAlerts(entry, rules, engine.openAlerts))) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        evaluate().catch((error: unknown) => {
          log?.warn(
            { error: messageOf(error) },
            'Alerts could not be evaluated; trying again soon.',
          );
        });
      },
      Math.max(rules.debounce, lastTook / mostShare),
    );
    timer.unref();
  }

  // Not only from apply: while a channel is down apply waits for it, and alerts must go on being true.
  const stopListening = store.onCommit(notice);

  async function deliver(channel: AlertChannel, changes: readonly AlertChange[]): Promise<void> {
    const last = delivered.get(channel) ?? 0;
    const fresh = changes.filter(({ seq }) => seq > last);
    const newest = fresh.at(-1);
    if (newest === undefined) return;
    await channel.deliver(fresh);
    delivered.set(channel, newest.seq);
  }

  return {
    name: 'alerts',
    async apply(entries) {
      notice(entries);
      if (!entries.some(({ data }) => 'alert' in data)) return;
      const alerts = await store.listAlerts({ includeResolved: true });
      const changes = toChanges(entries, new Map(alerts.map((alert) => [alert.key, alert])));
      const results = await Promise.allSettled(
        channels.map((channel) => deliver(channel, changes)),
      );
      for (const result of results) {
        if (result.status === 'rejected') throw result.reason;
      }
    },
    tick: evaluate,
    async close() {
      closed = true;
      stopListening();
      clearTimeout(timer);
      timer = undefined;
      await turn;
    },
  };
}

/** The last change of each alert: what fired and was resolved before anybody could be told is told as resolved. */
function toChanges(
  entries: readonly LedgerEntry[],
  alerts: ReadonlyMap<string, Alert>,
): AlertChange[] {
  const changes = new Map<string, AlertChange>();
  for (const { seq, at, data } of entries) {
    if (data.kind !== 'alert-fired' && data.kind !== 'alert-resolved') continue;
    const { alert: key, severity, count } = data;
    const row = alerts.get(key);
    changes.delete(key);
    changes.set(key, {
      status: data.kind === 'alert-fired' ? 'firing' : 'resolved',
      seq,
      at,
      alert: {
        ...(row ?? { summary: key, examples: [], firstAt: at, lastAt: at, resolvedAt: null }),
        key,
        severity,
        count,
      },
    });
  }
  return [...changes.values()];
}

function mayChangeAlerts(
  { at, data }: LedgerEntry,
  rules: AlertRules,
  openAlerts: number | undefined,
): boolean {
  switch (data.kind) {
    case 'device-enrolled':
      return endsSoon(data.notAfter - at, rules);
    case 'device-renewed':
    case 'device-reissued':
    case 'certificate-issued':
      return openAlerts !== 0 || endsSoon(data.notAfter - at, rules);
    case 'device-suspended':
    case 'device-resumed':
    case 'device-revoked':
    case 'device-decommissioned':
    case 'certificate-revoked':
    case 'crl-published':
      return openAlerts !== 0;
    default:
      return false;
  }
}

/** Whether a certificate may be past a threshold on its first day; saves an evaluation per enrollment. */
function endsSoon(left: number, rules: AlertRules): boolean {
  const widest = Math.max(...rules.longLived.map(({ within }) => within));
  if (left + longestBackdate >= rules.shortLivedBelow) return left < widest;
  const share = Math.max(...rules.shortLived.map((threshold) => threshold.share));
  return left <= share * (left + longestBackdate);
}
