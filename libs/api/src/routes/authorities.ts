// Issuing authorities, and what their roots say of them.
import { Type, type Static } from 'typebox';
import { NothingSchema, PemCertificate, nullable, object, timestamp } from '../schemas/common.ts';
import { json, readers, type RouteContract } from './route-contract.ts';

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

export const authoritieRoutes = {
  listAuthorities: {
    method: 'GET',
    url: '/v1/authorities',
    admits: [...readers, 'station', 'device'],
    tag: 'operations',
    summary: 'Authorities and their CRLs',
    status: 200,
    response: AuthorityListSchema,
  },
  addAuthority: {
    method: 'POST',
    url: '/v1/authorities',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Add an issuing authority: a new key here, and its CSR for the root',
    status: 201,
    body: AddAuthorityRequestSchema,
    takes: json,
    response: AddAuthorityResponseSchema,
  },
  installAuthority: {
    method: 'POST',
    url: '/v1/authorities/:id/certificate',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Give an added authority the certificate that the root signed',
    description:
      'It issues nothing until it is activated. Its root joins the trust bundle: let devices and brokers learn it first.',
    status: 200,
    params: AuthorityParamsSchema,
    body: InstallAuthorityRequestSchema,
    takes: json,
    response: AuthoritySchema,
  },
  importRootCrl: {
    method: 'POST',
    url: '/v1/root-crls',
    admits: ['admin'],
    tag: 'operations',
    summary:
      "Bring a root's CRL and OCSP answers, as keyline-root crl makes them; they are served at /crl/root.crl and /ocsp",
    status: 200,
    body: ImportRootCrlRequestSchema,
    takes: json,
    response: ImportRootCrlResponseSchema,
    underReserve: true,
  },
  activateAuthority: {
    method: 'POST',
    url: '/v1/authorities/:id/activate',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Make an authority the issuer of profiles from now on',
    status: 200,
    params: AuthorityParamsSchema,
    body: ActivateAuthorityRequestSchema,
    takes: json,
    response: AuthoritySchema,
  },
  retireAuthority: {
    method: 'POST',
    url: '/v1/authorities/:id/retire',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Retire an authority: only CRL and OCSP from now on',
    status: 200,
    params: AuthorityParamsSchema,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: AuthoritySchema,
  },
} as const satisfies Record<string, RouteContract>;
