// Where an identity connects: the broker it is meant to use, and what it may do there.
import { Type, type Static } from 'typebox';
import { DeviceIdSchema, nullable, object } from './common.ts';

const TopicsSchema = object({
  publish: Type.Array(Type.String()),
  subscribe: Type.Array(Type.String()),
});

export const BrokerName = Type.Optional(
  Type.String({
    maxLength: 64,
    pattern: '^[a-z0-9][a-z0-9-]*$',
    description:
      'The broker that the answer is to name, as in targets.yaml; absent: that of its type.',
  }),
);

export const BrokerAccessSchema = object(
  {
    name: nullable(
      Type.String({
        description:
          'As in targets.yaml; "broker" is the bundled one. Null: there is none to use as this is configured.',
      }),
    ),
    url: nullable(
      Type.String({
        description: 'mqtts:// URL; null: there is no broker to use.',
        examples: ['mqtts://mqtt.example:8883'],
      }),
    ),
    websocketUrl: nullable(
      Type.String({ description: 'wss:// URL; null: it speaks no MQTT over WebSocket.' }),
    ),
    trust: nullable(
      Type.String({
        description:
          "What its certificate is checked against, PEM; null: Keyline's own trust bundle (/v1/trust-bundle).",
      }),
    ),
    clientId: Type.String({ description: 'MQTT client id to use.' }),
    userName: Type.String({
      description: 'MQTT user name: it is taken from the certificate, and nothing has to be sent.',
    }),
    topics: TopicsSchema,
  },
  'The broker that an identity is meant to use, and what it may do there.',
);
export type BrokerAccessView = Static<typeof BrokerAccessSchema>;

export const ConnectionSchema = object(
  {
    id: DeviceIdSchema,
    kind: Type.Union([Type.Literal('device'), Type.Literal('service')], {
      description: 'A device, or a service: an application with an identity.',
    }),
    broker: BrokerAccessSchema,
  },
  'What an identity needs to know to connect.',
);

export const ConnectionQuerySchema = object({ broker: BrokerName });
