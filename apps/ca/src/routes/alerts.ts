// Alerts: look at them, close one that only somebody can close, and see whether their channels deliver.
import { parseAlertKey } from '@keyline/alerts';
import type { AlertView } from '@keyline/api';
import { acknowledgeAlert, type Alert } from '@keyline/fleet';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { optionalInstant } from '../views.ts';
import type { Register } from './register.ts';

export function registerAlerts(register: Register, service: ServiceContext): void {
  const { fleet } = service;

  register('listAlerts', async ({ query }) => {
    const alerts = await fleet.store.listAlerts({ includeResolved: query.all ?? false });
    return { items: alerts.map(viewAlert), nextCursor: null };
  });

  register('acknowledgeAlert', async ({ params: { key }, request }) => {
    if (parseAlertKey(key) !== undefined) {
      throw new KeylineError(
        'REQUEST_INVALID',
        `The alert "${key}" is about how things stand: it closes when they are right again, not before.`,
      );
    }
    return viewAlert(await acknowledgeAlert(fleet, { caller: requireCaller(request.caller), key }));
  });

  register('listAlertChannels', async () => ({
    items: [...(await service.alertChannels())],
    nextCursor: null,
  }));
}

function viewAlert(alert: Alert): AlertView {
  return {
    key: alert.key,
    severity: alert.severity,
    summary: alert.summary,
    count: alert.count,
    examples: [...alert.examples],
    firstAt: formatInstant(alert.firstAt),
    lastAt: formatInstant(alert.lastAt),
    resolvedAt: optionalInstant(alert.resolvedAt),
  };
}
