// ca-config/service.yaml.
import { Type } from 'typebox';
import { duration, wholeNumber } from './common.ts';

const closed = { additionalProperties: false } as const;

const rate = (description: string) =>
  Type.Object(
    {
      requests: wholeNumber('Requests in one window.', { minimum: 1, maximum: 100_000_000 }),
      window: duration('Length of the window; 1s to 1d.'),
    },
    { ...closed, description },
  );

export const ServiceSchema = Type.Object(
  {
    crl: Type.Object(
      {
        validity: duration('From thisUpdate to nextUpdate.'),
        interval: duration('Published anew after this long even when nothing was revoked.'),
        shards: Type.Optional(
          wholeNumber(
            'Among how many CRLs the leaves to come are shared. Each names its own; those that are out keep theirs.',
            { minimum: 1, maximum: 4096 },
          ),
        ),
      },
      closed,
    ),
    ocsp: Type.Object(
      { validity: duration('From thisUpdate to nextUpdate of an answer.') },
      closed,
    ),
    enrollment: Type.Object(
      {
        provisionWait: duration(
          'How long an enrollment may wait for brokers that are not known to be down; at most 30s.',
        ),
        effectWait: duration(
          'How long a change with "wait": true waits for every effect; at most 1m.',
        ),
      },
      closed,
    ),
    brokers: Type.Optional(
      Type.Object(
        {
          behindAfter: duration(
            'A broker that has not taken a change for this long, or is away for it, is a critical alert. Default 30s.',
          ),
        },
        closed,
      ),
    ),
    renewal: Type.Optional(
      Type.Object(
        {
          earlyWithSameKey: Type.Optional(
            Type.Boolean({
              description:
                "Let devices renew before their window with the key they have. Default false: only with a new key, or an operator's word.",
            }),
          ),
          perDay: Type.Optional(
            wholeNumber('Certificates one device may get in 24 hours. Default 24.', {
              minimum: 1,
              maximum: 100_000,
            }),
          ),
        },
        closed,
      ),
    ),
    authorities: Type.Optional(
      Type.Object(
        {
          requireRootCrl: Type.Optional(
            Type.Boolean({
              description:
                "Issue nothing while the CRL of the authority's root is missing or has ended. Without it that is a critical alert. Default false.",
            }),
          ),
          secondAdministrator: Type.Optional(
            Type.Boolean({
              description:
                'Whether installing, activating and retiring an authority, adding to the trust bundle, and certificates for other administrators take the approval of a second one. Default false.',
            }),
          ),
          approvalWithin: Type.Optional(
            duration('How long a request waits for the second administrator. Default 1d.'),
          ),
        },
        closed,
      ),
    ),
    devices: Type.Optional(
      Type.Object(
        {
          distinctIgnoringCase: Type.Boolean({
            description:
              'Refuse a new device whose id differs from another in capital and small letters alone. Default false.',
          }),
        },
        closed,
      ),
    ),
    limits: Type.Object(
      {
        bodyBytes: wholeNumber('Bytes of a JSON body.', { minimum: 4096, maximum: 16_777_216 }),
        csrBytes: wholeNumber('Bytes of a CSR as it arrives, PEM or DER.', {
          minimum: 1024,
          maximum: 65_536,
        }),
        lineBytes: wholeNumber('Bytes of one line of a bulk request.', {
          minimum: 4096,
          maximum: 1_048_576,
        }),
        bulkWindow: wholeNumber('Units of a bulk request worked on at once.', {
          minimum: 1,
          maximum: 1024,
        }),
        pageSize: wholeNumber('Items of a page when none is asked for.', {
          minimum: 1,
          maximum: 1000,
        }),
        maxPageSize: wholeNumber('Most items of a page, also when more are asked for.', {
          minimum: 1,
          maximum: 1000,
        }),
      },
      closed,
    ),
    listeners: Type.Optional(
      Type.Object(
        {
          connections: wholeNumber(
            'Connections at once, of each listener. When all are taken, the address that holds most gives one up to the next.',
            { minimum: 16, maximum: 1_000_000 },
          ),
          headerTime: duration(
            'From the connection to the end of the TLS handshake, and of the head of a request; 1s to 5m.',
          ),
          bodyTime: duration(
            'From the head of a request to the end of its body, streams excepted; 1s to 10m.',
          ),
          bodyBytesInFlight: wholeNumber('Bytes of bodies on their way in, of each listener.', {
            minimum: 1_048_576,
            maximum: 4_294_967_296,
          }),
          streams: wholeNumber('Streams of units (application/x-ndjson) at once.', {
            minimum: 1,
            maximum: 10_000,
          }),
        },
        { ...closed, description: 'What the listeners hold of those that call.' },
      ),
    ),
    origins: Type.Optional(
      Type.Array(
        Type.String({
          maxLength: 300,
          pattern: '^https?://[a-z0-9.:-]+$|^https?://\\[[0-9a-f:]+\\](:[0-9]+)?$',
        }),
        {
          maxItems: 32,
          description:
            'Origins of web pages that may call the API, beside its own: https://console.example.org.',
        },
      ),
    ),
    storage: Type.Optional(
      Type.Object(
        {
          reserveBytes: wholeNumber(
            'Disk space kept for revocations: with less free, nothing else is taken. 0: none.',
            { minimum: 0, maximum: 1_099_511_627_776 },
          ),
        },
        closed,
      ),
    ),
    rateLimits: Type.Object(
      {
        anonymous: rate('Callers without a certificate or token, by address.'),
        enroll: rate('Enrollments, by token.'),
        device: rate('Requests of one device.'),
        operator: rate('Requests of one admin, operator, station or auditor.'),
      },
      closed,
    ),
  },
  { ...closed, $id: 'urn:keyline:schema:service', title: 'Keyline service settings' },
);
