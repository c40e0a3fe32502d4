// Roles (ca-config/roles/NAME.yaml) and device types (ca-config/types.yaml).
import { Type } from 'typebox';
import { DescriptionSchema, NameSchema } from './common.ts';

const closed = { additionalProperties: false } as const;

const filters = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
    maxItems: 100,
    uniqueItems: true,
    description: `${description} MQTT topic filters; %u stands for the device id and is a whole level.`,
  });

export const RoleSchema = Type.Object(
  {
    name: NameSchema,
    description: DescriptionSchema,
    publish: filters('What the device may publish to.'),
    subscribe: filters('What the device may subscribe to, and receive from.'),
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
          role: Type.String({ description: 'A role of ca-config/roles.' }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 1000 },
    ),
  },
  { ...closed, $id: 'urn:keyline:schema:types', title: 'Keyline device types' },
);
