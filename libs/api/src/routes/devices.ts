// Devices: enrolling, renewing, looking at them, and the changes of their state.
import { Type, type Static } from 'typebox';
import {
  DeviceIdSchema,
  DeviceStateSchema,
  LabelName,
  LabelsSchema,
  PemCertificate,
  PemCsr,
  ReasonRequestSchema,
  ValidityRequest,
  listOf,
  nullable,
  object,
  pageQuery,
  plainText,
  timestamp,
} from '../schemas/common.ts';
import {
  BrokerAccessSchema,
  BrokerName,
  ConnectionQuerySchema,
  ConnectionSchema,
} from '../schemas/broker-access.ts';
import { EvidenceSchema } from '../schemas/evidence.ts';
import { CertificateSchema } from './certificates.ts';
import { EntrySchema } from './ledger.ts';
import { administrators, json, jsonOrCsr, readers, type RouteContract } from './route-contract.ts';

export const PresenceSchema = object(
  {
    status: Type.Union([Type.Literal('online'), Type.Literal('offline'), Type.Literal('unknown')], {
      description:
        'Whether a broker has a connection of it. Unknown: a broker tells no such thing, or has not been heard of for a minute.',
    }),
    lastSeen: nullable(
      timestamp('When a broker last had a connection of it; null: none has told of one.'),
    ),
    since: nullable(timestamp('When it connected; null: it is not online.')),
    broker: nullable(Type.String({ description: 'The target that saw it last.' })),
    address: nullable(
      Type.String({ description: 'IP address it came from, as the broker saw it.' }),
    ),
    clientId: nullable(Type.String({ description: 'MQTT client id.' })),
    protocol: nullable(
      Type.String({ description: 'MQTT version it speaks: 3.1, 3.1.1 or 5.', examples: ['5'] }),
    ),
  },
  'Who is there, as brokers have told within some seconds.',
);
export type PresenceView = Static<typeof PresenceSchema>;

export const DeviceSchema = object({
  id: DeviceIdSchema,
  kind: Type.Union([Type.Literal('device'), Type.Literal('service')], {
    description: 'A device, or a service: an application with an identity (/v1/services).',
  }),
  type: Type.String({
    description: 'Device type; of a service "service:" and its role.',
  }),
  role: nullable(
    Type.String({
      description:
        'Its role on the brokers (ca-config/roles); null: its type is not configured any more.',
    }),
  ),
  batch: nullable(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  state: DeviceStateSchema,
  serial: nullable(Type.String({ description: 'Serial of the newest certificate.' })),
  notAfter: nullable(timestamp('End of the newest certificate.')),
  createdAt: timestamp('First enrolled.'),
  updatedAt: timestamp('Last changed.'),
  presence: PresenceSchema,
});
export type DeviceView = Static<typeof DeviceSchema>;

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
  broker: BrokerName,
});

export const EnrollResponseSchema = object({
  device: DeviceSchema,
  serial: Type.String(),
  certificate: PemCertificate,
  chain: Type.Array(PemCertificate, {
    description: 'Issuing CA first; the root is in /v1/trust-bundle.',
  }),
  broker: BrokerAccessSchema,
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
      description:
        'How long it holds, for instance 12h; default 1d, at most 30d. ISO 8601 (PT12H) is taken too.',
    }),
  ),
});

export const AllowRenewalResponseSchema = object({
  device: Type.String(),
  until: timestamp('Holds until.'),
});

export const LabelRequestSchema = object({
  set: Type.Optional(LabelsSchema),
  remove: Type.Optional(
    Type.Array(LabelName, { maxItems: 32, description: 'Names of labels to take off.' }),
  ),
  wait: Type.Optional(
    Type.Boolean({ description: 'Answer only when every broker has what follows from it.' }),
  ),
});

export const DeviceChangeResponseSchema = object({
  device: DeviceSchema,
  evidence: EvidenceSchema,
});

export const HistoryResponseSchema = object({
  items: Type.Array(EntrySchema),
  certificates: Type.Array(CertificateSchema),
});
export type HistoryResponse = Static<typeof HistoryResponseSchema>;

export const RefusalListSchema = object({
  items: Type.Array(
    object({
      event: Type.String({
        description: 'connection refused, message denied, subscription denied, …',
      }),
      reason: Type.String({ description: 'A stable word for it, as in the log of the broker.' }),
      topic: nullable(Type.String({ description: 'Topic or filter, where it is about one.' })),
      count: Type.Integer({ description: 'How often it was refused the same.' }),
      firstAt: timestamp('First.'),
      lastAt: timestamp('Last.'),
      broker: Type.String({ description: 'The target that refused.' }),
      address: nullable(Type.String({ description: 'IP address of the peer.' })),
      clientId: nullable(Type.String()),
      serial: nullable(Type.String({ description: 'Of the certificate that was shown.' })),
      happened: Type.String(),
      remedy: Type.String({ description: 'What to do about it.' }),
      proven: Type.Boolean({
        description:
          'Whether the peer has shown that the name is its own. False: anybody can have said it.',
      }),
    }),
  ),
  nextCursor: Type.Null(),
});
export type RefusalList = Static<typeof RefusalListSchema>;

export const DeviceQuerySchema = object({
  state: Type.Optional(DeviceStateSchema),
  type: Type.Optional(Type.String({ maxLength: 80 })),
  batch: Type.Optional(Type.String({ maxLength: 64 })),
  label: Type.Optional(
    Type.String({ maxLength: 270, pattern: '^[^=]+=.*$', description: 'name=value' }),
  ),
  expiresBefore: Type.Optional(timestamp('Newest certificate ends before.')),
  q: Type.Optional(plainText(64, 'Id begins with.')),
  online: Type.Optional(
    Type.Literal('true', { description: 'Those that a broker has a connection of.' }),
  ),
  notSeenSince: Type.Optional(
    timestamp('No broker has told of a connection since: also those that none ever told of.'),
  ),
  ...pageQuery,
});

