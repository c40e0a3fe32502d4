// The REST contract as one table: method, path, who may call, what goes in and comes out. The service registers from it, the CLI calls by it.
import type { TSchema } from 'typebox';
import * as s from './schemas/index.ts';

/** Who may call. `anyone`: no proof of identity is asked for (the route checks its own, such as an enrollment token). */
export type Admits = 'admin' | 'operator' | 'station' | 'auditor' | 'device' | 'anyone';

export interface RouteContract {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly admits: readonly Admits[];
  readonly tag: 'devices' | 'line' | 'tokens' | 'certificates' | 'operations';
  readonly summary: string;
  readonly description?: string;
  readonly status: 200 | 201;
  readonly params?: TSchema;
  readonly query?: TSchema;
  readonly body?: TSchema;
  readonly response: TSchema;
}

const administrators = ['admin', 'operator'] as const;
const readers = ['admin', 'operator', 'auditor'] as const;

export const routes = {
  enroll: {
    method: 'POST',
    url: '/v1/enroll',
    admits: ['anyone'],
    tag: 'devices',
    summary: 'Enroll a device',
    description:
      'A CSR and an enrollment token give a certificate, and the identity on the broker. The same CSR with the same token again answers with the same certificate (200).',
    status: 201,
    body: s.EnrollRequestSchema,
    response: s.EnrollResponseSchema,
  },
  renew: {
    method: 'POST',
    url: '/v1/renew',
    admits: ['device'],
    tag: 'devices',
    summary: "Renew the caller's certificate",
    description:
      'Over mTLS with the current certificate. With a CSR the device changes its key, without one it keeps it.',
    status: 201,
    body: s.RenewRequestSchema,
    response: s.EnrollResponseSchema,
  },
  listDevices: {
    method: 'GET',
    url: '/v1/devices',
    admits: readers,
    tag: 'devices',
    summary: 'List and search devices',
    status: 200,
    query: s.DeviceQuerySchema,
    response: s.DeviceListSchema,
  },
  getDevice: {
    method: 'GET',
    url: '/v1/devices/:id',
    admits: [...readers, 'device'],
    tag: 'devices',
    summary: 'One device (a device may read itself)',
    status: 200,
    params: s.DeviceParamsSchema,
    response: s.DeviceSchema,
  },
  getDeviceHistory: {
    method: 'GET',
    url: '/v1/devices/:id/history',
    admits: readers,
    tag: 'devices',
    summary: 'What happened to a device, and its certificates',
    status: 200,
    params: s.DeviceParamsSchema,
    response: s.HistoryResponseSchema,
  },
  revokeDevice: {
    method: 'POST',
    url: '/v1/devices/:id/revoke',
    admits: administrators,
    tag: 'devices',
    summary: 'Revoke a device: certificates, session, rights, in one call',
    status: 200,
    params: s.DeviceParamsSchema,
    body: s.ReasonRequestSchema,
    response: s.DeviceChangeResponseSchema,
  },
  suspendDevice: {
    method: 'POST',
    url: '/v1/devices/:id/suspend',
    admits: administrators,
    tag: 'devices',
    summary: 'Suspend a device until it is resumed (certificateHold)',
    status: 200,
    params: s.DeviceParamsSchema,
    body: s.ReasonRequestSchema,
    response: s.DeviceChangeResponseSchema,
  },
  resumeDevice: {
    method: 'POST',
    url: '/v1/devices/:id/resume',
    admits: administrators,
    tag: 'devices',
    summary: 'Let a suspended device back in',
    status: 200,
    params: s.DeviceParamsSchema,
    body: s.ReasonRequestSchema,
    response: s.DeviceChangeResponseSchema,
  },
  decommissionDevice: {
    method: 'POST',
    url: '/v1/devices/:id/decommission',
    admits: administrators,
    tag: 'devices',
    summary: 'End the life of a device; its id may be enrolled anew with a new key',
    status: 200,
    params: s.DeviceParamsSchema,
    body: s.ReasonRequestSchema,
    response: s.DeviceChangeResponseSchema,
  },
  createBatch: {
    method: 'POST',
    url: '/v1/batches',
    admits: administrators,
    tag: 'line',
    summary: 'Open a batch (work order)',
    status: 201,
    body: s.CreateBatchRequestSchema,
    response: s.BatchSchema,
  },
  listBatches: {
    method: 'GET',
    url: '/v1/batches',
    admits: [...readers, 'station'],
    tag: 'line',
    summary: 'List batches',
    status: 200,
    query: s.PageQuerySchema,
    response: s.BatchListSchema,
  },
  getBatch: {
    method: 'GET',
    url: '/v1/batches/:id',
    admits: [...readers, 'station'],
    tag: 'line',
    summary: 'One batch, with how much of its quota is used',
    status: 200,
    params: s.BatchParamsSchema,
    response: s.BatchSchema,
  },
  signBatch: {
    method: 'POST',
    url: '/v1/batches/:id/sign',
    admits: [...administrators, 'station'],
    tag: 'line',
    summary: 'Sign one unit, or a stream of them',
    description:
      'application/json: one unit. application/x-ndjson: a unit a line; the answer has a line for each, in the same order, each durable before it is written. The same unit with the same key again answers with the same certificate.',
    status: 200,
    params: s.BatchParamsSchema,
    body: s.SignRequestSchema,
    response: s.SignResponseSchema,
  },
  closeBatch: {
    method: 'POST',
    url: '/v1/batches/:id/close',
    admits: administrators,
    tag: 'line',
    summary: 'Close a batch: nothing is signed for it any more',
    status: 200,
    params: s.BatchParamsSchema,
    response: s.BatchSchema,
  },
  createToken: {
    method: 'POST',
    url: '/v1/tokens',
    admits: administrators,
    tag: 'tokens',
    summary: 'Create an enrollment token or an API token (the latter: admin only)',
    status: 201,
    body: s.CreateTokenRequestSchema,
    response: s.CreateTokenResponseSchema,
  },
  listTokens: {
    method: 'GET',
    url: '/v1/tokens',
    admits: readers,
    tag: 'tokens',
    summary: 'List tokens (never their secrets)',
    status: 200,
    query: s.TokenQuerySchema,
    response: s.TokenListSchema,
  },
  revokeToken: {
    method: 'DELETE',
    url: '/v1/tokens/:id',
    admits: administrators,
    tag: 'tokens',
    summary: 'Revoke a token',
    status: 200,
    params: s.TokenParamsSchema,
    response: s.TokenSchema,
  },
  issueCertificate: {
    method: 'POST',
    url: '/v1/certificates',
    admits: ['admin'],
    tag: 'certificates',
    summary: 'Issue a certificate for a server, service, operator or station',
    status: 201,
    body: s.IssueCertificateRequestSchema,
    response: s.IssueCertificateResponseSchema,
  },
  getCertificate: {
    method: 'GET',
    url: '/v1/certificates/:serial',
    admits: readers,
    tag: 'certificates',
    summary: 'One certificate by serial',
    status: 200,
    params: s.SerialParamsSchema,
    response: s.CertificateSchema,
  },
  revokeCertificate: {
    method: 'POST',
    url: '/v1/certificates/:serial/revoke',
    admits: administrators,
    tag: 'certificates',
    summary: 'Revoke one certificate; its device stays',
    status: 200,
    params: s.SerialParamsSchema,
    body: s.ReasonRequestSchema,
    response: s.CertificateChangeResponseSchema,
  },
  listAlerts: {
    method: 'GET',
    url: '/v1/alerts',
    admits: readers,
    tag: 'operations',
    summary: 'Alerts',
    status: 200,
    query: s.AlertQuerySchema,
    response: s.AlertListSchema,
  },
  listTargets: {
    method: 'GET',
    url: '/v1/targets',
    admits: readers,
    tag: 'operations',
    summary: 'Brokers that identities are pushed to, and how far they are',
    status: 200,
    response: s.TargetListSchema,
  },
  listAuthorities: {
    method: 'GET',
    url: '/v1/authorities',
    admits: [...readers, 'station', 'device'],
    tag: 'operations',
    summary: 'Authorities and their CRLs',
    status: 200,
    response: s.AuthorityListSchema,
  },
  whoAmI: {
    method: 'GET',
    url: '/v1/whoami',
    admits: ['admin', 'operator', 'station', 'auditor', 'device'],
    tag: 'operations',
    summary: 'How the service sees the caller',
    status: 200,
    response: s.WhoAmISchema,
  },
} as const satisfies Record<string, RouteContract>;

export type RouteName = keyof typeof routes;
