// Certificates that one of our authorities signed and that are not on record: held until a person adopts or revokes them.
import { Type, type Static } from 'typebox';
import {
  listOf,
  Name,
  nullable,
  object,
  pageQuery,
  PemCertificate,
  RevocationReasonSchema,
  SerialSchema,
  timestamp,
} from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

export const QuarantinedSchema = object({
  serial: SerialSchema,
  identity: Type.String({ description: 'Whom the certificate names.' }),
  authority: nullable(
    Type.String({ description: 'Which authority signed it; null: only a broker told of it.' }),
  ),
  seenBy: Type.String({ description: '"api", or the name of the broker where it was seen first.' }),
  address: Type.String({ description: 'Where it came from first; empty: not known.' }),
  firstAt: timestamp('Seen first.'),
  lastAt: timestamp('Seen last, within a minute.'),
  state: Type.Union([Type.Literal('waiting'), Type.Literal('adopted'), Type.Literal('revoked')], {
    description: 'Nothing that is waiting is let in.',
  }),
  decidedBy: nullable(Type.String({ description: 'Who adopted or revoked it.' })),
  decidedAt: nullable(timestamp('When that was.')),
  certificate: nullable(PemCertificate),
});
export type QuarantinedView = Static<typeof QuarantinedSchema>;

export const QuarantineQuerySchema = object({
  ...pageQuery,
  all: Type.Optional(
    Type.Boolean({ default: false, description: 'Those that were decided about, too.' }),
  ),
});

const params = object({ serial: SerialSchema });

export const AdoptRequestSchema = object({
  certificate: Type.Optional(
    Type.String({
      maxLength: 16_384,
      description: 'The certificate, PEM, where nobody has presented it to this service yet.',
    }),
  ),
  type: Type.Optional(
    Type.String({
      maxLength: 64,
      description: 'Type of a device that is not on record; default "default".',
    }),
  ),
});

export const RevokeQuarantinedRequestSchema = object({
  reason: Type.Optional(RevocationReasonSchema),
  authority: Type.Optional(Name),
});

export const quarantineRoutes = {
  listQuarantine: {
    method: 'GET',
    url: '/v1/quarantine',
    admits: readers,
    tag: 'operations',
    summary: 'Certificates that are not on record, and held',
    description:
      'One of our authorities signed them and this database does not know them: it was brought back from an older day, or somebody else has the key.',
    status: 200,
    query: QuarantineQuerySchema,
    response: listOf(QuarantinedSchema),
  },
  adoptQuarantined: {
    method: 'POST',
    url: '/v1/quarantine/:serial/adopt',
    admits: administrators,
    tag: 'operations',
    summary: 'Take a held certificate for one that was issued here',
    description: 'A device that is not on record is made; one that is goes on with the newer one.',
    status: 200,
    params,
    takes: json,
    body: AdoptRequestSchema,
    response: QuarantinedSchema,
  },
  revokeQuarantined: {
    method: 'POST',
    url: '/v1/quarantine/:serial/revoke',
    admits: administrators,
    tag: 'operations',
    summary: 'Revoke a held certificate',
    description: 'It is on the next CRL, and stays there until its authority ends.',
    status: 200,
    params,
    takes: json,
    body: RevokeQuarantinedRequestSchema,
    response: QuarantinedSchema,
  },
} as const satisfies Record<string, RouteContract>;
