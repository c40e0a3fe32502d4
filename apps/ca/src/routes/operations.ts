// What an operator looks at: alerts, brokers, oneself.
import { parseAlertKey } from '@keyline/alerts';
import type { TargetView } from '@keyline/api';
import { acknowledgeAlert, brokerAdminName } from '@keyline/fleet';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { exportDynamicSecurity } from '@keyline/targets';
import type { TargetView as EffectTarget } from '../effects.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { viewAlert } from '../views.ts';
import type { Register, RouteOutput } from './register.ts';

export function registerOperations(register: Register, service: ServiceContext): void {
  const { fleet, effects } = service;

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

  register('listTargets', async () => ({
    items: effects.targets.map(viewTarget),
    nextCursor: null,
  }));

  register('exportDynamicSecurity', async ({ query, reply }) => {
    const { store, roles, types, clock } = fleet;
    const document = await exportDynamicSecurity({
      fleet: store,
      roles,
      types,
      clock,
      admins: [query.admin ?? brokerAdminName],
    });
    // Written once: a fleet of 50,000 is some megabytes.
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .serializer((text: unknown) => text as string)
      .send(document);
  });

  const compare = async (wanted: string): Promise<RouteOutput<'compareTarget'>> => {
    const target = effects.targets.find(({ name }) => name === wanted);
    if (target === undefined) {
      throw new KeylineError(
        'NOT_FOUND',
        `There is no target "${wanted}". There are: ${effects.targets.map(({ name }) => name).join(', ')}.`,
      );
    }
    await target.compare();
    return viewTarget(target);
  };
  register('compareTarget', ({ params }) => compare(params.name));
  register('reconcileTarget', ({ params }) => compare(params.name));

  register('whoAmI', async ({ request }) => {
    const { name, role, via } = requireCaller(request.caller);
    return { name, role, via, time: formatInstant(fleet.clock.now()) };
  });
}

function viewTarget(target: EffectTarget): TargetView {
  const lastError = target.lastError();
  const compared = target.compared();
  return {
    name: target.name,
    healthy: lastError === undefined,
    position: target.position(),
    lag: target.lag(),
    lastError: lastError ?? null,
    compared:
      compared === undefined
        ? null
        : {
            at: formatInstant(compared.at),
            milliseconds: compared.milliseconds,
            devices: compared.devices,
            missing: compared.missing,
            changed: compared.changed,
            stale: compared.stale,
            foreign: compared.foreign,
            roles: compared.roles,
          },
  };
}
