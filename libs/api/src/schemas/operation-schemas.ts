// Messages about alerts, brokers, authorities and the service itself.
import { Type, type Static } from 'typebox';
import { timestamp, nullable, object, plainText, PemCertificate } from './common.ts';

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
export const AlertParamsSchema = object({
  key: Type.String({ minLength: 1, maxLength: 200 }),
});
export const AlertQuerySchema = object({
  all: Type.Optional(Type.Boolean({ default: false, description: 'Resolved ones too.' })),
});
export const AlertListSchema = object({
  items: Type.Array(AlertSchema),
  nextCursor: Type.Null(),
});

export const AlertChannelSchema = object({
  name: Type.String(),
  lag: Type.Integer({ description: 'Ledger entries that it has not been told of yet.' }),
  lastError: nullable(
    Type.String({ description: 'Why the last delivery failed; it is tried again until it works.' }),
  ),
  unreachable: nullable(
    Type.String({
      description: 'Why it could not deliver now: it was asked without being told anything.',
    }),
  ),
});
export type AlertChannelView = Static<typeof AlertChannelSchema>;
export const AlertChannelListSchema = object({
  items: Type.Array(AlertChannelSchema),
  nextCursor: Type.Null(),
});

export const TargetSchema = object({
  name: Type.String(),
  healthy: Type.Boolean({
    description:
      'Whether it is connected, answers and does as told. What is not is not waited for by requests.',
  }),
  position: Type.Integer({ description: 'Ledger entries applied.' }),
  lag: Type.Integer({ description: 'Ledger entries still to apply.' }),
  lastError: nullable(Type.String()),
  compared: nullable(
    object(
      {
        at: timestamp('Ended.'),
        milliseconds: Type.Integer(),
        devices: Type.Integer(),
        missing: Type.Integer({ description: 'Were not known there.' }),
        changed: Type.Integer({ description: 'Had another role, group or state.' }),
        stale: Type.Integer({ description: 'Were revoked or decommissioned, and still there.' }),
        foreign: Type.Integer({
          description:
            "Named like devices and unknown to the fleet; removed only where the broker is Keyline's alone.",
        }),
        roles: Type.Integer({
          description: 'Roles and default rights that were not as ca-config has them.',
        }),
      },
      'The last comparison with the fleet: what differed was repaired.',
    ),
  ),
});
export type TargetView = Static<typeof TargetSchema>;
export const TargetParamsSchema = object({
  name: Type.String({ maxLength: 64, pattern: '^[a-z0-9][a-z0-9-]*$' }),
});
export const ExportQuerySchema = object({
  admin: Type.Optional(
    plainText(64, 'User name that administers the broker; default keyline@service.'),
  ),
});
export const DynamicSecuritySchema = Type.Object(
  {},
  { additionalProperties: true, description: "Mosquitto's own format." },
);
export const TargetListSchema = object({
  items: Type.Array(TargetSchema),
  nextCursor: Type.Null(),
});

