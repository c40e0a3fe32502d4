// What a body may be: only the media types of the route's row, UTF-8, not compressed; refused before it is read.
import { isUtf8 } from 'node:buffer';
import type { RouteContract } from '@keyline/api';
import { KeylineError } from '@keyline/kernel';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Parsers for the media types of the contract, in place of the framework's own, which also take text/plain. */
export function installBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  // A member "__proto__" or "constructor.prototype" is refused.
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      if (body.length === 0) return done(null, undefined);
      if (!isUtf8(body)) {
        // RFC 8259 §8.1; a decoder would put U+FFFD for what is not, and the value would be another one.
        return done(new KeylineError('REQUEST_INVALID', 'The body is not UTF-8.'));
      }
      return parseJson(request, body.toString('utf8'), done);
    },
  );
  app.addContentTypeParser<Buffer>(
    'application/pkcs10',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body.length === 0 ? undefined : body),
  );
  app.addContentTypeParser('application/x-ndjson', (_request, payload, done) =>
    done(null, payload),
  );
}

export function hasBody({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const length = headers['content-length'];
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined;
}

/**
 * Called before the body is read.
 * @throws {KeylineError} UNSUPPORTED_MEDIA_TYPE; RFC 9110 §15.5.16: also for a Content-Encoding
 */
export function assertBodyTaken(request: FastifyRequest, contract: RouteContract): void {
  const type = request.headers['content-type'];
  if (!hasBody(request) && type === undefined) return;
  const takes: readonly string[] = contract.takes ?? [];
  const encoding = request.headers['content-encoding'];
  // As nearly all write it: nothing needs to be taken apart.
  if (type !== undefined && encoding === undefined && takes.includes(type)) return;
  if (takes.length === 0) {
    // A bare Content-Type on a GET says nothing.
    if (!hasBody(request)) return;
    throw refused(`${contract.method} ${contract.url} takes no body.`);
  }
  const listed = takes.join(' or ');
  if (request.mediaType === undefined || !takes.includes(request.mediaType)) {
    throw refused(
      type === undefined
        ? `The body has no Content-Type. Send ${listed}.`
        : `${contract.method} ${contract.url} takes ${listed}, not "${type.slice(0, 100)}".`,
    );
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw refused(`The body must be UTF-8, not "${charset.slice(0, 40)}".`);
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw refused('The body must come without a Content-Encoding.');
  }
}

/**
 * Called when the body was read, before it is held against its schema: the framework checks none where there is no body.
 * @throws {KeylineError} REQUEST_INVALID for an empty body where one is needed
 */
export function completeBody(request: FastifyRequest, contract: RouteContract): void {
  if (contract.body === undefined || request.body !== undefined) return;
  if (contract.bodyOptional !== true) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `The body is empty: ${contract.method} ${contract.url} needs ${(contract.takes ?? []).join(' or ')}. The API is described at /docs.`,
    );
  }
  request.body = {};
}

function refused(detail: string): KeylineError {
  return new KeylineError('UNSUPPORTED_MEDIA_TYPE', detail);
}
