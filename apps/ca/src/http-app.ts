// Plain HTTP for relying parties: CRL, OCSP, AIA, trust bundle. Nothing here takes a change, so nothing needs proof.
import type { Authorities, RunningAuthority } from '@keyline/authorities';
import {
  createCrlFiles,
  type CrlPublisher,
  type OcspAnswer,
  type OcspService,
} from '@keyline/status';
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
} from 'fastify';
import type { ServiceConfig } from '@keyline/config';
import { KeylineError, type Clock } from '@keyline/kernel';
import { freshen } from '@keyline/ledger';
import { latin1Of } from '@keyline/x509';
import { formatHttpDate, judgeConditions } from './conditional.ts';
import type { FairWork } from './fair-work.ts';
import { httpServerOptions, installListenerBounds } from './listener-bounds.ts';
import type { Metrics } from './metrics.ts';
import type { FindElsewhere } from './other-listener.ts';
import { createProblemHandlers, installProblemHandlers } from './problem-reply.ts';
import { refuseOddForms } from './request-form.ts';
import type { RefusalLog } from './refusal-log.ts';
import { registerLiveness } from './routes/service.ts';
import { createTrustAnswer } from './routes/trust.ts';
import { etagOf, preconditionFailed, sendCacheable } from './send-cacheable.ts';
import type { ServiceContext } from './service-context.ts';

export interface HttpAppOptions {
  readonly service: Pick<ServiceContext, 'health' | 'authorities'>;
  readonly authorities: Pick<Authorities, 'all' | 'roots'>;
  readonly crl: CrlPublisher;
  readonly ocsp: OcspService;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  readonly refusals: RefusalLog;
  readonly metrics: Pick<Metrics, 'ended'>;
  readonly work: FairWork;
  readonly limits: ServiceConfig['listeners'];
  readonly findElsewhere: FindElsewhere;
}

/** An OCSP request for a handful of certificates is far smaller. */
const maxOcspBytes = 16 * 1024;
// A revocation publishes a new CRL at once; caches on the way may hide it for this long at most.
const crlMaxAgeSeconds = 60;
/** Milliseconds for which the ledger may go unheard before a CRL is served from memory. */
const bound = 500;

export function createHttpApp(options: HttpAppOptions): FastifyInstance {
  const { service, authorities, crl, ocsp, clock, log, refusals, metrics, work, limits } = options;
  const app = Fastify({
    loggerInstance: log,
    bodyLimit: maxOcspBytes,
    logController: new LogController({ disableRequestLogging: true }),
    // As in api-app.ts: what is logged of a request names its id.
    childLoggerFactory: (logger) => logger,
    ...createProblemHandlers(refusals),
    http: httpServerOptions(limits),
    requestTimeout: limits.headerTime + limits.bodyTime,
    connectionTimeout: 30_000,
    routerOptions: { maxParamLength: 4096 },
  }) as unknown as FastifyInstance;
  app.decorateRequest('caller', undefined);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/ocsp-request',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );
  installProblemHandlers(app, refusals, options.findElsewhere);
  refuseOddForms(app);
  installListenerBounds(app, {
    limits,
    bodyBytes: maxOcspBytes,
    onEnd: (reason) => {
      metrics.ended('http', reason);
    },
  });
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      work.admit(request.ip);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  registerLiveness(app, service);
  const answerTrust = createTrustAnswer({ authorities: service.authorities, fleet: { clock } });
  app.get('/v1/trust-bundle', (_request, reply) => answerTrust(reply));

  const crlFiles = createCrlFiles({ crl, authorities });
  app.get<{ Params: { file: string } }>('/crl/:file', async (request, reply) => {
    // Another service may have published: what is not known to be in force is not served.
    await freshen(crl.view, bound);
    const file = crlFiles.find(request.params.file);
    if (file === undefined) throw noSuchFile('CRL', authorities.all(), 'crl');
    const { list, number, thisUpdate, nextUpdate } = file.crl;
    const left = Math.floor((nextUpdate - clock.now()) / 1000);
    return sendCacheable(reply, {
      body: file.body,
      type: file.type,
      etag: `"${list}-${String(number)}${file.form}"`,
      modifiedAt: thisUpdate,
      cacheControl: `public, max-age=${String(Math.max(0, Math.min(crlMaxAgeSeconds, left)))}`,
    });
  });

  app.get<{ Params: { file: string } }>('/aia/:file', (request, reply) => {
    const { file } = request.params;
    const found = [...authorities.all(), ...authorities.roots()].find(
      ({ id }) => `${id}.cer` === file,
    );
    if (found === undefined) throw noSuchFile('certificate', authorities.all(), 'caIssuers');
    const { der, notBefore } = found.certificate;
    return sendCacheable(reply, {
      body: der,
      type: 'application/pkix-cert',
      etag: etagOf(der),
      modifiedAt: notBefore,
      cacheControl: 'public, max-age=3600',
    });
  });

  // RFC 6960 appendix A.1. Hostile bytes are answered as OCSP, with malformedRequest.
  app.post('/ocsp', async (request, reply) =>
    sendOcsp(reply, await ocsp.answer(Buffer.isBuffer(request.body) ? request.body : empty)),
  );
  app.get<{ Params: { '*': string } }>('/ocsp/*', async (request, reply) => {
    // Base64 may hold slashes and pluses that a client did not escape, and clients also write it the URL-safe way.
    const der = Buffer.from(request.params['*'].replaceAll(' ', '+'), 'base64');
    return sendOcsp(reply, await ocsp.answer(der));
  });

  function sendOcsp(reply: FastifyReply, { der, cache }: OcspAnswer): FastifyReply {
    const type = ['content-type', 'application/ocsp-response'];
    if (cache === undefined) return sendAtOnce(reply, [...type, 'cache-control', 'no-store'], der);
    const { etag, producedAt, nextUpdate } = cache;
    const verdict = judgeConditions(reply.request, { etag, modifiedAt: producedAt });
    if (verdict === 'precondition-failed') throw preconditionFailed();
    const maxAge = Math.max(0, Math.floor((nextUpdate - clock.now()) / 1000));
    const cacheControl = `max-age=${String(maxAge)}, public, no-transform, must-revalidate`;
    const caching = ['etag', etag, 'cache-control', cacheControl];
    // RFC 9919 §7; only a GET is ever cached (RFC 9110 §9.3.3).
    if (reply.request.method === 'GET') caching.push('expires', formatHttpDate(nextUpdate));
    if (verdict === 'not-modified') {
      void reply.hijack();
      reply.raw.writeHead(304, caching).end();
      return reply;
    }
    return sendAtOnce(
      reply,
      [...type, ...caching, 'last-modified', formatHttpDate(producedAt)],
      der,
    );
  }
  return app;
}

const empty = Buffer.alloc(0);

function noSuchFile(
  what: string,
  all: readonly RunningAuthority[],
  url: 'crl' | 'caIssuers',
): KeylineError {
  const offered = all.map(({ authority }) => authority.urls[url]).join(', ');
  return new KeylineError('NOT_FOUND', `There is no such ${what} here. There are: ${offered}.`);
}

/** Head and body in one string and so in one write: a Buffer is handed to the system beside its head, for a quarter of an answer's time. */
function sendAtOnce(
  reply: FastifyReply,
  headers: readonly string[],
  body: Uint8Array,
): FastifyReply {
  void reply.hijack();
  reply.raw.writeHead(200, [...headers, 'content-length', String(body.length)]);
  reply.raw.end(latin1Of(body), 'latin1');
  return reply;
}
