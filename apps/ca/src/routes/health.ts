// Health, metrics and the trust bundle: what machines ask of every listener or of this one.
import type { FastifyInstance } from 'fastify';
import type { RouteContract } from '@keyline/api';
import type { Authenticator } from '../authenticate.ts';
import type { Metrics } from '../metrics.ts';
import type { ServiceContext } from '../service-context.ts';
import { trustPems } from '../tls-identity.ts';

/** Admits anybody: whether the service lives is no secret. */
export function registerLiveness(
  app: FastifyInstance,
  service: Pick<ServiceContext, 'health' | 'authorities'>,
): void {
  app.get('/healthz', { schema: { hide: true } }, () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const health = await service.health();
    return reply
      .status(health.status === 'ok' || health.status === 'degraded' ? 200 : 503)
      .send(health);
  });
  app.get('/v1/trust-bundle', { schema: { hide: true } }, (_request, reply) =>
    reply
      .header('content-type', 'application/pem-certificate-chain')
      .header('cache-control', 'public, max-age=300')
      .send(trustPems(service.authorities).join('')),
  );
}

/** Counts of devices and refusals tell a stranger much: for those who may read the fleet. */
const metricsContract = {
  method: 'GET',
  url: '/metrics',
  admits: ['admin', 'operator', 'auditor'],
} as const satisfies Partial<RouteContract>;

export function registerHealth(
  app: FastifyInstance,
  given: { service: ServiceContext; authenticator: Authenticator; metrics: Metrics },
): void {
  const { service, authenticator, metrics } = given;
  registerLiveness(app, service);
  app.get(
    metricsContract.url,
    {
      schema: {
        operationId: 'metrics',
        tags: ['operations'],
        summary: 'Prometheus metrics',
        description: `Admits: ${metricsContract.admits.join(', ')}.`,
        security: [{ clientCertificate: [] }, { apiToken: [] }],
      },
      onRequest: async (request) => {
        request.caller = await authenticator.authorize(request, metricsContract);
      },
    },
    async (_request, reply) =>
      reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
