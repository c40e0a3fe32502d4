// ca-config/targets.yaml.
import { Type } from 'typebox';
import { DescriptionSchema, NameSchema } from './common.ts';
import { mayBeEmpty } from './empty-section.ts';

/** One folder of libs/targets each. */
export const targetKinds = ['dynsec'] as const;

const closed = { additionalProperties: false } as const;

const file = (description: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description: `${description} PEM file, relative to this folder.`,
    }),
  );

export const TargetsSchema = Type.Object(
  {
    targets: mayBeEmpty(
      Type.Array(
        Type.Object(
          {
            name: NameSchema,
            description: DescriptionSchema,
            kind: Type.Optional(
              Type.Enum([...targetKinds], {
                description:
                  'How it is spoken to; absent: dynsec, the dynamic-security API of Mosquitto.',
              }),
            ),
            url: Type.String({
              pattern: '^mqtts://[^\\s@/?#]+$',
              maxLength: 500,
              description: 'A broker that speaks dynamic security, over TLS.',
            }),
            publicUrl: Type.Optional(
              Type.String({
                pattern: '^mqtts://[^\\s@/?#]+$',
                maxLength: 500,
                description:
                  'How devices reach it, where that is another address: it stands in what they are told at enrollment, and in connect kits.',
              }),
            ),
            publicWebsocketUrl: Type.Optional(
              Type.String({
                pattern: '^wss://[^\\s@?#]+$',
                maxLength: 500,
                description: 'How pages in browsers reach it: MQTT over WebSocket over TLS.',
              }),
            ),
            ca: file("What its server certificate is checked against; absent: Keyline's roots."),
            certificate: file("Identity that administers it; absent: Keyline's own."),
            key: file('Its private key (mode 600).'),
            exclusive: Type.Boolean({
              description: 'Whether clients that the fleet does not know may be removed there.',
            }),
          },
          closed,
        ),
        { maxItems: 50 },
      ),
    ),
  },
  { ...closed, $id: 'urn:keyline:schema:targets', title: 'Keyline broker targets' },
);
