// An answer that caches may keep, or 304 for who has it already (RFC 9110 §15.4.5).
import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { KeylineError } from '@keyline/kernel';
import type { FastifyReply } from 'fastify';
import { formatHttpDate, judgeConditions } from './conditional.ts';

/** A body that may be large: its size and its pieces in order, made only when it is sent. */
export type PiecedBody = () => Promise<{
  readonly bytes: number;
  readonly pieces: Iterable<Uint8Array | string>;
}>;

export interface Cacheable {
  readonly body: Uint8Array | string | PiecedBody;
  readonly type: string;
  readonly etag: string;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
  readonly cacheControl: string;
}

/** @throws {KeylineError} PRECONDITION_FAILED */
export async function sendCacheable(reply: FastifyReply, given: Cacheable): Promise<FastifyReply> {
  const verdict = judgeConditions(reply.request, given);
  if (verdict === 'precondition-failed') throw preconditionFailed();
  void reply.header('etag', given.etag).header('cache-control', given.cacheControl);
  if (verdict === 'not-modified') return reply.status(304).send();
  void reply
    .header('last-modified', formatHttpDate(given.modifiedAt))
    .header('content-type', given.type);
  const { body } = given;
  if (typeof body === 'string') return reply.send(body);
  if (typeof body !== 'function') return reply.send(Buffer.from(body));
  const { bytes, pieces } = await body();
  void reply.header('content-length', bytes);
  // HEAD needs the size alone; of anything but a stream Fastify would state the size it has, none.
  if (reply.request.method === 'HEAD') return reply.send(Readable.from([]));
  if (bytes <= atOnceBytes) {
    return reply.send(Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece))));
  }
  // As fast as the client reads: a large body never stands in memory once more.
  return reply.send(Readable.from(pieces, { objectMode: false }));
}

const atOnceBytes = 64 * 1024;

export function preconditionFailed(): KeylineError {
  return new KeylineError(
    'PRECONDITION_FAILED',
    'What is here is not what If-Match or If-Unmodified-Since names. Ask without them.',
  );
}

/** For what has no version of its own. */
export function etagOf(body: Uint8Array | string): string {
  return `"${hash('sha256', body, 'base64url')}"`;
}