export const DeviceListSchema = listOf(DeviceSchema);
export type DeviceList = Static<typeof DeviceListSchema>;

export const DeviceParamsSchema = object({ id: DeviceIdSchema });

export const deviceRoutes = {
  enroll: {
    method: 'POST',
    url: '/v1/enroll',
    admits: ['anyone'],
    tag: 'devices',
    summary: 'Enroll a device',
    description:
      'A CSR and an enrollment token give a certificate, and the identity on the broker. The same CSR with the same token again answers with the same certificate (200).',
    status: 201,
    body: EnrollRequestSchema,
    takes: jsonOrCsr,
    response: EnrollResponseSchema,
    givesCertificate: true,
  },
  renew: {
    method: 'POST',
    url: '/v1/renew',
    admits: ['device', 'service'],
    tag: 'devices',
    summary: "Renew the caller's certificate",
    description:
      'Over mTLS with the current certificate. With a CSR the device changes its key, without one it keeps it.',
    status: 201,
    body: RenewRequestSchema,
    takes: jsonOrCsr,
    bodyOptional: true,
    response: EnrollResponseSchema,
    givesCertificate: true,
    keepsAnswer: true,
  },
  listDevices: {
    method: 'GET',
    url: '/v1/devices',
    admits: readers,
    tag: 'devices',
    summary: 'List and search devices',
    status: 200,
    query: DeviceQuerySchema,
    response: DeviceListSchema,
  },
  getDevice: {
    method: 'GET',
    url: '/v1/devices/:id',
    admits: [...readers, 'device', 'service'],
    tag: 'devices',
    summary: 'One device or service (each may read itself)',
    status: 200,
    params: DeviceParamsSchema,
    response: DeviceSchema,
  },
  getConnection: {
    method: 'GET',
    url: '/v1/devices/:id/connection',
    admits: [...readers, 'device', 'service'],
    tag: 'devices',
    summary: 'The broker that a device or service is meant to use, and its topics there',
    description: 'Each may ask for itself.',
    status: 200,
    params: DeviceParamsSchema,
    query: ConnectionQuerySchema,
    response: ConnectionSchema,
  },
  getDeviceHistory: {
    method: 'GET',
    url: '/v1/devices/:id/history',
    admits: readers,
    tag: 'devices',
    summary: 'What happened to a device, and its certificates',
    status: 200,
    params: DeviceParamsSchema,
    response: HistoryResponseSchema,
  },
  listDeviceRefusals: {
    method: 'GET',
    url: '/v1/devices/:id/refusals',
    admits: readers,
    tag: 'devices',
    summary: 'What brokers refused to a device, each with what to do',
    description:
      'The last ten different ones that it met itself, and the last three of somebody who said its name.',
    status: 200,
    params: DeviceParamsSchema,
    response: RefusalListSchema,
  },
  revokeDevice: {
    method: 'POST',
    url: '/v1/devices/:id/revoke',
    admits: administrators,
    tag: 'devices',
    summary: 'Revoke a device: certificates, session, rights, in one call',
    status: 200,
    params: DeviceParamsSchema,
    body: ReasonRequestSchema,
    takes: json,
    bodyOptional: true,
    response: DeviceChangeResponseSchema,
    underReserve: true,
  },
  suspendDevice: {
    method: 'POST',
    url: '/v1/devices/:id/suspend',
    admits: administrators,
    tag: 'devices',
    summary: 'Suspend a device until it is resumed (certificateHold)',
    status: 200,
    params: DeviceParamsSchema,
    body: ReasonRequestSchema,
    takes: json,
    bodyOptional: true,
    response: DeviceChangeResponseSchema,
    underReserve: true,
  },
  resumeDevice: {
    method: 'POST',
    url: '/v1/devices/:id/resume',
    admits: administrators,
    tag: 'devices',
    summary: 'Let a suspended device back in',
    status: 200,
    params: DeviceParamsSchema,
    body: ReasonRequestSchema,
    takes: json,
    bodyOptional: true,
    response: DeviceChangeResponseSchema,
  },
  decommissionDevice: {
    method: 'POST',
    url: '/v1/devices/:id/decommission',
    admits: administrators,
    tag: 'devices',
    summary: 'End the life of a device; its id may be enrolled anew with a new key',
    status: 200,
    params: DeviceParamsSchema,
    body: ReasonRequestSchema,
    takes: json,
    bodyOptional: true,
    response: DeviceChangeResponseSchema,
    underReserve: true,
  },
  labelDevice: {
    method: 'POST',
    url: '/v1/devices/:id/labels',
    admits: administrators,
    tag: 'devices',
    summary: 'Set and remove labels of a device',
    description: 'Labels that are not named stay. Rights that name a label follow on every broker.',
    status: 200,
    params: DeviceParamsSchema,
    body: LabelRequestSchema,
    takes: json,
    response: DeviceChangeResponseSchema,
  },
  allowRenewal: {
    method: 'POST',
    url: '/v1/devices/:id/allow-renewal',
    admits: administrators,
    tag: 'devices',
    summary: 'Let a device renew once before its window, with the key it has',
    status: 200,
    params: DeviceParamsSchema,
    takes: json,
    body: AllowRenewalRequestSchema,
    response: AllowRenewalResponseSchema,
  },
} as const satisfies Record<string, RouteContract>;
