// ca-config/alerts.yaml.
import { Type } from 'typebox';
import { duration, NameSchema, wholeNumber } from './common.ts';
import { mayBeEmpty } from './empty-section.ts';

const closed = { additionalProperties: false } as const;
export const severities = ['info', 'warning', 'critical'] as const;
const severity = Type.Enum([...severities]);

const timeThresholds = (description: string) =>
  Type.Array(
    Type.Object({ within: duration('Fires when less than this is left.'), severity }, closed),
    { minItems: 1, maxItems: 10, description },
  );

export const AlertRulesSchema = Type.Object(
  {
    evaluateEvery: duration('How often everything is looked at when nothing happens; 1s to 1h.'),
    debounceMilliseconds: wholeNumber(
      'How long changes are collected before they are looked at together.',
      { minimum: 0, maximum: 10_000 },
    ),
    shortLivedBelow: duration('Certificates with a lifetime below this go by share of lifetime.'),
    longLived: timeThresholds('Certificates that live long, by time left.'),
    shortLived: Type.Array(
      Type.Object(
        { share: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), severity },
        closed,
      ),
      {
        minItems: 1,
        maxItems: 10,
        description: 'Certificates that live shortly, by share of lifetime left.',
      },
    ),
    authorities: timeThresholds('Issuing and root authorities, by time left.'),
    crl: Type.Object(
      {
        overlapShare: Type.Number({
          exclusiveMinimum: 0,
          exclusiveMaximum: 1,
          description:
            'Share of the time between the planned next CRL and the end of the one in force that may pass before an alert.',
        }),
      },
      closed,
    ),
    channels: Type.Object(
      {
        log: Type.Boolean({ description: "Alerts appear in the service's log." }),
        webhooks: mayBeEmpty(
          Type.Array(
            Type.Object(
              {
                name: NameSchema,
                url: Type.String({
                  pattern: '^https?://[^\\s@]+$',
                  maxLength: 2000,
                  description: 'Takes POSTs in the shape of an Alertmanager webhook, version 4.',
                }),
                headersFile: Type.Optional(
                  Type.String({
                    minLength: 1,
                    maxLength: 1000,
                    description:
                      'File with one "Name: value" a line, relative to this folder. Secrets go there, never here.',
                  }),
                ),
                caFile: Type.Optional(
                  Type.String({
                    minLength: 1,
                    maxLength: 1000,
                    description:
                      "PEM file, relative to this folder: the server's certificate must be of one of these authorities. Absent: of a public one, or of one of Keyline's roots.",
                  }),
                ),
                timeout: duration('How long one request may take; at most 1m.'),
                attempts: wholeNumber(
                  'Requests tried in a row before the ledger follower retries later.',
                  {
                    minimum: 1,
                    maximum: 10,
                  },
                ),
              },
              closed,
            ),
            { maxItems: 20 },
          ),
        ),
      },
      closed,
    ),
  },
  { ...closed, $id: 'urn:keyline:schema:alerts', title: 'Keyline alert rules' },
);
