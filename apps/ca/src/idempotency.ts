// Idempotency-Key where a repeat would make something new (the route's row says so): the answer is kept, encrypted under the caller's own key, and given again.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Caller, IdempotencyRecord, Store } from '@keyline/fleet';
import { Duration, KeylineError, type Clock } from '@keyline/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type {} from './authenticate.ts';
import { createLimiter } from './rate-limits.ts';

const keep = Duration.hours(24);

/** What is kept of one caller in that time. A device renews some times in its life; a line's computer makes tokens all day. */
const quotas = {
  device: { answers: 24, bytes: 512 * 1024 },
  others: { answers: 20_000, bytes: 32 * 1024 * 1024 },
} as const;

/** A fleet whose certificates live for a day renews all of them in that time. */
const mostCallers = 200_000;

interface Pending {
  readonly storeKey: string;
  readonly requestHash: string;
  readonly headerKey: string;
  readonly caller: Caller;
}

declare module 'fastify' {
  interface FastifyRequest {
    idempotency: Pending | undefined;
  }
}

/**
 * Calls that are safe to repeat by themselves (enroll, revoke, sign) need no key and heed none. Only success is kept: what was refused may
 * be tried again. The store holds a hash of the key and a ciphertext: answers carry secrets.
 */
export function installIdempotency(
  app: FastifyInstance,
  options: { store: Store; clock: Clock },
): void {
  const { store, clock } = options;
  const running = new Set<string>();
  const limiter = (requests: number) =>
    createLimiter({ requests, window: keep, keys: mostCallers }, clock);
  const kept = {
    device: { answers: limiter(quotas.device.answers), bytes: limiter(quotas.device.bytes) },
    others: { answers: limiter(quotas.others.answers), bytes: limiter(quotas.others.bytes) },
  };
  const quotaOf = ({ role }: Caller) =>
    role === 'device' || role === 'service' ? kept.device : kept.others;
  const keyOf = ({ via, name }: Caller): string => `${via}:${name}`;

  /** Before anything is done: what could not be kept would be done twice. @throws {KeylineError} RATE_LIMITED */
  function assertQuota(caller: Caller): void {
    const { answers, bytes } = quotaOf(caller);
    const full = [answers, bytes].find((quota) => quota.isUsedUp(keyOf(caller)));
    if (full === undefined) return;
    throw new KeylineError(
      'RATE_LIMITED',
      `So many answers are kept for "${caller.name}" that no further Idempotency-Key is taken for now. Leave the header out, or try again later.`,
      { context: { retryAfterSeconds: full.secondsLeft() } },
    );
  }
  app.decorateRequest('idempotency', undefined);

  /**
   * Before it is looked up: whoever looked up first and then waited would do again what another did meanwhile.
   * @returns what was answered before; else the claim stands until the answer is kept
   * @throws {KeylineError} IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_REUSED, RATE_LIMITED; then nothing is claimed
   */
  async function claim(pending: Pending): Promise<IdempotencyRecord | undefined> {
    const { storeKey, requestHash, caller } = pending;
    if (running.has(storeKey)) {
      throw new KeylineError(
        'IDEMPOTENCY_IN_PROGRESS',
        'A request with this Idempotency-Key is being worked on. Try again in a second.',
        { context: { retryAfterSeconds: 1 } },
      );
    }
    running.add(storeKey);
    let isNew = false;
    try {
      const earlier = await store.findIdempotency(storeKey, clock.now());
      if (earlier !== undefined && earlier.requestHash !== requestHash) {
        throw new KeylineError(
          'IDEMPOTENCY_KEY_REUSED',
          'This Idempotency-Key came with another request before. Use a new key for a new request.',
        );
      }
      if (earlier === undefined) assertQuota(caller);
      isNew = earlier === undefined;
      return earlier;
    } finally {
      if (!isNew) running.delete(storeKey);
    }
  }

  async function replay(given: {
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
    readonly headerKey: string | string[];
    readonly caller: Caller;
  }): Promise<FastifyReply | undefined> {
    const { request, reply, headerKey, caller } = given;
    if (typeof headerKey !== 'string' || !/^[\x21-\x7e]{8,200}$/.test(headerKey)) {
      throw new KeylineError(
        'REQUEST_INVALID',
        'An Idempotency-Key has 8 to 200 printable characters; a random UUID is a good one.',
      );
    }
    const pending = describe(request, headerKey, caller);
    const earlier = await claim(pending);
    if (earlier === undefined) {
      request.idempotency = pending;
      return undefined;
    }
    return reply
      .status(earlier.status)
      .header('content-type', 'application/json; charset=utf-8')
      .header('cache-control', 'no-store')
      .header('idempotency-replayed', 'true')
      .serializer((body: unknown) => body as string)
      .send(decrypt(earlier.body, headerKey));
  }

  // Most requests have no key: for them the hooks must cost nothing.
  app.addHook('preHandler', (request, reply, done) => {
    const headerKey = request.headers['idempotency-key'];
    const { caller } = request;
    const { keepsAnswer } = request.routeOptions.config;
    if (headerKey === undefined || keepsAnswer !== true || caller === undefined) {
      done();
      return;
    }
    replay({ request, reply, headerKey, caller }).then(
      (replayed) => {
        if (replayed === undefined) done();
      },
      (error: unknown) => done(error as Error),
    );
  });

  async function keepAnswer(pending: Pending, status: number, payload: string): Promise<void> {
    const at = clock.now();
    const body = encrypt(payload, pending.headerKey);
    const { answers, bytes } = quotaOf(pending.caller);
    answers.add(keyOf(pending.caller), 1);
    bytes.add(keyOf(pending.caller), body.length);
    await store.commit({
      writes: [
        {
          op: 'insert-idempotency',
          record: {
            key: pending.storeKey,
            requestHash: pending.requestHash,
            status,
            body,
            expiresAt: at + keep,
          },
          at,
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

function describe(request: FastifyRequest, headerKey: string, caller: Caller): Pending {
  const who = `${caller.role}:${caller.name}`;
  return {
    headerKey,
    caller,
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
