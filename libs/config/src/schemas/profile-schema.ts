// A certificate profile file, ca-config/profiles/NAME.yaml.
import { extendedKeyUsages, keyAlgorithms, profileKinds } from '@keyline/pki';
import { Type } from 'typebox';
import { DescriptionSchema, duration, NameSchema } from './common.ts';

const closed = { additionalProperties: false } as const;

/** Templates of names in certificates. */
const template = {
  minLength: 1,
  maxLength: 200,
  description: 'Text with the placeholders {id}, {type}, {batch} and {label.NAME}.',
} as const;

export const subjectAttributes = ['CN', 'O', 'OU', 'C', 'serialNumber'] as const;
/** What leaves may be allowed; keyCertSign and cRLSign are for authorities, which have no profile here. */
export const leafKeyUsages = ['digitalSignature', 'keyEncipherment', 'keyAgreement'] as const;
export const requestedNames = ['dns', 'ip'] as const;
export const apiRoles = ['admin', 'operator', 'station', 'auditor', 'device'] as const;

export const ProfileSchema = Type.Object(
  {
    name: NameSchema,
    description: DescriptionSchema,
    kind: Type.Enum([...profileKinds], {
      description: 'What kind of holder it is for; decides what the API lets its certificate do.',
    }),
    subject: Type.Array(
      Type.Object(
        { attribute: Type.Enum([...subjectAttributes]), value: Type.String(template) },
        closed,
      ),
      {
        minItems: 1,
        maxItems: 10,
        description: 'RDNs in order. One whose placeholder is empty is left out.',
      },
    ),
    san: Type.Array(
      Type.Object(
        {
          uri: Type.Optional(Type.String(template)),
          dns: Type.Optional(Type.String(template)),
          request: Type.Optional(
            Type.Enum([...requestedNames], {
              description:
                'Copies the names asked for in the issue request, never those of the CSR.',
            }),
          ),
          hardwareModule: Type.Optional(
            Type.Object(
              {
                type: Type.String({
                  pattern: '^[0-2](\\.(0|[1-9][0-9]{0,9})){1,20}$',
                  description: "Object identifier of the kind of hardware, from the maker's arc.",
                }),
                serialNumber: Type.String(template),
              },
              { ...closed, description: 'hardwareModuleName (RFC 4108 §5), for IDevIDs.' },
            ),
          ),
        },
        { ...closed, minProperties: 1, maxProperties: 1 },
      ),
      { maxItems: 20, description: 'Subject alternative names; each item has exactly one key.' },
    ),
    keyAlgorithms: Type.Array(Type.Enum([...keyAlgorithms]), {
      minItems: 1,
      uniqueItems: true,
      description: 'Keys that a CSR may bring.',
    }),
    validity: Type.Object(
      {
        duration: Type.Optional(duration('How long a certificate lives.')),
        until: Type.Optional(
          Type.String({
            format: 'date-time',
            description: 'A fixed end, RFC 3339; 9999-12-31T23:59:59Z for an IDevID (802.1AR).',
          }),
        ),
      },
      {
        ...closed,
        minProperties: 1,
        maxProperties: 1,
        description: 'Exactly one of duration, until.',
      },
    ),
    allowShorterValidity: Type.Boolean({
      description: 'Whether a request may ask for a shorter validity. A longer one never.',
    }),
    backdate: duration('How far notBefore lies in the past, for slow clocks; at most 1h.'),
    keyUsage: Type.Array(Type.Enum([...leafKeyUsages]), { minItems: 1, uniqueItems: true }),
    extendedKeyUsage: Type.Array(Type.Enum([...extendedKeyUsages]), {
      minItems: 1,
      uniqueItems: true,
    }),
    crlDistributionPoint: Type.Boolean({ description: "The authority's CRL URL goes in." }),
    authorityInfoAccess: Type.Boolean({
      description: "The authority's certificate and OCSP URLs go in.",
    }),
    ocspNoCheck: Type.Boolean({
      default: false,
      description: 'id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): OCSP responders only.',
    }),
    noRevAvail: Type.Boolean({
      default: false,
      description: 'noRevAvail (RFC 9608): lifetimes up to 7 days; excludes CRL and OCSP pointers.',
    }),
    apiRole: Type.Optional(
      Type.Enum([...apiRoles], {
        description: 'What a holder may do at the REST API; absent: nothing.',
      }),
    ),
    renewal: Type.Object(
      {
        window: Type.Number({
          exclusiveMinimum: 0,
          maximum: 1,
          description: 'Last share of the lifetime in which renewal is offered.',
        }),
        grace: duration('How long after its end a certificate may still renew itself.'),
      },
      closed,
    ),
  },
  {
    ...closed,
    $id: 'urn:keyline:schema:profile',
    title: 'Keyline certificate profile',
  },
);
