// Alerts about what has happened, which no look at how things stand can end: somebody has to say that it was seen to.
import { formatInstant, KeylineError } from '@keyline/kernel';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, type FleetContext } from './context.ts';
import type { Alert } from './model.ts';

/**
 * Closes one. What happens again opens it again. Idempotent.
 * @throws {KeylineError} NOT_FOUND
 */
export async function acknowledgeAlert(
  context: Pick<FleetContext, 'store' | 'clock'>,
  { caller, key }: { readonly caller: Caller; readonly key: string },
): Promise<Alert> {
  const alert = await context.store.findAlert(key);
  if (alert === undefined) {
    throw new KeylineError(
      'NOT_FOUND',
      `There is no alert "${key.slice(0, 200)}". "keyline alerts list --json" shows the keys of those that are open.`,
    );
  }
  if (alert.resolvedAt !== null) return alert;
  const at = context.clock.now();
  const closed: Alert = {
    ...alert,
    lastAt: at,
    resolvedAt: at,
    summary: `${alert.summary} Acknowledged by ${caller.name} at ${formatInstant(at)}.`,
  };
  const { severity, count } = alert;
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'put-alert', alert: closed }],
      entries: [
        { at, ...entryBy(caller), data: { kind: 'alert-resolved', alert: key, severity, count } },
      ],
    },
    conflict,
  );
  return closed;
}
