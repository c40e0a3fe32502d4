// Health, metrics and the trust bundle: what machines ask of every listener or of this one.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Metrics } from '../metrics.ts';
import type { ServiceContext } from '../service-context.ts';
import { etagOf, sendCacheable } from '../send-cacheable.ts';
import { trustPems } from '../tls-identity.ts';
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

/** The roots that relying parties trust; the same on both listeners. */
export function createTrustAnswer({
  authorities,
  fleet: { clock },
}: Pick<ServiceContext, 'authorities'> & {
  readonly fleet: Pick<ServiceContext['fleet'], 'clock'>;
}): (reply: FastifyReply) => Promise<FastifyReply> {
  let last = { body: '', etag: '', modifiedAt: 0 };
  return (reply) => {
    const body = trustPems(authorities).join('');
    if (body !== last.body) last = { body, etag: etagOf(body), modifiedAt: clock.now() };
    return sendCacheable(reply, {
      ...last,
      type: 'application/pem-certificate-chain',
      cacheControl: 'public, max-age=300',
    });
  };
}

export function registerTrust(register: Register, service: ServiceContext): void {
  const answer = createTrustAnswer(service);
  register('trustBundle', async ({ reply }) => answer(reply));
}

export function registerMetrics(register: Register, metrics: Metrics): void {
  register('metrics', async ({ reply }) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
