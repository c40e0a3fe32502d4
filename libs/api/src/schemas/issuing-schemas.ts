// Messages about certificates, tokens and the manufacturing line.
import { Type, type Static } from 'typebox';
import {
  timestamp,
  nullable,
  plainText,
  object,
  DeviceIdSchema,
  SerialSchema,
  PemCsr,
  PemCertificate,
  ValidityRequest,
  Name,
  LabelsSchema,
  IdPattern,
  listOf,
  pageQuery,
  type Problem,
} from './common.ts';
import { CertificateSchema, EvidenceSchema } from './device-schemas.ts';

export const IssueCertificateRequestSchema = object(
  {
    profile: Name,
    name: Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]*$',
      description: 'Name of the service, operator or station.',
    }),
    csr: PemCsr,
    dnsNames: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 253 }), { maxItems: 20 }),
    ),
    ipAddresses: Type.Optional(
      Type.Array(Type.String({ minLength: 2, maxLength: 45 }), { maxItems: 20 }),
    ),
    validity: Type.Optional(ValidityRequest),
  },
  'A certificate for a server, service, operator or station. Devices enroll.',
);
export type IssueCertificateRequest = Static<typeof IssueCertificateRequestSchema>;
export const IssueCertificateResponseSchema = object({
  serial: Type.String(),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  chain: Type.Array(PemCertificate),
});

export const RenewalInfoParamsSchema = object({
  id: Type.String({ minLength: 3, maxLength: 200, pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$' }),
});
export const RenewalInfoSchema = object({
  suggestedWindow: object({ start: timestamp('Begins.'), end: timestamp('Ends.') }),
});
export const CertificateChangeResponseSchema = object({
  certificate: CertificateSchema,
  evidence: EvidenceSchema,
});

export const CreateTokenRequestSchema = object({
  use: Type.Optional(
    Type.Union([Type.Literal('enroll'), Type.Literal('api')], { default: 'enroll' }),
  ),
  description: Type.Optional(plainText(200)),
  expiresIn: Type.Optional(
    Type.String({ maxLength: 40, description: 'ISO 8601; default P1D (enroll), P90D (api).' }),
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

export const CreateBatchRequestSchema = object({
  id: Name,
  quota: Type.Integer({ minimum: 1, maximum: 100_000_000 }),
  type: Type.Optional(
    Type.String({ maxLength: 64, description: 'Device type; default "default".' }),
  ),
  idPattern: Type.Optional(IdPattern),
  stations: Type.Optional(
    Type.Array(plainText(64), {
      maxItems: 1000,
      description: 'Stations that may sign; empty: any.',
    }),
  ),
  labels: Type.Optional(LabelsSchema),
  rework: Type.Optional(
    Type.Boolean({ default: false, description: 'A unit may come again with a new key.' }),
  ),
  endsIn: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601; default P30D.' })),
});
export const BatchSchema = object({
  id: Type.String(),
  type: Type.String(),
  quota: Type.Integer(),
  issued: Type.Integer(),
  idPattern: nullable(Type.String()),
  stations: Type.Array(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  rework: Type.Boolean(),
  state: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
  endsAt: timestamp('No signing after.'),
  createdAt: timestamp('Opened.'),
  createdBy: Type.String(),
});
export type BatchView = Static<typeof BatchSchema>;
export const BatchListSchema = listOf(BatchSchema);
export type BatchList = Static<typeof BatchListSchema>;

export const SignRequestSchema = object({ id: Type.Optional(DeviceIdSchema), csr: PemCsr });
export type SignRequest = Static<typeof SignRequestSchema>;
export const SignResponseSchema = object({
  id: Type.String(),
  status: Type.Integer({
    description: '201 signed now, 200 the certificate that was signed before.',
  }),
  serial: Type.String(),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  chain: Type.Optional(
    Type.Array(PemCertificate, {
      description: 'Left out of NDJSON answers; see /v1/trust-bundle.',
    }),
  ),
});
export type SignResponse = Static<typeof SignResponseSchema>;
/** One line of a bulk answer: signed, or why not. Lines come in the order of the request. */
export type SignLine = SignResponse | { id: string | null; status: number; error: Problem };

export const SerialParamsSchema = object({ serial: SerialSchema });
export const BatchParamsSchema = object({ id: Name });
export const TokenParamsSchema = object({ id: Type.String({ pattern: '^[a-z]+_[0-9a-f]{24}$' }) });
