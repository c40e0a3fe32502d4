// Two holders of one identity, or one that nobody here knows: what the ledger and the alerts say of it, until somebody decides about the device.
import type { SerialHex } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import type { Alert } from './model.ts';
import type { Store, Write } from './ports.ts';

type Row = { readonly writes: readonly Write[]; readonly entries: readonly NewEntry[] };

const nothing: Row = { writes: [], entries: [] };

export function conflictKey(identity: string): string {
  return `identity:${identity}:two-holders`;
}

/** Of the alert for a certificate that one of our authorities signed and that is not on record. */
export function strangerKey(identity: string): string {
  return `identity:${identity}:not-on-record`;
}

/**
 * The entry and the critical alert. While the alert is open nothing is added: whoever has an old key could fill the ledger.
 * @param by who presented the old certificate
 */
export async function conflictRow(
  store: Pick<Store, 'findAlert'>,
  conflict: {
    readonly identity: string;
    readonly old: SerialHex;
    readonly current: SerialHex;
    readonly answered: boolean;
    readonly by: Omit<NewEntry, 'data'>;
  },
): Promise<Row> {
  const { identity, old, current, answered, by } = conflict;
  const key = conflictKey(identity);
  const earlier = await store.findAlert(key);
  if (earlier?.resolvedAt === null) return nothing;
  const alert: Alert = {
    key,
    severity: 'critical',
    summary: `Two keys are in use for "${identity}": its certificate ${old} came back after ${current} had taken its place. Either the device lost its new key, or somebody has its old one. Look where both came from (keyline device history ${identity}); if in doubt, revoke and decommission it, and enroll it with a new key. Suspending and resuming it closes this alert, and so does keyline alerts acknowledge ${key}.`,
    count: 1,
    examples: [identity],
    firstAt: by.at,
    lastAt: by.at,
    resolvedAt: null,
  };
  return {
    writes: [{ op: 'put-alert', alert }],
    entries: [
      { ...by, data: { kind: 'identity-conflict', identity, old, current, answered } },
      {
        at: by.at,
        actor: 'keyline',
        data: { kind: 'alert-fired', alert: key, severity: 'critical', count: 1 },
      },
    ],
  };
}

/** Resolves the alerts about an identity that are open: somebody decided about the device. */
export async function endConflict(
  store: Pick<Store, 'findAlert'>,
  identity: string,
  at: number,
): Promise<Row> {
  const alerts = await Promise.all(
    [conflictKey(identity), strangerKey(identity)].map((key) => store.findAlert(key)),
  );
  const open = alerts.flatMap((alert) => (alert?.resolvedAt === null ? [alert] : []));
  return {
    writes: open.map((alert) => ({
      op: 'put-alert',
      alert: { ...alert, lastAt: at, resolvedAt: at },
    })),
    entries: open.map(({ key, severity, count }) => ({
      at,
      actor: 'keyline',
      data: { kind: 'alert-resolved', alert: key, severity, count },
    })),
  };
}