const AuthorityIdSchema = Type.String({
  minLength: 1,
  maxLength: 32,
  pattern: '^[a-z0-9][a-z0-9-]*$',
  description: 'Short name in URLs.',
});
const crlView = {
  url: Type.String(),
  number: Type.Integer(),
  thisUpdate: timestamp('Published.'),
  nextUpdate: timestamp('Good until.'),
};
export const AuthoritySchema = object({
  id: Type.String(),
  role: Type.Union([Type.Literal('root'), Type.Literal('issuing')]),
  state: Type.Union([Type.Literal('ready'), Type.Literal('retired'), Type.Literal('revoked')], {
    description:
      "A retired one signs only CRL and OCSP, until its last leaf ends. A revoked one is listed in its root's CRL: it issues nothing, and nothing it issued is accepted.",
  }),
  revokedAt: nullable(timestamp("What its root's CRL says.")),
  reason: nullable(Type.String()),
  profiles: Type.Array(Type.String(), { description: 'Profiles it issues now.' }),
  lastLeafEnds: nullable(
    timestamp('Latest end of a certificate that a retired one signed: it may go then.'),
  ),
  subject: Type.String(),
  serial: Type.String(),
  notBefore: timestamp('Valid from.'),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  crl: nullable(object(crlView)),
});
export type AuthorityView = Static<typeof AuthoritySchema>;
const PendingAuthoritySchema = object({
  id: Type.String(),
  csr: Type.String({ description: 'For the root to sign (keyline-root sign-intermediate), PEM.' }),
  createdAt: timestamp('Added.'),
});
export const AddAuthorityRequestSchema = object({
  id: AuthorityIdSchema,
  commonName: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      // Neither control characters, nor blanks at the ends.
      pattern: '^[^\\s\\p{C}](.*[^\\s\\p{C}])?$',
      description: 'Default: "Keyline Issuing CA ID".',
    }),
  ),
  algorithm: Type.Optional(
    Type.String({ maxLength: 20, description: 'Key algorithm; default ec-p256.' }),
  ),
});
export const AddAuthorityResponseSchema = PendingAuthoritySchema;
export const InstallAuthorityRequestSchema = object({
  certificate: Type.String({ maxLength: 64_000, description: 'What the root signed, PEM.' }),
  root: Type.String({ maxLength: 64_000, description: 'The root certificate, PEM.' }),
});
export const TrustCertificateRequestSchema = object({
  certificate: Type.String({ maxLength: 64_000, description: "An authority's certificate, PEM." }),
});
export const TrustCertificateResponseSchema = object({
  subject: Type.String(),
  issuer: Type.String(),
  serial: Type.String(),
  notAfter: timestamp('Valid to.'),
  selfSigned: Type.Boolean(),
});
export const ImportRootCrlRequestSchema = object({
  crl: Type.String({ maxLength: 4_000_000, description: "A root's complete CRL, PEM." }),
  ocsp: Type.Optional(
    Type.String({
      maxLength: 1_000_000,
      description:
        'The OCSP answers of the same run of keyline-root crl (root.crl.ocsp): PEM blocks "OCSP RESPONSE".',
    }),
  ),
});
export const ImportRootCrlResponseSchema = object({
  authority: Type.String(),
  ...crlView,
  revoked: Type.Array(Type.String(), {
    description: 'Authorities that it lists and that are revoked with it.',
  }),
});
export const ActivateAuthorityRequestSchema = object({
  profiles: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      minItems: 1,
      maxItems: 100,
      uniqueItems: true,
      description: 'Default: all.',
    }),
  ),
});
export const AuthorityParamsSchema = object({ id: AuthorityIdSchema });
export const AuthorityListSchema = object({
  items: Type.Array(AuthoritySchema),
  pending: Type.Array(PendingAuthoritySchema, { description: 'Waiting for the root.' }),
  nextCursor: Type.Null(),
});
export type AuthorityList = Static<typeof AuthorityListSchema>;

export const ApprovalSchema = object({
  id: Type.String(),
  action: Type.String({ description: 'The operation, as the API calls it.' }),
  summary: Type.String(),
  requestedBy: Type.String(),
  requestedAt: timestamp('Asked for.'),
  expiresAt: timestamp('Open until.'),
  state: Type.Union([
    Type.Literal('open'),
    Type.Literal('approved'),
    Type.Literal('rejected'),
    Type.Literal('expired'),
  ]),
  decidedBy: nullable(Type.String()),
  decidedAt: nullable(timestamp('Approved or rejected.')),
});
export type ApprovalView = Static<typeof ApprovalSchema>;
export const ApprovalListSchema = object({
  items: Type.Array(ApprovalSchema),
  nextCursor: nullable(Type.String()),
});
export const ApprovalParamsSchema = object({
  id: Type.String({ maxLength: 64, pattern: '^apr_[A-Za-z0-9_-]+$' }),
});
export const ApproveResponseSchema = object({
  approval: ApprovalSchema,
  result: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the operation itself answers.',
  }),
});

export const WhoAmISchema = object({
  name: Type.String(),
  role: Type.String(),
  via: Type.Union([Type.Literal('certificate'), Type.Literal('token')]),
  time: timestamp("The service's clock."),
});

export const TrustBundleSchema = Type.String({ description: 'Certificates, PEM.' });

export const MetricsSchema = Type.String({ description: 'Prometheus text format.' });

export const HealthSchema = object({
  status: Type.Union(
    [
      Type.Literal('ok'),
      Type.Literal('degraded'),
      Type.Literal('starting'),
      Type.Literal('failing'),
    ],
    {
      description:
        'degraded: it serves, and something needs somebody (a broker is behind, an authority is revoked).',
    },
  ),
  checks: Type.Record(Type.String(), Type.String()),
});
export type Health = Static<typeof HealthSchema>;
