// keyline.yaml in the data folder of `keyline up`: what belongs to this machine and this plant, in one file.
import { Type } from 'typebox';
import { brokerLimits, type BrokerLimit, type BrokerLimitName } from '../broker-limits.ts';
import { duration, wholeNumber } from './common.ts';
import { mayBeEmpty } from './empty-section.ts';

const closed = { additionalProperties: false } as const;

const port = (description: string) => wholeNumber(description, { minimum: 1, maximum: 65_535 });

const names = (description: string) =>
  Type.Array(
    Type.String({ pattern: '^[A-Za-z0-9_@=+!.-]+$', description: 'A name as OpenSSL has it.' }),
    { minItems: 1, maxItems: 50, uniqueItems: true, description },
  );

const file = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 1000,
    description: `${description} Relative to the folder of this file.`,
  });

const minVersion = Type.Optional(
  Type.Enum(['1.2', '1.3', 1.2, 1.3], {
    description: 'Oldest TLS that is spoken: 1.2 or 1.3.',
  }),
);

const limit = ({ unit, what }: BrokerLimit) =>
  unit === 'count' || unit === 'bytes'
    ? wholeNumber(`${unit === 'bytes' ? 'Bytes: ' : ''}${what}.`, {
        minimum: 0,
        maximum: 9_999_999_999,
      })
    : duration(`${what}.`);

type LimitSchema = ReturnType<typeof wholeNumber> | ReturnType<typeof duration>;

const limits = Object.fromEntries(
  Object.entries(brokerLimits).map(([name, one]) => [name, Type.Optional(limit(one))]),
) as Record<BrokerLimitName, ReturnType<typeof Type.Optional<LimitSchema>>>;

/** Read by `keyline backup` and by the schedule of `keyline up`. */
const BackupSchema = Type.Object(
  {
    folder: file('Where backups are written; best on another disk or a mounted share.'),
    every: duration('Time from one backup to the next.'),
    keep: wholeNumber('How many are kept; the oldest is deleted.', { minimum: 1, maximum: 1000 }),
    alertAfter: Type.Optional(
      duration('Age of the last good backup from which on an alert is open.'),
    ),
    passphraseFile: Type.Optional(file('One line, mode 600: what backups are encrypted with.')),
    recipients: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 4000 }), {
        minItems: 1,
        maxItems: 20,
        uniqueItems: true,
        description: 'Public keys that backups are encrypted to, instead of a passphrase.',
      }),
    ),
    root: Type.Optional(
      Type.Boolean({ description: 'Whether the folder of the root goes in, when it is there.' }),
    ),
  },
  closed,
);

export const PlantSchema = Type.Object(
  {
    hosts: Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
      minItems: 1,
      maxItems: 20,
      uniqueItems: true,
      description:
        'Names and addresses by which devices reach this machine. The first stands in URLs, all of them in server certificates.',
    }),
    listen: Type.String({
      minLength: 1,
      maxLength: 60,
      description: 'IP address to listen on; 0.0.0.0 and :: are every address of this machine.',
    }),
    ports: Type.Object(
      {
        api: port('HTTPS: the API.'),
        http: port('Plain HTTP: CRL, OCSP and the certificates of authorities.'),
        broker: port('MQTT over TLS.'),
        metrics: Type.Optional(
          port("The broker's metrics, on 127.0.0.1; absent: one that is free."),
        ),
      },
      closed,
    ),
    config: Type.Optional(
      file('Profiles, roles, types, alert rules, targets: a folder laid out as ca-config.'),
    ),
    root: Type.Optional(
      Type.Enum(['here', 'offline'], {
        description:
          'Where the key of the root is. here: made in this folder, for a trial. offline: on another machine, from which its certificate is brought.',
      }),
    ),
    api: Type.Optional(
      mayBeEmpty(
        Type.Object(
          { tls: Type.Optional(mayBeEmpty(Type.Object({ minVersion }, closed))) },
          closed,
        ),
      ),
    ),
    broker: Type.Optional(
      mayBeEmpty(
        Type.Object(
          {
            engine: Type.Optional(
              Type.Enum(['embedded', 'mosquitto'], {
                description:
                  'Keyline’s own broker, or Eclipse Mosquitto of this machine, supervised.',
              }),
            ),
            mosquitto: Type.Optional(
              file('The program, with engine mosquitto; absent: looked for.'),
            ),
            websocketPort: Type.Optional(port('MQTT over WebSocket over TLS as well.')),
            passwordPort: Type.Optional(
              port(
                'MQTT over TLS for clients with user name and password instead of a certificate.',
              ),
            ),
            tls: Type.Optional(
              mayBeEmpty(
                Type.Object(
                  {
                    minVersion,
                    groups: Type.Optional(names('Key exchange, the first one preferred.')),
                    signatureAlgorithms: Type.Optional(names("Of both sides' keys.")),
                    ciphers: Type.Optional(names('Suites of TLS 1.2 and 1.3.')),
                  },
                  closed,
                ),
              ),
            ),
            limits: Type.Optional(mayBeEmpty(Type.Object(limits, closed))),
          },
          closed,
        ),
      ),
    ),
    logs: Type.Optional(
      mayBeEmpty(
        Type.Object(
          {
            fileBytes: Type.Optional(
              wholeNumber('Size at which a log file is renamed and a new one begun.', {
                minimum: 65_536,
                maximum: 999_999_999,
              }),
            ),
            files: Type.Optional(
              wholeNumber('Log files kept of each kind; the oldest is deleted.', {
                minimum: 2,
                maximum: 1000,
              }),
            ),
          },
          closed,
        ),
      ),
    ),
    backup: Type.Optional(mayBeEmpty(BackupSchema)),
  },
  { ...closed, $id: 'urn:keyline:schema:keyline', title: 'Keyline on this machine' },
);
