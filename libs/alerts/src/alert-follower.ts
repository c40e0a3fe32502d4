// Alerts as followers of the ledger: changes that matter lead to an evaluation, what evaluations recorded is delivered. When `apply`
// and `tick` are called is the caller's.
import type { Alert } from '@keyline/fleet';
import { leaseLost, type Feed, type Hold, type LedgerEntry } from '@keyline/ledger';
import { Duration, messageOf, systemClock, type Clock } from '@keyline/kernel';
import { AlertEngine, type AlertEngineOptions } from './alert-engine.ts';
import type { AlertChange, AlertChannel, AlertLog } from './channel.ts';
import type { AlertRules } from './rules.ts';

export interface AlertFollowerOptions extends Pick<
  AlertEngineOptions,
  'authorities' | 'crls' | 'conditions'
> {
  readonly store: AlertEngineOptions['store'];
  readonly feed: Pick<Feed, 'join'>;
  /** The right to evaluate, while this service has it; absent: nobody else does. */
  readonly hold?: (() => Hold | undefined) | undefined;
  readonly rules: AlertRules;
  readonly channels: readonly AlertChannel[];
  readonly clock?: Clock | undefined;
  readonly log?: Pick<AlertLog, 'warn'> | undefined;
}

/** What tells one channel; shaped as a follower, so that each channel has a place of its own in the ledger. */
export interface AlertDelivery {
  /** `alerts:oncall`. */
  readonly name: string;
  /** A channel that is new is told of what comes, not of everything that ever was. */
  readonly beginsAt: 'end';
  /** Delivers what is in the entries, at least once. @throws {KeylineError} of the channel */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
}

export interface AlertFollower {
  /** One for each channel: one that is down, for whatever reason and however long, keeps nothing from the others. */
  readonly deliveries: readonly AlertDelivery[];
  /** Evaluates everything now; call it at start and every `rules.evaluateEvery`. */
  tick(): Promise<void>;
  /** Ends pending evaluations and gives up what is being delivered. */
  close(): Promise<void>;
}

/** Evaluations may take this share of the time at most, whatever happens in the fleet. */
const mostShare = 0.05;
/** The longest backdate a profile may have. */
const longestBackdate = Duration.hours(1);

export function createAlertFollower(options: AlertFollowerOptions): AlertFollower {
  const { store, feed, hold, rules, channels, clock = systemClock, log } = options;
  const engine = new AlertEngine({
    ...options,
    clock,
    condition:
      hold &&
      (() => {
        const held = hold();
        if (held === undefined) throw leaseLost('alerts');
        return held.condition();
      }),
  });
  const stop = new AbortController();
  let turn: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let lastTook = 0;
  let lastEnd = -Infinity;
  let closed = false;

  function evaluate(): Promise<void> {
    const work = turn.then(async () => {
      // Another service does.
      if (hold !== undefined && hold() === undefined) return;
      const start = performance.now();
      await engine.evaluate();
      lastEnd = performance.now();
      lastTook = lastEnd - start;
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

  feed.join({ name: 'alerts', state: undefined, apply: (_state, entries) => notice(entries) });

  const deliveryTo = (channel: AlertChannel): AlertDelivery => ({
    name: `alerts:${channel.name}`,
    beginsAt: 'end',
    async apply(entries) {
      if (!entries.some(({ data }) => 'alert' in data)) return;
      const alerts = await store.listAlerts({ includeResolved: true });
      const changes = toChanges(entries, new Map(alerts.map((alert) => [alert.key, alert])));
      await channel.deliver(changes, stop.signal);
    },
  });

  return {
    deliveries: channels.map(deliveryTo),
    async tick() {
      // A fleet of which a million end at once is looked at less often than every minute.
      const resting = lastEnd + lastTook / mostShare - rules.evaluateEvery;
      if (performance.now() >= resting) await evaluate();
    },
    async close() {
      closed = true;
      stop.abort();
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
    case 'authority-activated':
    case 'authority-revoked':
    case 'authority-installed':
      return true;
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
