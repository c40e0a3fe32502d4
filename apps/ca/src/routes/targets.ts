// Brokers that identities are pushed to: how far each is, and comparing one with the fleet.
import type { TargetView } from '@keyline/api';
import { brokerAdminName } from '@keyline/fleet';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { exportDynamicSecurity } from '@keyline/targets';
import type { TargetView as EffectTarget } from '../effects.ts';
import type { ServiceContext } from '../service-context.ts';
import type { Register, RouteOutput } from './register.ts';

export function registerTargets(register: Register, service: ServiceContext): void {
  const { fleet, effects } = service;

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
}

function viewTarget(target: EffectTarget): TargetView {
  const lastError = target.lastError();
  const compared = target.compared();
  return {
    name: target.name,
    healthy: lastError === undefined,
    connection: target.connection(),
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
