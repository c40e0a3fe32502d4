// How often each kind of caller may ask. Counted after the proof of identity, so that nobody uses up another's share.
import rateLimit from '@fastify/rate-limit';
import type { ServiceConfig } from '@keyline/config';
import type { Caller } from '@keyline/fleet';
import { KeylineError } from '@keyline/kernel';
import type { FastifyInstance, FastifyRequest } from 'fastify';

export interface RateLimits {
  /** One request of a caller; undefined: somebody unproved, by address. @throws {KeylineError} RATE_LIMITED */
  count(request: FastifyRequest, caller: Caller | undefined): Promise<void>;
  /** One enrollment with a token. @throws {KeylineError} RATE_LIMITED */
  countEnrollment(request: FastifyRequest, tokenHash: string): Promise<void>;
}

declare module 'fastify' {
  interface FastifyRequest {
    enrollmentTokenHash: string | undefined;
  }
}

export async function createRateLimits(
  app: FastifyInstance,
  limits: ServiceConfig['rateLimits'],
): Promise<RateLimits> {
  await app.register(rateLimit, { global: false, cache: 50_000 });
  app.decorateRequest('enrollmentTokenHash', undefined);
  const limiter = (
    kind: keyof ServiceConfig['rateLimits'],
    keyGenerator: (request: FastifyRequest) => string,
  ) => {
    const { requests, window } = limits[kind];
    const check = app.createRateLimit({ max: requests, timeWindow: window, keyGenerator });
    return async (request: FastifyRequest): Promise<void> => {
      const verdict = await check(request);
      if (verdict.isAllowed || !verdict.isExceeded) return;
      throw new KeylineError(
        'RATE_LIMITED',
        `More than ${String(requests)} requests in ${String(window / 1000)} s. Try again in ${String(verdict.ttlInSeconds)} s.`,
        { context: { retryAfterSeconds: verdict.ttlInSeconds } },
      );
    };
  };
  const nameOf = (request: FastifyRequest): string =>
    `${request.caller?.via ?? ''}:${request.caller?.name ?? ''}`;
  const anonymous = limiter('anonymous', ({ ip }) => ip);
  const device = limiter('device', nameOf);
  const operator = limiter('operator', nameOf);
  const enroll = limiter('enroll', ({ enrollmentTokenHash }) => enrollmentTokenHash ?? '');
  return {
    count: (request, caller) => {
      if (caller === undefined) return anonymous(request);
      return caller.role === 'device' ? device(request) : operator(request);
    },
    countEnrollment: (request, tokenHash) => {
      request.enrollmentTokenHash = tokenHash;
      return enroll(request);
    },
  };
}
