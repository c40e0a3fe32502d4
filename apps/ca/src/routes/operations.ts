// What an operator looks at: alerts, brokers, oneself.
import { formatInstant } from '@keyline/kernel';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { viewAlert } from '../views.ts';
import type { Register } from './register.ts';

export function registerOperations(register: Register, service: ServiceContext): void {
  const { fleet, effects } = service;

  register('listAlerts', async ({ query }) => {
    const alerts = await fleet.store.listAlerts({ includeResolved: query.all ?? false });
    return { items: alerts.map(viewAlert), nextCursor: null };
  });

  register('listTargets', async () => ({
    items: effects.targets.map((target) => {
      const lastError = target.lastError();
      return {
        name: target.name,
        healthy: lastError === undefined,
        position: target.position(),
        lag: target.lag(),
        lastError: lastError ?? null,
      };
    }),
    nextCursor: null,
  }));

  register('whoAmI', async ({ request }) => {
    const { name, role, via } = requireCaller(request.caller);
    return { name, role, via, time: formatInstant(fleet.clock.now()) };
  });
}
