// The service itself: whether it lives, its metrics, and who is asking it.
import { formatInstant } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../metrics.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import type { Register } from './register.ts';

/** Admits anybody: whether the service lives is no secret. */
export function registerLiveness(
  app: FastifyInstance,
  service: Pick<ServiceContext, 'health'>,
): void {
  app.get('/healthz', { schema: { hide: true } }, () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const health = await service.health();
    return reply
      .status(health.status === 'ok' || health.status === 'degraded' ? 200 : 503)
      .send(health);
  });
}

export function registerService(
  register: Register,
  { fleet, addresses }: Pick<ServiceContext, 'fleet' | 'addresses'>,
  metrics: Metrics,
): void {
  register('whoAmI', async ({ request }) => {
    const { name, role, via } = requireCaller(request.caller);
    return { name, role, via, time: formatInstant(fleet.clock.now()) };
  });

  register('getAddresses', () => Promise.resolve(addresses()));

  register('metrics', async ({ reply }) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
