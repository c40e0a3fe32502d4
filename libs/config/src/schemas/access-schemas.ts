// Roles (ca-config/roles/NAME.yaml) and device types (ca-config/types.yaml).
import { Type } from 'typebox';
import { DescriptionSchema, NameSchema } from './common.ts';

const closed = { additionalProperties: false } as const;

const filters = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
    maxItems: 100,
    uniqueItems: true,
    description: `${description} MQTT topic filters. A level may be %u (the device id), %{type}, %{batch} or %{label:NAME}; a device without such a label gets nothing by that filter.`,
  });

const rate = (what: string, maximum: number) =>
  Type.Optional(
    Type.Number({
      minimum: 0.01,
      maximum,
      description: `${what} a second from a device of this role, counted over all its connections; a second's worth may come at once. More is not read for a while, and nothing is lost. Keyline's own broker holds to it (and to its --max-message-rate and --max-byte-rate, where they are lower); a Mosquitto does not.`,
    }),
  );

export const RoleSchema = Type.Object(
  {
    name: NameSchema,
    description: DescriptionSchema,
    kind: Type.Optional(
      Type.Enum(['device', 'service'], {
        description:
          'Whose it may be. "device" (when it is left out): a device type names it. "service": an application gets it (keyline service create NAME --role). Neither can have one of the other.',
      }),
    ),
    profile: Type.Optional(
      Type.String({
        description:
          'With kind service: the profile of its services, of kind "service"; service-client when it is left out.',
      }),
    ),
    publish: filters('What the device may publish to.'),
    subscribe: filters('What the device may subscribe to, and receive from.'),
    messagesPerSecond: rate('Messages', 1_000_000),
    bytesPerSecond: rate('Bytes of messages', 1_000_000_000),
  },
  { ...closed, $id: 'urn:keyline:schema:role', title: 'Keyline topic role' },
);

export const DeviceTypesSchema = Type.Object(
  {
    types: Type.Array(
      Type.Object(
        {
          name: NameSchema,
          description: DescriptionSchema,
          profile: Type.String({ description: 'A profile of kind "device".' }),
          role: Type.String({ description: 'A role of ca-config/roles, of kind "device".' }),
          broker: Type.Optional(
            Type.String({
              description:
                'The broker that its devices are told to use: a name in targets.yaml, or "broker", the bundled one. Left out: the bundled one, else the first of targets.yaml.',
            }),
          ),
        },
        closed,
      ),
      { minItems: 1, maxItems: 1000 },
    ),
  },
  { ...closed, $id: 'urn:keyline:schema:types', title: 'Keyline device types' },
);
