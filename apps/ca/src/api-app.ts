// The API behind TLS as a testable app: contract routes, OpenAPI, health, metrics. Listening is listen.ts's work.
import type { ServerOptions } from 'node:https';
import { completeDocument } from '@keyline/api';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { Authenticator } from './authenticate.ts';
import type { FairWork } from './fair-work.ts';
import { installIdempotency } from './idempotency.ts';
import type { Metrics } from './metrics.ts';
import { httpServerOptions, installListenerBounds } from './listener-bounds.ts';
import type { FindElsewhere } from './other-listener.ts';
import { createProblemHandlers, installProblemHandlers } from './problem-reply.ts';
import { refuseOddForms } from './request-form.ts';
import { createRefusalLedger, recordRefusals } from './refusal-ledger.ts';
import { createRateLimits } from './rate-limits.ts';
import type { RefusalLog } from './refusal-log.ts';
import { installBodyParsers } from './request-body.ts';
import { registerAlerts } from './routes/alerts.ts';
import { registerApprovals } from './routes/approvals.ts';
import { registerQuarantine } from './routes/quarantine.ts';
import { registerAuthorities } from './routes/authorities.ts';
import { registerBatches } from './routes/batches.ts';
import { registerCertificates } from './routes/certificates.ts';
import { registerDevices } from './routes/devices.ts';
import { createRegister } from './routes/register.ts';
import { registerLiveness, registerService } from './routes/service.ts';
import { registerRoles } from './routes/roles.ts';
import { registerJobs } from './routes/jobs.ts';
import { registerLedger } from './routes/ledger.ts';
import { registerServices } from './routes/services.ts';
import { registerTargets } from './routes/targets.ts';
import { registerTokens } from './routes/tokens.ts';
import { registerTrust } from './routes/trust.ts';
import type { ServiceContext } from './service-context.ts';

export interface ApiAppOptions {
  readonly service: ServiceContext;
  readonly authenticator: Authenticator;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
  readonly refusals: RefusalLog;
  readonly work: FairWork;
  readonly findElsewhere: FindElsewhere;
  /** TLS; absent in tests, where `inject` needs none. */
  readonly https?: ServerOptions | undefined;
}

// OpenAPI 3.1 knows it (§4.8.27); the types of the plugin are of 3.0.
const mutualTls = {
  type: 'mutualTLS',
  description: 'A certificate issued by this Keyline.',
} as unknown as { type: 'apiKey'; name: string; in: string };

const wordmark =
  '<svg xmlns="http://www.w3.org/2000/svg" width="140" height="40"><text x="4" y="28" font-family="sans-serif" font-size="26" fill="#fff">Keyline</text></svg>';

export async function createApiApp(options: ApiAppOptions): Promise<FastifyInstance> {
  const { service, authenticator, metrics, log, https, refusals, work } = options;
  const { listeners } = service;
  const app = Fastify({
    loggerInstance: log,
    ...(https === undefined ? {} : { https: { ...https, ...httpServerOptions(listeners) } }),
    bodyLimit: service.limits.bodyBytes,
    // A line for every request would be the larger part of the work; refusals and faults are logged where they happen.
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for every request costs as much as finding its route; what is logged of one names its id (problem-reply.ts).
    childLoggerFactory: (logger) => logger,
    // What is wrong before a route is found: a path that is no URL, or longer than any.
    ...createProblemHandlers(refusals),
    // A stream of units has no end; of other bodies listener-bounds.ts sees to the time.
    requestTimeout: 0,
    // Of a connection that is silent, a stream's too.
    connectionTimeout: 60_000,
    keepAliveTimeout: 75_000,
    routerOptions: { maxParamLength: 200 },
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  installBodyParsers(app);
  app.decorateRequest('caller', undefined);
  app.decorateRequest('proofEpoch', 0);
  installProblemHandlers(app, refusals, options.findElsewhere);
  refuseOddForms(app);
  const { store, clock } = service.fleet;
  recordRefusals(app, createRefusalLedger({ store, clock }), (error) => {
    log.error({ err: error }, 'A refused call could not be written into the ledger.');
  });
  const bounds = installListenerBounds(app, {
    limits: listeners,
    bodyBytes: service.limits.bodyBytes,
    onEnd: (reason) => {
      metrics.ended('api', reason);
    },
  });
  installIdempotency(app, { store: service.fleet.store, clock: service.fleet.clock });
  metrics.observe(app);
  // Documentation, health and what is not there have no guard of their own.
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      if (request.routeOptions.config.isGuarded !== true) work.admit(request.ip);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  const limits = createRateLimits(service.rateLimits, service.fleet.clock);
  const { origins, reserve } = service;

  await app.register(swagger, {
    transformObject: (made) => {
      if (!('openapiObject' in made)) return made.swaggerObject;
      return completeDocument(made.openapiObject, { profiles: [...service.fleet.profiles.keys()] });
    },
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Keyline',
        version: '1',
        description:
          'Private PKI and device provisioning for MQTT fleets. Errors are problem documents (RFC 9457) with a stable `code`.',
      },
      components: {
        securitySchemes: {
          clientCertificate: mutualTls,
          apiToken: { type: 'http', scheme: 'bearer', description: 'POST /v1/tokens makes one.' },
        },
      },
    },
  });
  // The routes come after the plugin that collects them.
  await app.register(async (routes: FastifyInstance) => {
    const register = createRegister(routes, {
      ...{ authenticator, limits, origins, bounds, work, reserve },
    });
    registerDevices(register, service, limits);
    registerJobs(register, service);
    registerServices(register, service);
    registerRoles(register, service);
    registerBatches(register, service, bounds);
    registerTokens(register, service);
    registerCertificates(register, service);
    registerAuthorities(register, service);
    registerApprovals(register, service);
    registerAlerts(register, service);
    registerLedger(register, service);
    registerQuarantine(register, service);
    registerTargets(register, service);
    registerTrust(register, service);
    registerService(register, service, metrics);
    registerLiveness(routes, service);
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'list' },
    theme: { title: 'Keyline API' },
    logo: { type: 'image/svg+xml', content: Buffer.from(wordmark), href: '/docs' },
  });
  let openapi: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    openapi ??= JSON.stringify(app.swagger());
    return reply.header('content-type', 'application/json; charset=utf-8').send(openapi);
  });
  return app;
}
