// Idempotency-Key on POSTs: the answer is kept, encrypted under the caller's own key, and given again.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Store } from '@keyline/fleet';
import { Duration, KeylineError, type Clock } from '@keyline/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type {} from './authenticate.ts';

const keep = Duration.hours(24);

interface Pending {
  readonly storeKey: string;
  readonly requestHash: string;
  readonly headerKey: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    idempotency: Pending | undefined;
  }
}

/**
 * The use cases are safe to repeat by themselves; this makes the answer of a repeat equal to the first one. Only success is kept: what
 * was refused may be tried again. The store holds a hash of the key and a ciphertext: answers carry secrets.
 */
export function installIdempotency(
  app: FastifyInstance,
  options: { store: Store; clock: Clock },
): void {
  const { store, clock } = options;
  const running = new Set<string>();
  app.decorateRequest('idempotency', undefined);

  async function replay(
    request: FastifyRequest,
    reply: FastifyReply,
    headerKey: string | string[],
  ): Promise<FastifyReply | undefined> {
    if (typeof headerKey !== 'string' || !/^[\x21-\x7e]{8,200}$/.test(headerKey)) {
      throw new KeylineError(
        'REQUEST_INVALID',
        'An Idempotency-Key has 8 to 200 printable characters; a random UUID is a good one.',
      );
    }
    const pending = describe(request, headerKey);
    const earlier = await store.findIdempotency(pending.storeKey, clock.now());
    if (earlier !== undefined) {
      if (earlier.requestHash !== pending.requestHash) {
        throw new KeylineError(
          'IDEMPOTENCY_KEY_REUSED',
          'This Idempotency-Key came with another request before. Use a new key for a new request.',
        );
      }
      return reply
        .status(earlier.status)
        .header('content-type', 'application/json; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('idempotency-replayed', 'true')
        .serializer((body: unknown) => body as string)
        .send(decrypt(earlier.body, headerKey));
    }
    if (running.has(pending.storeKey)) {
      throw new KeylineError(
        'IDEMPOTENCY_IN_PROGRESS',
        'A request with this Idempotency-Key is being worked on. Try again in a second.',
      );
    }
    running.add(pending.storeKey);
    request.idempotency = pending;
    return undefined;
  }

  // Most requests have no key: for them the hooks must cost nothing.
  app.addHook('preHandler', (request, reply, done) => {
    const headerKey = request.headers['idempotency-key'];
    // A stream has no single answer to keep; its units are idempotent one by one.
    const isStream = request.headers['content-type']?.startsWith('application/x-ndjson') === true;
    if (request.method !== 'POST' || headerKey === undefined || isStream) {
      done();
      return;
    }
    replay(request, reply, headerKey).then(
      (replayed) => {
        if (replayed === undefined) done();
      },
      (error: unknown) => done(error as Error),
    );
  });

  async function keepAnswer(pending: Pending, status: number, payload: string): Promise<void> {
    await store.commit({
      writes: [
        {
          op: 'insert-idempotency',
          record: {
            key: pending.storeKey,
            requestHash: pending.requestHash,
            status,
            body: encrypt(payload, pending.headerKey),
            expiresAt: clock.now() + keep,
          },
        },
      ],
      entries: [],
    });
  }

  // Here and not when the response ends: that is at once when the caller has gone, while its request is still being worked on.
  app.addHook('onSend', (request, reply, payload, done) => {
    const pending = request.idempotency;
    if (pending === undefined) {
      done(null, payload);
      return;
    }
    if (typeof payload !== 'string' || reply.statusCode >= 300) {
      running.delete(pending.storeKey);
      done(null, payload);
      return;
    }
    void keepAnswer(pending, reply.statusCode, payload)
      .finally(() => running.delete(pending.storeKey))
      .then(
        () => done(null, payload),
        (error: unknown) => done(error as Error),
      );
  });
}

function describe(request: FastifyRequest, headerKey: string): Pending {
  const caller = request.caller;
  const who = caller === undefined ? 'anyone' : `${caller.role}:${caller.name}`;
  return {
    headerKey,
    storeKey: createHash('sha256').update(`${who}\n${headerKey}`).digest('hex'),
    requestHash: createHash('sha256')
      .update(`${request.method} ${request.url}\n${JSON.stringify(request.body ?? null)}`)
      .digest('hex'),
  };
}

function cipherKey(headerKey: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', headerKey, salt, 'keyline idempotency', 32));
}

function encrypt(text: string, headerKey: string): string {
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', cipherKey(headerKey, salt), iv);
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([salt, iv, cipher.getAuthTag(), body]).toString('base64');
}

function decrypt(stored: string, headerKey: string): string {
  const bytes = Buffer.from(stored, 'base64');
  const decipher = createDecipheriv(
    'aes-256-gcm',
    cipherKey(headerKey, bytes.subarray(0, 16)),
    bytes.subarray(16, 28),
  );
  decipher.setAuthTag(bytes.subarray(28, 44));
  return decipher.update(bytes.subarray(44), undefined, 'utf8') + decipher.final('utf8');
}
