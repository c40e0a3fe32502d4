// What the alert engine needs of a store, in memory: certificates that end, alerts, a ledger.
import type { Alert, CommitResult, ExpiryGroup, UnitOfWork } from '@keyline/fleet';
import type { LedgerEntry, NewEntry } from '@keyline/ledger';
import { Duration } from '@keyline/kernel';
import type { AlertFollowerOptions } from '../src/alert-follower.ts';
import type { AlertRules } from '../src/index.ts';

export interface Ending {
  readonly owner: string;
  readonly kind: ExpiryGroup['kind'];
  readonly group: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export class MemoryStore implements NonNullable<AlertFollowerOptions['store']> {
  certificates: Ending[] = [];
  readonly alerts = new Map<string, Alert>();
  readonly ledger: LedgerEntry[] = [];
  commits = 0;
  evaluations = 0;
  #listeners = new Set<(entries: readonly LedgerEntry[]) => void>();

  add(...entries: NewEntry[]): LedgerEntry[] {
    const added = entries.map((entry, n) => ({ ...entry, seq: this.ledger.length + n + 1 }));
    this.ledger.push(...added);
    for (const listener of this.#listeners) listener(added);
    return added;
  }

  commit(unit: UnitOfWork): Promise<CommitResult> {
    this.commits++;
    for (const write of unit.writes) {
      if (write.op === 'put-alert') this.alerts.set(write.alert.key, write.alert);
    }
    return Promise.resolve({ ok: true, entries: this.add(...unit.entries) });
  }

  readonly feed: AlertFollowerOptions['feed'] = {
    join: (projection) => {
      const { name, state } = projection;
      this.onCommit((entries) => void projection.apply(state, entries));
      return { name, state, isFresh: () => true, refresh: () => Promise.resolve() };
    },
  };

  onCommit(listener: (entries: readonly LedgerEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  listAlerts({ includeResolved }: { readonly includeResolved: boolean }): Promise<Alert[]> {
    if (!includeResolved) this.evaluations++;
    const all = [...this.alerts.values()];
    return Promise.resolve(
      includeResolved ? all : all.filter((alert) => alert.resolvedAt === null),
    );
  }

  listExpiring(options: {
    readonly before: number;
    readonly minLifetime: number;
    readonly maxLifetime: number;
  }): Promise<ExpiryGroup[]> {
    return this.#group(({ notBefore, notAfter }) => {
      const lifetime = notAfter - notBefore;
      return (
        notAfter < options.before &&
        lifetime >= options.minLifetime &&
        lifetime < options.maxLifetime
      );
    });
  }

  listExpiringByShare(options: {
    readonly at: number;
    readonly share: number;
    readonly maxLifetime: number;
  }): Promise<ExpiryGroup[]> {
    return this.#group(({ notBefore, notAfter }) => {
      const lifetime = notAfter - notBefore;
      return lifetime < options.maxLifetime && notAfter - options.at <= options.share * lifetime;
    });
  }

  #group(selects: (certificate: Ending) => boolean): Promise<ExpiryGroup[]> {
    const groups = Map.groupBy(
      this.certificates.filter(selects).toSorted((a, b) => a.notAfter - b.notAfter),
      ({ kind, group }) => `${kind} ${group}`,
    );
    return Promise.resolve(
      [...groups.values()].flatMap((members) => {
        const [first] = members;
        if (first === undefined) return [];
        return [
          {
            kind: first.kind,
            group: first.group,
            count: members.length,
            examples: members.slice(0, 5).map(({ owner }) => owner),
            soonest: first.notAfter,
          },
        ];
      }),
    );
  }

  get open(): string[] {
    const open = [...this.alerts.values()].filter(({ resolvedAt }) => resolvedAt === null);
    return open.map(({ key }) => key).toSorted();
  }
}

export const rules: AlertRules = {
  evaluateEvery: Duration.minutes(1),
  debounce: 5,
  shortLivedBelow: Duration.days(60),
  longLived: [
    { within: Duration.days(30), severity: 'info' },
    { within: Duration.days(14), severity: 'warning' },
    { within: Duration.days(7), severity: 'critical' },
  ],
  shortLived: [
    { share: 0.3, severity: 'info' },
    { share: 0.15, severity: 'warning' },
    { share: 0.07, severity: 'critical' },
  ],
  authorities: [
    { within: Duration.days(180), severity: 'info' },
    { within: Duration.days(30), severity: 'warning' },
  ],
  crl: { overlapShare: 0.5 },
  channels: { log: false, webhooks: [] },
};

export const start = Date.UTC(2026, 0, 1);

/** A certificate that ends so many days after `start`. */
export function ending(
  owner: string,
  days: number,
  more: Partial<Ending> & { readonly lifetimeDays?: number } = {},
): Ending {
  const notAfter = start + days * Duration.days(1);
  const { lifetimeDays = 90, ...rest } = more;
  return {
    owner,
    kind: 'device',
    group: 'sensor',
    notAfter,
    notBefore: notAfter - lifetimeDays * Duration.days(1),
    ...rest,
  };
}
