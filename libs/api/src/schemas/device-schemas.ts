// Messages about devices and their certificates.
import { Type, type Static } from 'typebox';
import {
  timestamp,
  nullable,
  plainText,
  object,
  DeviceIdSchema,
  PemCsr,
  PemCertificate,
  ValidityRequest,
  DeviceStateSchema,
  RevocationReasonSchema,
  listOf,
  pageQuery,
} from './common.ts';

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
        refuses: nullable(
          Type.Union([Type.Literal('broker'), Type.Literal('crl')], {
            description:
              'Who refuses the next connection of a device that was revoked, suspended or decommissioned. broker: itself, since "at". crl: it has no rights since "at", and is refused as soon as the broker has read the complete CRL with the number below, or a later one. null: there is nobody to refuse, or the broker was not spoken to yet.',
          }),
        ),
        pending: nullable(Type.String({ description: 'Why it is not done yet.' })),
      }),
      {
        description:
          'Brokers: the identity is known there (enrolled), or its session cut and its rights gone. A broker that is known to be down is not waited for.',
      },
    ),
    ocsp: Type.Optional(object({ status: Type.String(), at: timestamp('In force since.') })),
    crl: Type.Optional(
      object({
        authority: Type.String(),
        list: Type.String({ description: 'File name in URLs without its ending.' }),
        number: nullable(Type.Integer()),
        kind: nullable(
          Type.Union([Type.Literal('complete'), Type.Literal('delta')], {
            description:
              'A delta is followed by a complete CRL with a higher number within seconds.',
          }),
        ),
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

export const AllowRenewalRequestSchema = object({
  for: Type.Optional(
    Type.String({
      maxLength: 40,
      description: 'How long it holds, ISO 8601; default P1D, at most P30D.',
    }),
  ),
});
export const AllowRenewalResponseSchema = object({
  device: Type.String(),
  until: timestamp('Holds until.'),
});

export const ReasonRequestSchema = object({
  reason: Type.Optional(RevocationReasonSchema),
  wait: Type.Optional(
    Type.Boolean({
      description:
        'Answer only when every effect holds, or after effectWait (ca-config/service.yaml; 10 s).',
    }),
  ),
});

export const DeviceChangeResponseSchema = object({
  device: DeviceSchema,
  evidence: EvidenceSchema,
});

export const HistoryResponseSchema = object({
  items: Type.Array(
    object({
      seq: Type.Integer(),
      at: timestamp('When.'),
      actor: Type.String(),
      address: nullable(
        Type.String({ description: 'IP address it was asked for from; null: by Keyline itself.' }),
      ),
      kind: Type.String(),
      data: Type.Record(Type.String(), Type.Unknown()),
    }),
  ),
  certificates: Type.Array(CertificateSchema),
});
export type HistoryResponse = Static<typeof HistoryResponseSchema>;

export const DeviceQuerySchema = object({
  state: Type.Optional(DeviceStateSchema),
  type: Type.Optional(Type.String({ maxLength: 64 })),
  batch: Type.Optional(Type.String({ maxLength: 64 })),
  label: Type.Optional(
    Type.String({ maxLength: 270, pattern: '^[^=]+=.*$', description: 'name=value' }),
  ),
  expiresBefore: Type.Optional(timestamp('Newest certificate ends before.')),
  q: Type.Optional(plainText(64, 'Id begins with.')),
  ...pageQuery,
});
export const DeviceListSchema = listOf(DeviceSchema);
export type DeviceList = Static<typeof DeviceListSchema>;

export const DeviceParamsSchema = object({ id: DeviceIdSchema });
