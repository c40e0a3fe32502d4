// Compares what an evaluation finds with the alerts that are open, and commits the difference as one unit of work.
import type { Alert, Store, StoreReader, Write } from '@keyline/fleet';
import type { NewEntry } from '@keyline/ledger';
import { KeylineError, type Clock } from '@keyline/kernel';
import { evaluateAlerts, type ExpiryReader } from './evaluate-alerts.ts';
import { parseAlertKey, type Finding } from './finding.ts';
import type { AlertRules } from './rules.ts';
import type { WatchedAuthority, WatchedCrl } from './things.ts';

export interface AlertEngineOptions {
  readonly store: ExpiryReader & Pick<StoreReader, 'listAlerts'> & Pick<Store, 'commit'>;
  readonly clock: Clock;
  readonly rules: AlertRules;
  readonly authorities?: (() => Awaitable<readonly WatchedAuthority[]>) | undefined;
  readonly crls?: (() => Awaitable<readonly WatchedCrl[]>) | undefined;
  /** What the caller sees itself (`conditionFinding`). */
  readonly conditions?: (() => Awaitable<readonly Finding[]>) | undefined;
  /** What each change is recorded under: of all services one evaluates. @throws {KeylineError} LEASE_LOST */
  readonly condition?: (() => Write) | undefined;
}

type Awaitable<Value> = Value | Promise<Value>;

export interface EvaluationResult {
  /** Keys, in the order of the ledger entries. */
  readonly fired: readonly string[];
  readonly resolved: readonly string[];
}

export class AlertEngine {
  readonly #options: AlertEngineOptions;
  #open: number | undefined;

  constructor(options: AlertEngineOptions) {
    this.#options = options;
  }

  /** Alerts that were open after the last evaluation; undefined before the first. */
  get openAlerts(): number | undefined {
    return this.#open;
  }

  /** Must not run twice at once: the caller takes turns. @throws {KeylineError} STORE_CONFLICT */
  async evaluate(): Promise<EvaluationResult> {
    const { store, clock, rules, authorities, crls, conditions, condition } = this.#options;
    const now = clock.now();
    const [ending, alerts] = await Promise.all([
      evaluateAlerts({
        now,
        reader: store,
        rules,
        authorities: (await authorities?.()) ?? [],
        crls: (await crls?.()) ?? [],
      }),
      store.listAlerts({ includeResolved: false }),
    ]);
    const findings = [...ending, ...((await conditions?.()) ?? [])];
    const open = alerts.filter(({ key }) => parseAlertKey(key) !== undefined);
    const { writes, entries, fired, resolved } = compareAlerts({ findings, open, now });
    if (writes.length > 0) {
      const first = condition === undefined ? [] : [condition()];
      const result = await store.commit({ writes: [...first, ...writes], entries });
      if (!result.ok) {
        throw new KeylineError(
          'STORE_CONFLICT',
          `Alerts could not be recorded (${result.code}); the next evaluation tries again.`,
        );
      }
    }
    this.#open = findings.length;
    return { fired, resolved };
  }
}

interface Difference extends EvaluationResult {
  readonly writes: readonly Write[];
  readonly entries: readonly NewEntry[];
}

/** Pure: what must be written so that the open alerts are what was found. */
export function compareAlerts({
  findings,
  open,
  now,
}: {
  readonly findings: readonly Finding[];
  readonly open: readonly Alert[];
  readonly now: number;
}): Difference {
  const writes: Write[] = [];
  const entries: NewEntry[] = [];
  const fired: Finding[] = [];
  const resolved: string[] = [];
  const openByKey = new Map(open.map((alert) => [alert.key, alert]));
  const record = (
    kind: 'alert-fired' | 'alert-resolved',
    { key, severity, count }: Alert,
  ): void => {
    entries.push({ at: now, actor: 'keyline', data: { kind, alert: key, severity, count } });
  };

  for (const finding of findings) {
    const { key, severity, summary, count, examples } = finding;
    const earlier = openByKey.get(key);
    openByKey.delete(key);
    const alert: Alert = {
      key,
      severity,
      summary,
      count,
      examples,
      firstAt: earlier?.firstAt ?? now,
      lastAt: now,
      resolvedAt: null,
    };
    if (earlier !== undefined && isSame(earlier, alert)) continue;
    writes.push({ op: 'put-alert', alert });
    if (earlier === undefined || isWorse(earlier, alert)) {
      fired.push(finding);
      record('alert-fired', alert);
    }
  }
  for (const earlier of openByKey.values()) {
    const successor = fired.find(
      (finding) => finding.key !== earlier.key && isAboutTheSame(finding, earlier.key),
    );
    const alert: Alert = {
      ...earlier,
      lastAt: now,
      resolvedAt: now,
      summary:
        successor === undefined
          ? earlier.summary
          : `${earlier.summary} Replaced by ${successor.key}.`,
    };
    writes.push({ op: 'put-alert', alert });
    resolved.push(alert.key);
    record('alert-resolved', alert);
  }
  return { writes, entries, fired: fired.map(({ key }) => key), resolved };
}

function isSame(a: Alert, b: Alert): boolean {
  return (
    a.severity === b.severity &&
    a.summary === b.summary &&
    a.count === b.count &&
    a.examples.join('\n') === b.examples.join('\n')
  );
}

/**
 * News although it is open: another severity, or a count that has another digit. So one forgotten device does not keep silent about
 * the thousand that follow, and a fleet that trickles in is a handful of messages.
 */
function isWorse(earlier: Alert, alert: Alert): boolean {
  return (
    earlier.severity !== alert.severity || String(alert.count).length > String(earlier.count).length
  );
}

function isAboutTheSame({ subject, group }: Finding, key: string): boolean {
  const parts = parseAlertKey(key);
  return parts?.subject === subject && parts.group === group;
}
