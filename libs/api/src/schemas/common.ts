// Pieces that messages are made of.
import { Type, type Static, type TSchema } from 'typebox';

export const timestamp = (description: string) =>
  Type.String({ format: 'date-time', description: `${description} RFC 3339, UTC.` });
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const object = <T extends Record<string, TSchema>>(properties: T, description?: string) =>
  Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });

/** Of a call that needs to be told nothing. */
export const NothingSchema = object({}, 'Nothing: {} or no body at all.');

/** Text of people: no control characters, which terminals act on, and no halves of characters, which no file can hold. */
export const plainText = (maxLength: number, description?: string) =>
  Type.String({
    maxLength,
    pattern: '^[^\\p{Cc}\\p{Cs}]*$',
    ...(description === undefined ? {} : { description }),
  });

export const DeviceIdSchema = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
  description:
    'Device id: letters, digits, ".", "_", ":" and "-". Also the MQTT user name and client id.',
});
export const SerialSchema = Type.String({
  minLength: 1,
  maxLength: 60,
  pattern: '^[0-9A-Fa-f:]+$',
  description: 'Certificate serial in hex.',
});
export const PemCsr = Type.String({
  minLength: 1,
  // What may be configured at most (limits.csrBytes).
  maxLength: 65_536,
  description: 'PKCS#10 certificate request, PEM.',
});
export const PemCertificate = Type.String({ description: 'Certificate, PEM.' });
export const ValidityRequest = Type.String({
  maxLength: 40,
  description:
    'Asks for a shorter validity than the profile gives, for instance 12h. ISO 8601 (PT12H) is taken too.',
});
export const Name = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
});
export const LabelName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' });
export const LabelsSchema = Type.Record(
  LabelName,
  plainText(200),
  // Without it names of another form would be taken, with values of any kind.
  { additionalProperties: false, maxProperties: 32, description: 'Free name → value pairs.' },
);
export const IdPattern = Type.String({
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

export const listOf = <T extends TSchema>(item: T) =>
  object({
    items: Type.Array(item),
    nextCursor: nullable(
      Type.String({ description: 'Give it back as ?cursor=; null at the end.' }),
    ),
  });
export const pageQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 500 })),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      description:
        'Items of a page: by default limits.pageSize of the service, and at most limits.maxPageSize.',
    }),
  ),
};
export const PageQuerySchema = object(pageQuery);

export const ReasonRequestSchema = object({
  reason: Type.Optional(RevocationReasonSchema),
  wait: Type.Optional(
    Type.Boolean({
      description:
        'Answer only when every effect holds, or after effectWait (ca-config/service.yaml; 10 s).',
    }),
  ),
});
