// The messages of the REST API as TypeBox schemas: one source for validation, types, OpenAPI and the CLI.
import { Type, type Static, type TSchema } from 'typebox';

const timestamp = (description: string) =>
  Type.String({ format: 'date-time', description: `${description} RFC 3339, UTC.` });
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const object = <T extends Record<string, TSchema>>(properties: T, description?: string) =>
  Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });

const DeviceIdSchema = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
  description:
    'Device id: letters, digits, ".", "_", ":" and "-". Also the MQTT user name and client id.',
});
const SerialSchema = Type.String({
  minLength: 1,
  maxLength: 60,
  pattern: '^[0-9A-Fa-f:]+$',
  description: 'Certificate serial in hex.',
});
const PemCsr = Type.String({
  minLength: 1,
  maxLength: 24_000,
  description: 'PKCS#10 certificate request, PEM.',
});
const PemCertificate = Type.String({ description: 'Certificate, PEM.' });
const ValidityRequest = Type.String({
  maxLength: 40,
  description: 'Asks for a shorter validity than the profile gives: ISO 8601, for instance PT12H.',
});
const Name = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' });
const LabelsSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' }),
  Type.String({ maxLength: 200 }),
  { maxProperties: 32, description: 'Free name → value pairs.' },
);
const IdPattern = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9._:*?-]+$',
  description: 'Glob over the device id: * any characters, ? one character.',
});

export const DeviceStateSchema = Type.Union(
  [
    Type.Literal('registered'),
    Type.Literal('active'),
    Type.Literal('suspended'),
    Type.Literal('revoked'),
    Type.Literal('decommissioned'),
  ],
  { description: 'registered → active → suspended → revoked → decommissioned.' },
);

export const RevocationReasonSchema = Type.Union(
  [
    Type.Literal('unspecified'),
    Type.Literal('keyCompromise'),
    Type.Literal('cACompromise'),
    Type.Literal('affiliationChanged'),
    Type.Literal('superseded'),
    Type.Literal('cessationOfOperation'),
    Type.Literal('privilegeWithdrawn'),
  ],
  { description: 'RFC 5280 §5.3.1 reason.' },
);

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:keyline:error:<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable error code; scripts match on it.' }),
    detail: Type.String({ description: 'What happened, with which input, and what to do next.' }),
    instance: Type.Optional(Type.String({ description: 'Request id; look for it in the log.' })),
  },
  { description: 'RFC 9457 problem document.' },
);
export type Problem = Static<typeof ProblemSchema>;

export const DeviceSchema = object({
  id: DeviceIdSchema,
  type: Type.String(),
  batch: nullable(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  state: DeviceStateSchema,
  serial: nullable(Type.String({ description: 'Serial of the newest certificate.' })),
  notAfter: nullable(timestamp('End of the newest certificate.')),
  createdAt: timestamp('First enrolled.'),
  updatedAt: timestamp('Last changed.'),
});
export type DeviceView = Static<typeof DeviceSchema>;

export const CertificateSchema = object({
  serial: Type.String(),
  owner: Type.String({ description: 'Device id, or the name of a service, operator or station.' }),
  kind: Type.String(),
  profile: Type.String(),
  authority: Type.String(),
  state: Type.Union([Type.Literal('active'), Type.Literal('superseded'), Type.Literal('revoked')]),
  notBefore: timestamp('Valid from.'),
  notAfter: timestamp('Valid to.'),
  revokedAt: nullable(timestamp('Revoked at.')),
  reason: nullable(Type.String()),
  certificate: PemCertificate,
});
export type CertificateView = Static<typeof CertificateSchema>;

const TopicsSchema = object({
  publish: Type.Array(Type.String()),
  subscribe: Type.Array(Type.String()),
});

export const EvidenceSchema = object(
  {
    ledger: object({ seq: Type.Integer(), at: timestamp('Durable at.') }),
    targets: Type.Array(
      object({
        target: Type.String(),
        done: Type.Boolean(),
        at: nullable(timestamp('Acknowledged by the broker at.')),
      }),
      {
        description:
          'Brokers: the identity is known there (enrolled), or gone and its session cut.',
      },
    ),
    ocsp: Type.Optional(object({ status: Type.String(), at: timestamp('In force since.') })),
    crl: Type.Optional(
      object({
        authority: Type.String(),
        number: nullable(Type.Integer()),
        at: nullable(timestamp('Published at.')),
      }),
    ),
  },
  'What has taken effect so far, each with its time.',
);
export type Evidence = Static<typeof EvidenceSchema>;

export const EnrollRequestSchema = object({
  id: Type.Optional(DeviceIdSchema),
  csr: PemCsr,
  token: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Enrollment token; or send it as Authorization: Bearer.',
    }),
  ),
  validity: Type.Optional(ValidityRequest),
});
export type EnrollRequest = Static<typeof EnrollRequestSchema>;

export const EnrollResponseSchema = object({
  device: DeviceSchema,
  serial: Type.String(),
  certificate: PemCertificate,
  chain: Type.Array(PemCertificate, {
    description: 'Issuing CA first; the root is in /v1/trust-bundle.',
  }),
  broker: object({ url: Type.String(), clientId: Type.String(), topics: TopicsSchema }),
  provisioned: Type.Boolean({
    description: 'Whether every broker knows the identity already; false: pending, see evidence.',
  }),
  evidence: EvidenceSchema,
});
export type EnrollResponse = Static<typeof EnrollResponseSchema>;

