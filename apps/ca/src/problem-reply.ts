// Anything thrown becomes a problem document (RFC 9457), here and nowhere else.
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { problemOf, type Problem } from '@keyline/api';
import { Duration, isKeylineError, KeylineError, type ErrorCode } from '@keyline/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type {} from './listener-bounds.ts';
import { collectMethods } from './offered-methods.ts';
import type { FindElsewhere } from './other-listener.ts';
import type { RefusalLog } from './refusal-log.ts';

export function createProblem(error: KeylineError, instance?: string): Problem {
  const [status, title] = problemOf(error.code);
  return {
    type: `urn:keyline:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    code: error.code,
    detail: status >= 500 ? hideInternals(error) : error.detail,
    ...(instance === undefined ? {} : { instance }),
  };
}

/** A fault of ours is explained in the log, under the request id, not to the caller; a broker that is away may be told. */
function hideInternals(error: KeylineError): string {
  const tellable: readonly ErrorCode[] = [
    'TARGET_UNREACHABLE',
    'SERVICE_UNREACHABLE',
    'SERVICE_BUSY',
    'STORAGE_RESERVED',
    'CLOCK_WRONG',
  ];
  return tellable.includes(error.code)
    ? error.detail
    : 'The service could not do this. Nothing was changed unless it says so elsewhere; the log has the cause under this request id.';
}

interface ValidationIssue {
  readonly instancePath: string;
  readonly message?: string;
  readonly keyword: string;
  readonly params: Record<string, unknown>;
}

function validationDetail(where: string, issues: readonly ValidationIssue[]): string {
  return foldChoices(issues)
    .filter(({ keyword }) => keyword !== 'boolean') // says "schema is false" of what additionalProperties names
    .slice(0, 5)
    .map((issue) => {
      const path = issue.instancePath.slice(1).replaceAll('/', '.');
      const name = path === '' ? where : `${where}: "${path}"`;
      if (issue.keyword === 'additionalProperties') {
        return `${name} has no ${unknownMembers(issue.params['additionalProperties'])}`;
      }
      return `${name} ${issue.message ?? 'is not valid'}`;
    })
    .join('; ');
}

/** One of several constants comes as an issue for each of them: they are one, that names them all. */
function foldChoices(issues: readonly ValidationIssue[]): readonly ValidationIssue[] {
  const choices = Map.groupBy(
    issues.filter(({ keyword }) => keyword === 'const'),
    ({ instancePath }) => instancePath,
  );
  return issues.flatMap((issue) => {
    const constants = choices.get(issue.instancePath) ?? [];
    if (issue.keyword === 'anyOf' && constants.length > 0) return [];
    if (issue.keyword !== 'const' || constants.length === 1) return [issue];
    if (issue !== constants[0]) return [];
    const values = constants.map(({ params }) => JSON.stringify(params['allowedValue']));
    return [{ ...issue, message: `must be one of ${values.join(', ')}` }];
  });
}

/** Names that a caller chose: a few, each cut short. */
function unknownMembers(names: unknown): string {
  if (!Array.isArray(names)) return 'such members';
  return names
    .slice(0, 3)
    .map((name) => `member ${JSON.stringify(String(name).slice(0, 60))}`)
    .join(', ');
}

/** Fastify's own errors in our codes. */
function translate(error: unknown): KeylineError {
  if (isKeylineError(error)) return error;
  const fastifyError = error as Partial<FastifyError> & { validationContext?: string };
  if (fastifyError.validation !== undefined) {
    return new KeylineError(
      'REQUEST_INVALID',
      `${validationDetail(
        fastifyError.validationContext ?? 'request',
        fastifyError.validation,
      )}. The API is described at /docs.`,
      { cause: error },
    );
  }
  switch (fastifyError.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new KeylineError('REQUEST_TOO_LARGE', 'The body is larger than this route reads.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new KeylineError(
        'UNSUPPORTED_MEDIA_TYPE',
        'The media type is not one that this path takes. The API is described at /docs.',
      );
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new KeylineError('REQUEST_INVALID', 'The body is not valid JSON.', { cause: error });
    default:
  }
  if (
    error instanceof SyntaxError ||
    (fastifyError.statusCode !== undefined &&
      fastifyError.statusCode >= 400 &&
      fastifyError.statusCode < 500)
  ) {
    return new KeylineError(
      'REQUEST_INVALID',
      `The request can't be read: ${STATUS_CODES[fastifyError.statusCode ?? 400] ?? 'Bad Request'}.`,
      { cause: error },
    );
  }
  // SQLite's, when a file can't grow: the transaction was undone.
  if (codeOf(error) === 'SQLITE_FULL') {
    return new KeylineError(
      'STORAGE_RESERVED',
      'The disk of the issuing CA is full, and nothing was done. Make room there.',
      { cause: error },
    );
  }
  return new KeylineError('INTERNAL', 'An unexpected error.', { cause: error });
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

export function replyProblem(reply: FastifyReply, error: KeylineError): FastifyReply {
  const problem = createProblem(error, reply.request.id);
  const retryAfter = error.context['retryAfterSeconds'];
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer');
  void reply
    .status(problem.status)
    .header('content-type', 'application/problem+json')
    .header('cache-control', 'no-store');
  const { raw, isArriving } = reply.request;
  if (!isArriving || raw.complete) {
    return reply.serializer(JSON.stringify).send(problem);
  }
  const text = JSON.stringify(problem);
  return reply
    .header('content-length', Buffer.byteLength(text))
    .send(Readable.from(answerBeforeBody(raw, text), { objectMode: false }));
}

/** What is read of a body that is refused, and dropped. */
const mostDropped = 64 * 1024 * 1024;

