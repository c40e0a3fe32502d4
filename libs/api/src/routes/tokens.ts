// Enrollment tokens and API tokens.
import { Type, type Static } from 'typebox';
import {
  IdPattern,
  LabelsSchema,
  listOf,
  nullable,
  object,
  pageQuery,
  plainText,
  timestamp,
} from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

export const CreateTokenRequestSchema = object({
  use: Type.Optional(
    Type.Union([Type.Literal('enroll'), Type.Literal('api')], { default: 'enroll' }),
  ),
  description: Type.Optional(plainText(200)),
  expiresIn: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        'Until it ends, for instance 7d; default 1d (enroll), 90d (api). ISO 8601 (P7D) is taken too.',
    }),
  ),
  type: Type.Optional(
    Type.String({ maxLength: 64, description: 'Device type; default "default".' }),
  ),
  idPattern: Type.Optional(IdPattern),
  maxUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000, default: 1 })),
  labels: Type.Optional(LabelsSchema),
  role: Type.Optional(
    Type.Union(
      [
        Type.Literal('admin'),
        Type.Literal('operator'),
        Type.Literal('station'),
        Type.Literal('auditor'),
      ],
      { description: 'API tokens only.' },
    ),
  ),
});
export type CreateTokenRequest = Static<typeof CreateTokenRequestSchema>;

export const TokenSchema = object({
  id: Type.String(),
  use: Type.Union([Type.Literal('enroll'), Type.Literal('api')]),
  description: Type.String(),
  expiresAt: timestamp('No use after.'),
  createdAt: timestamp('Created.'),
  createdBy: Type.String(),
  revokedAt: nullable(timestamp('Revoked.')),
  type: Type.Optional(Type.String()),
  idPattern: Type.Optional(nullable(Type.String())),
  maxUses: Type.Optional(Type.Integer()),
  uses: Type.Optional(Type.Integer()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  role: Type.Optional(Type.String()),
});
export type TokenView = Static<typeof TokenSchema>;

export const CreateTokenResponseSchema = object({
  token: TokenSchema,
  secret: Type.String({ description: 'Shown this once; only its hash is kept.' }),
});

export const TokenQuerySchema = object({
  use: Type.Optional(
    Type.Union([Type.Literal('enroll'), Type.Literal('api')], { default: 'enroll' }),
  ),
  ...pageQuery,
});

export const TokenListSchema = listOf(TokenSchema);
export type TokenList = Static<typeof TokenListSchema>;

export const TokenParamsSchema = object({ id: Type.String({ pattern: '^[a-z]+_[0-9a-f]{24}$' }) });

export const tokenRoutes = {
  createToken: {
    method: 'POST',
    url: '/v1/tokens',
    admits: administrators,
    tag: 'tokens',
    summary: 'Create an enrollment token or an API token (the latter: admin only)',
    status: 201,
    body: CreateTokenRequestSchema,
    takes: json,
    response: CreateTokenResponseSchema,
    keepsAnswer: true,
  },
  listTokens: {
    method: 'GET',
    url: '/v1/tokens',
    admits: readers,
    tag: 'tokens',
    summary: 'List tokens (never their secrets)',
    status: 200,
    query: TokenQuerySchema,
    response: TokenListSchema,
  },
  revokeToken: {
    method: 'DELETE',
    url: '/v1/tokens/:id',
    admits: administrators,
    tag: 'tokens',
    summary: 'Revoke a token',
    status: 200,
    params: TokenParamsSchema,
    response: TokenSchema,
    underReserve: true,
  },
} as const satisfies Record<string, RouteContract>;
