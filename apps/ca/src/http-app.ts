// Plain HTTP for relying parties: CRL, OCSP, AIA, trust bundle. Nothing here takes a change, so nothing needs proof.
import { Readable } from 'node:stream';
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
} from 'fastify';
import type { ServiceConfig } from '@keyline/config';
import { KeylineError, type Clock } from '@keyline/kernel';
import { latin1Of } from '@keyline/x509';
import type { Authorities, RunningAuthority } from './authorities.ts';
import { createCrlFiles, type CrlFile } from './crl-files.ts';
import type { CrlPublisher } from './crl-publisher.ts';
import type { FairWork } from './fair-work.ts';
import { httpServerOptions, installListenerBounds } from './listener-bounds.ts';
import type { Metrics } from './metrics.ts';
import type { OcspAnswer, OcspService } from './ocsp-service.ts';
import { createProblemHandlers, installProblemHandlers } from './problem-reply.ts';
import type { RefusalLog } from './refusal-log.ts';
import { registerLiveness } from './routes/health.ts';
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
}

/** An OCSP request for a handful of certificates is far smaller. */
const maxOcspBytes = 16 * 1024;
// A revocation publishes a new CRL at once; caches on the way may hide it for this long at most.
const crlMaxAgeSeconds = 60;

export function createHttpApp(options: HttpAppOptions): FastifyInstance {
  const { service, authorities, crl, ocsp, clock, log, refusals, metrics, work, limits } = options;
  const app = Fastify({
    loggerInstance: log,
    bodyLimit: maxOcspBytes,
    logController: new LogController({ disableRequestLogging: true }),
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
  installProblemHandlers(app, refusals);
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

  const crlFiles = createCrlFiles({ crl, authorities });
  app.get<{ Params: { file: string } }>('/crl/:file', (request, reply) => {
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
    return reply
      .header('content-type', 'application/pkix-cert')
      .header('cache-control', 'public, max-age=3600')
      .send(Buffer.from(found.certificate.der));
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
    const headers: string[] = ['content-type', 'application/ocsp-response'];
    if (cache === undefined) headers.push('cache-control', 'no-store');
    else {
      const { etag, producedAt, nextUpdate } = cache;
      const maxAge = Math.max(0, Math.floor((nextUpdate - clock.now()) / 1000));
      headers.push('etag', etag, 'last-modified', httpDate(producedAt));
      headers.push(
        'cache-control',
        `max-age=${String(maxAge)}, public, no-transform, must-revalidate`,
      );
      // RFC 9919 §7; only a GET is ever cached (RFC 9110 §9.3.3).
      if (reply.request.method === 'GET') headers.push('expires', httpDate(nextUpdate));
    }
    return sendAtOnce(reply, headers, der, cache?.etag);
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

const atOnceBytes = 64 * 1024;

interface Cacheable {
  /** Made only when it is sent. */
  readonly body: CrlFile['body'];
  readonly type: string;
  readonly etag: string;
  readonly modifiedAt: number;
  readonly cacheControl: string;
}

async function sendCacheable(reply: FastifyReply, given: Cacheable): Promise<FastifyReply> {
  void reply
    .header('etag', given.etag)
    .header('last-modified', httpDate(given.modifiedAt))
    .header('cache-control', given.cacheControl);
  if (reply.request.headers['if-none-match'] === given.etag) return reply.status(304).send();
  const { bytes, pieces } = await given.body();
  void reply.header('content-type', given.type).header('content-length', bytes);
  // HEAD needs the size alone; of anything but a stream Fastify would state the size it has, none.
  if (reply.request.method === 'HEAD') return reply.send(Readable.from([]));
  if (bytes <= atOnceBytes) {
    return reply.send(Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece))));
  }
  // As fast as the client reads: a large CRL never stands in memory once more.
  return reply.send(Readable.from(pieces, { objectMode: false }));
}

/** Head and body in one string and so in one write: a Buffer is handed to the system beside its head, for a quarter of an answer's time. */
function sendAtOnce(
  reply: FastifyReply,
  headers: readonly string[],
  body: Uint8Array,
  etag: string | undefined,
): FastifyReply {
  void reply.hijack();
  if (etag !== undefined && reply.request.headers['if-none-match'] === etag) {
    reply.raw.writeHead(304, [...headers]).end();
    return reply;
  }
  reply.raw.writeHead(200, [...headers, 'content-length', String(body.length)]);
  reply.raw.end(latin1Of(body), 'latin1');
  return reply;
}

function httpDate(instant: number): string {
  return new Date(instant).toUTCString();
}
