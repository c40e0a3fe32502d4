// Certificates by serial, and certificates for what is not a device.
import { Type, type Static } from 'typebox';
import {
  Name,
  PemCertificate,
  PemCsr,
  ReasonRequestSchema,
  SerialSchema,
  ValidityRequest,
  listOf,
  nullable,
  object,
  pageQuery,
  plainText,
  timestamp,
} from '../schemas/common.ts';
import { EvidenceSchema } from '../schemas/evidence.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

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

export const CertificateQuerySchema = object({
  kind: Type.Optional(
    Type.Union(
      [
        Type.Literal('server'),
        Type.Literal('service'),
        Type.Literal('operator'),
        Type.Literal('station'),
        Type.Literal('ocsp'),
      ],
      { description: 'What it is for.' },
    ),
  ),
  q: Type.Optional(plainText(64, 'Name begins with.')),
  expiresBefore: Type.Optional(timestamp('Ends before.')),
  ...pageQuery,
});

export const CertificateListSchema = listOf(CertificateSchema);

export const SerialParamsSchema = object({ serial: SerialSchema });

export const certificateRoutes = {
  issueCertificate: {
    method: 'POST',
    url: '/v1/certificates',
    admits: ['admin'],
    tag: 'certificates',
    summary: 'Issue a certificate for a server, service, operator or station',
    status: 201,
    body: IssueCertificateRequestSchema,
    takes: json,
    response: IssueCertificateResponseSchema,
    givesCertificate: true,
    keepsAnswer: true,
  },
  listCertificates: {
    method: 'GET',
    url: '/v1/certificates',
    admits: readers,
    tag: 'certificates',
    summary: 'Certificates of servers, services, operators and stations that are in force',
    description:
      "Those that were neither superseded nor revoked, also where they have ended. A device's are with the device.",
    status: 200,
    query: CertificateQuerySchema,
    response: CertificateListSchema,
  },
  getCertificate: {
    method: 'GET',
    url: '/v1/certificates/:serial',
    admits: readers,
    tag: 'certificates',
    summary: 'One certificate by serial',
    status: 200,
    params: SerialParamsSchema,
    response: CertificateSchema,
    givesCertificate: true,
  },
  renewalInfo: {
    method: 'GET',
    url: '/v1/renewal-info/:id',
    admits: ['anyone'],
    tag: 'certificates',
    summary: 'When a certificate should be renewed (RFC 9773)',
    description:
      'The id is base64url(authority key identifier) "." base64url(serial). Pick a time in the window at random; a window in the past means now. Retry-After says when to ask again.',
    status: 200,
    params: RenewalInfoParamsSchema,
    response: RenewalInfoSchema,
  },
  revokeCertificate: {
    method: 'POST',
    url: '/v1/certificates/:serial/revoke',
    admits: administrators,
    tag: 'certificates',
    summary: 'Revoke one certificate; its device stays',
    status: 200,
    params: SerialParamsSchema,
    body: ReasonRequestSchema,
    takes: json,
    bodyOptional: true,
    response: CertificateChangeResponseSchema,
    underReserve: true,
  },
} as const satisfies Record<string, RouteContract>;