/**
 * An answer to a request whose body is still on its way. RFC 9112 §9.6: a connection that is closed with bytes unread is reset, and the
 * caller may never see the answer. So all of it is sent at once, and the response ends (and with it the connection, where it was to be
 * closed) when the body has: at its end, when the caller goes, or when its time is over (listener-bounds.ts, which sets that time for it).
 */
async function* answerBeforeBody(raw: IncomingMessage, text: string): AsyncGenerator<string> {
  const { promise: ended, resolve } = Promise.withResolvers<undefined>();
  let dropped = 0;
  raw.once('close', resolve).on('data', ({ length }: Buffer) => {
    dropped += length;
    if (dropped > mostDropped) raw.socket.destroy();
  });
  if (raw.destroyed) return;
  yield text;
  await ended;
}

/** For a caller that sends on what is no request, to see why it is refused. */
const timeToRead = Duration.seconds(1);

export interface ProblemHandlers {
  /** For Fastify's own refusals before there is a route, which no error handler sees. */
  readonly frameworkErrors: (
    error: FastifyError,
    request: FastifyRequest,
    reply: FastifyReply,
  ) => void;
  /** For bytes that are no HTTP request, or a head that is too long or too slow. */
  readonly clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => void;
}

export function createProblemHandlers(refusals: RefusalLog): ProblemHandlers {
  return {
    frameworkErrors(error, request, reply) {
      const problem = translate(error);
      report(refusals, request, problem);
      replyProblem(reply, problem);
    },
    clientErrorHandler(error, socket) {
      // What still comes after what could not be read is refused again, by a parser that has given up, and dropped.
      if (error.code === 'ECONNRESET' || socket.destroyed || socket.writableEnded) return;
      const refusal = clientErrors[error.code ?? ''] ?? notHttp;
      refusals.count(refusal.code);
      const problem = JSON.stringify({ ...createProblem(refusal) });
      const [status] = problemOf(refusal.code);
      socket.end(
        [
          `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`,
          'Content-Type: application/problem+json',
          `Content-Length: ${String(Buffer.byteLength(problem))}`,
          'Cache-Control: no-store',
          'Connection: close',
          `\r\n${problem}`,
        ].join('\r\n'),
      );
      // RFC 9112 §9.6: closed at once, with bytes unread, the connection is reset, and the answer may be lost.
      setTimeout(() => {
        socket.destroy();
      }, timeToRead).unref();
    },
  };
}

const notHttp = new KeylineError('REQUEST_INVALID', 'This is not a request in HTTP/1.1.');
const clientErrors: Readonly<Partial<Record<string, KeylineError>>> = {
  HPE_HEADER_OVERFLOW: new KeylineError('HEAD_TOO_LARGE', 'The head is larger than 16 KiB.'),
  ERR_HTTP_REQUEST_TIMEOUT: new KeylineError(
    'REQUEST_TIMEOUT',
    'The request did not come in time. Send it at once.',
  ),
};

/** Installs the error and not-found handlers of an app; must be called before its routes are registered. */
export function installProblemHandlers(
  app: FastifyInstance,
  refusals: RefusalLog,
  findElsewhere: FindElsewhere,
): void {
  const methodsOf = collectMethods(app);
  app.setErrorHandler((thrown: unknown, request, reply) => {
    // What Fastify finds wrong with the form of a request (QUERY without a media type) matters only where it would be answered.
    const error = request.is404
      ? notFound(request, reply, { methodsOf, findElsewhere })
      : translate(thrown);
    report(refusals, request, error);
    return replyProblem(reply, error);
  });
  app.setNotFoundHandler((request, reply) => {
    const error = notFound(request, reply, { methodsOf, findElsewhere });
    refusals.count(error.code);
    return replyProblem(reply, error);
  });
}

/** Nothing is broken: it is full, and says so by itself (metrics, an alert). */
const passing: readonly ErrorCode[] = ['SERVICE_BUSY', 'STORAGE_RESERVED'];

function report(refusals: RefusalLog, request: FastifyRequest, error: KeylineError): void {
  refusals.count(error.code);
  const [status] = problemOf(error.code);
  const isFault = status >= 500 && !passing.includes(error.code);
  refusals.write(
    isFault ? 'fault' : request.caller === undefined ? 'stranger' : 'caller',
    {
      reqId: request.id,
      code: error.code,
      method: request.method,
      url: request.routeOptions.url,
      caller: request.caller?.name,
      address: request.ip,
      ...error.context,
      ...(isFault ? { err: error } : {}),
    },
    error.detail,
  );
}

function notFound(
  request: FastifyRequest,
  reply: FastifyReply,
  {
    methodsOf,
    findElsewhere,
  }: {
    readonly methodsOf: (path: string) => readonly string[];
    readonly findElsewhere: FindElsewhere;
  },
): KeylineError {
  const path = request.url.split('?', 1)[0] ?? '';
  const offered = methodsOf(path);
  const elsewhere = findElsewhere(request);
  // Offered and not found: a path that only looks like one that is served ("/docs/static/../x").
  if (offered.length === 0 || offered.includes(request.method)) {
    return new KeylineError(
      'NOT_FOUND',
      `There is no ${request.method} ${path.slice(0, 200)} here. ${elsewhere ?? 'The API is described at /docs.'}`,
    );
  }
  void reply.header('allow', offered.join(', '));
  return new KeylineError(
    'METHOD_NOT_ALLOWED',
    `${path.slice(0, 200)} takes ${offered.join(', ')}, not ${request.method}.${elsewhere === undefined ? '' : ` ${elsewhere}`}`,
  );
}
