// Enrollment tokens and API tokens. A secret is in the one answer that creates it, and nowhere else.
import type { TokenView } from '@keyline/api';
import {
  createApiToken,
  createEnrollmentToken,
  revokeToken,
  type ApiToken,
  type EnrollmentToken,
} from '@keyline/fleet';
import { formatInstant, KeylineError, parseDuration } from '@keyline/kernel';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { optionalInstant } from '../views.ts';
import type { Register } from './register.ts';

export function registerTokens(register: Register, service: ServiceContext): void {
  const { fleet } = service;

  register('createToken', async ({ body, request, reply }) => {
    const caller = requireCaller(request.caller);
    // The secret must not stay in a cache on the way.
    void reply.header('cache-control', 'no-store');
    const description = body.description ?? '';
    if (body.use === 'api') {
      if (body.role === undefined) {
        throw new KeylineError(
          'REQUEST_INVALID',
          'An API token needs a "role": admin, operator, station or auditor.',
        );
      }
      const { token, secret } = await createApiToken(fleet, {
        caller,
        description,
        role: body.role,
        lifetime: parseDuration(body.expiresIn ?? '90d'),
      });
      return { token: viewApiToken(token), secret: secret.reveal() };
    }
    if (body.role !== undefined) {
      throw new KeylineError(
        'REQUEST_INVALID',
        'An enrollment token has no "role"; leave it out, or ask for "use": "api".',
      );
    }
    const { token, secret } = await createEnrollmentToken(fleet, {
      caller,
      description,
      type: body.type ?? 'default',
      idPattern: body.idPattern ?? null,
      maxUses: body.maxUses ?? 1,
      labels: body.labels ?? {},
      lifetime: parseDuration(body.expiresIn ?? '1d'),
    });
    return { token: viewEnrollmentToken(token), secret: secret.reveal() };
  });

  register('listTokens', async ({ query }) => {
    const page = pageOf(query, service.limits);
    if (query.use === 'api') {
      const { items, nextCursor } = await fleet.store.listApiTokens(page);
      return { items: items.map(viewApiToken), nextCursor };
    }
    const { items, nextCursor } = await fleet.store.listTokens(page);
    return { items: items.map(viewEnrollmentToken), nextCursor };
  });

  register('revokeToken', async ({ params, request }) => {
    const revoked = await revokeToken(fleet, {
      caller: requireCaller(request.caller),
      id: params.id,
    });
    return isApiToken(revoked) ? viewApiToken(revoked) : viewEnrollmentToken(revoked);
  });
}

function isApiToken(token: EnrollmentToken | ApiToken): token is ApiToken {
  return 'role' in token;
}

function viewEnrollmentToken(token: EnrollmentToken): TokenView {
  return {
    id: token.id,
    use: 'enroll',
    description: token.description,
    expiresAt: formatInstant(token.expiresAt),
    createdAt: formatInstant(token.createdAt),
    createdBy: token.createdBy,
    revokedAt: optionalInstant(token.revokedAt),
    type: token.type,
    idPattern: token.idPattern,
    maxUses: token.maxUses,
    uses: token.uses,
    labels: { ...token.labels },
  };
}

function viewApiToken(token: ApiToken): TokenView {
  return {
    id: token.id,
    use: 'api',
    description: token.description,
    expiresAt: formatInstant(token.expiresAt),
    createdAt: formatInstant(token.createdAt),
    createdBy: token.createdBy,
    revokedAt: optionalInstant(token.revokedAt),
    role: token.role,
  };
}
