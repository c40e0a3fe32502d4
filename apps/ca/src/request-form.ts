// What Node's parser lets through although RFC 9112 does not: programs on the way may read such a request as another one.
import type { IncomingMessage } from 'node:http';
import { KeylineError } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';

/** Of these a request has one at most; of two Node takes the first, and others might take the last. */
const single: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'content-encoding',
]);

/** Must be installed before other hooks. What it refuses ends the connection: where the next request begins is not sure. */
export function refuseOddForms(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const odd = findOddity(request.raw);
    if (odd === undefined) return done();
    void reply.header('connection', 'close');
    return done(new KeylineError('REQUEST_INVALID', odd));
  });
}

function findOddity(raw: IncomingMessage): string | undefined {
  if (raw.httpVersionMajor !== 1) {
    return `HTTP/${raw.httpVersion.slice(0, 10)} is not spoken here; HTTP/1.1 is.`;
  }
  if (raw.headers.host === undefined && raw.httpVersion !== '1.0') {
    return 'The header Host is missing (RFC 9112 §3.2).';
  }
  // RFC 9112 §6.1: with another coding the end of the body is not known.
  const coding = raw.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return 'The only Transfer-Encoding that is taken is "chunked".';
  }
  // As many names as lines, as nearly always: none comes twice.
  if (Object.keys(raw.headers).length * 2 === raw.rawHeaders.length) return undefined;
  const seen = new Set<string>();
  for (let at = 0; at < raw.rawHeaders.length; at += 2) {
    const name = raw.rawHeaders[at]?.toLowerCase() ?? '';
    if (!single.has(name)) continue;
    // RFC 9112 §3.2 for Host, RFC 9110 §5.3 for the others.
    if (seen.has(name)) return `The header ${name} comes more than once.`;
    seen.add(name);
  }
  return undefined;
}