export const RenewRequestSchema = object({
  csr: Type.Optional(PemCsr),
  validity: Type.Optional(ValidityRequest),
});
export type RenewRequest = Static<typeof RenewRequestSchema>;

export const ReasonRequestSchema = object({
  reason: Type.Optional(RevocationReasonSchema),
  wait: Type.Optional(
    Type.Boolean({ description: 'Answer only when every effect holds, or after 10 s.' }),
  ),
});
export type ReasonRequest = Static<typeof ReasonRequestSchema>;

export const DeviceChangeResponseSchema = object({
  device: DeviceSchema,
  evidence: EvidenceSchema,
});
export type DeviceChangeResponse = Static<typeof DeviceChangeResponseSchema>;

export const HistoryResponseSchema = object({
  items: Type.Array(
    object({
      seq: Type.Integer(),
      at: timestamp('When.'),
      actor: Type.String(),
      kind: Type.String(),
      data: Type.Record(Type.String(), Type.Unknown()),
    }),
  ),
  certificates: Type.Array(CertificateSchema),
});
export type HistoryResponse = Static<typeof HistoryResponseSchema>;

const listOf = <T extends TSchema>(item: T) =>
  object({
    items: Type.Array(item),
    nextCursor: nullable(
      Type.String({ description: 'Give it back as ?cursor=; null at the end.' }),
    ),
  });
const pageQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 500 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
};
export const PageQuerySchema = object(pageQuery);

export const DeviceQuerySchema = object({
  state: Type.Optional(DeviceStateSchema),
  type: Type.Optional(Type.String({ maxLength: 64 })),
  batch: Type.Optional(Type.String({ maxLength: 64 })),
  label: Type.Optional(
    Type.String({ maxLength: 270, pattern: '^[^=]+=.*$', description: 'name=value' }),
  ),
  expiresBefore: Type.Optional(timestamp('Newest certificate ends before.')),
  q: Type.Optional(Type.String({ maxLength: 64, description: 'Id begins with.' })),
  ...pageQuery,
});
export const DeviceListSchema = listOf(DeviceSchema);
export type DeviceList = Static<typeof DeviceListSchema>;

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
export type IssueCertificateResponse = Static<typeof IssueCertificateResponseSchema>;

export const CertificateChangeResponseSchema = object({
  certificate: CertificateSchema,
  evidence: EvidenceSchema,
});
export type CertificateChangeResponse = Static<typeof CertificateChangeResponseSchema>;

export const CreateTokenRequestSchema = object({
  use: Type.Optional(
    Type.Union([Type.Literal('enroll'), Type.Literal('api')], { default: 'enroll' }),
  ),
  description: Type.Optional(Type.String({ maxLength: 200 })),
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
export type CreateTokenResponse = Static<typeof CreateTokenResponseSchema>;
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
    Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
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
export type CreateBatchRequest = Static<typeof CreateBatchRequestSchema>;
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

export const AlertSchema = object({
  key: Type.String(),
  severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('critical')]),
  summary: Type.String(),
  count: Type.Integer(),
  examples: Type.Array(Type.String()),
  firstAt: timestamp('Fired.'),
  lastAt: timestamp('Last seen.'),
  resolvedAt: nullable(timestamp('Resolved.')),
});
export type AlertView = Static<typeof AlertSchema>;
export const AlertQuerySchema = object({
  all: Type.Optional(Type.Boolean({ default: false, description: 'Resolved ones too.' })),
});
export const AlertListSchema = object({
  items: Type.Array(AlertSchema),
  nextCursor: Type.Null(),
});
export type AlertList = Static<typeof AlertListSchema>;

export const TargetSchema = object({
  name: Type.String(),
  healthy: Type.Boolean(),
  position: Type.Integer({ description: 'Ledger entries applied.' }),
  lag: Type.Integer({ description: 'Ledger entries still to apply.' }),
  lastError: nullable(Type.String()),
});
export const TargetListSchema = object({
  items: Type.Array(TargetSchema),
  nextCursor: Type.Null(),
});
export type TargetList = Static<typeof TargetListSchema>;

export const AuthoritySchema = object({
  id: Type.String(),
  role: Type.Union([Type.Literal('root'), Type.Literal('issuing')]),
  subject: Type.String(),
  serial: Type.String(),
  notBefore: timestamp('Valid from.'),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  crl: nullable(
    object({
      url: Type.String(),
      number: Type.Integer(),
      thisUpdate: timestamp('Published.'),
      nextUpdate: timestamp('Good until.'),
    }),
  ),
});
export const AuthorityListSchema = object({
  items: Type.Array(AuthoritySchema),
  nextCursor: Type.Null(),
});
export type AuthorityList = Static<typeof AuthorityListSchema>;

export const WhoAmISchema = object({
  name: Type.String(),
  role: Type.String(),
  via: Type.Union([Type.Literal('certificate'), Type.Literal('token')]),
  time: timestamp("The service's clock."),
});
export type WhoAmI = Static<typeof WhoAmISchema>;

export const HealthSchema = object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('starting'), Type.Literal('failing')]),
  checks: Type.Record(Type.String(), Type.String()),
});
export type Health = Static<typeof HealthSchema>;

export const DeviceParamsSchema = object({ id: DeviceIdSchema });
export const SerialParamsSchema = object({ serial: SerialSchema });
export const BatchParamsSchema = object({ id: Name });
export const TokenParamsSchema = object({ id: Type.String({ pattern: '^[a-z]+_[0-9a-f]{24}$' }) });
