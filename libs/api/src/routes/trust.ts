// The trust bundle: the roots that relying parties trust.
import { Type } from 'typebox';
import { object, timestamp } from '../schemas/common.ts';
import { json, type RouteContract } from './route-contract.ts';

export const TrustBundleSchema = Type.String({ description: 'Certificates, PEM.' });

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

export const trustRoutes = {
  trustBundle: {
    method: 'GET',
    url: '/v1/trust-bundle',
    admits: ['anyone'],
    tag: 'operations',
    summary: 'The roots that relying parties trust, PEM; also on the plain listener',
    status: 200,
    response: TrustBundleSchema,
    responseType: 'application/pem-certificate-chain',
  },
  addTrustCertificate: {
    method: 'POST',
    url: '/v1/trust-bundle',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Add a root, or a cross-signed one, to the trust bundle that GET gives to anybody',
    description:
      'A self-signed root is trusted by everything that takes the bundle from then on. A cross certificate (keyline-root cross-sign) lets those that trust one root follow to the other.',
    status: 200,
    body: TrustCertificateRequestSchema,
    takes: json,
    response: TrustCertificateResponseSchema,
  },
} as const satisfies Record<string, RouteContract>;
