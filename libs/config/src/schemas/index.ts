// The configuration's schemas by the file name they are published under.
import type { TSchema } from 'typebox';
import { DeviceTypesSchema, RoleSchema } from './access-schemas.ts';
import { AlertRulesSchema } from './alerts-schema.ts';
import { PlantSchema } from './plant-schema.ts';
import { ProfileSchema } from './profile-schema.ts';
import { ServiceSchema } from './service-schema.ts';
import { TargetsSchema } from './targets-schema.ts';

export const configSchemas = {
  profile: ProfileSchema,
  role: RoleSchema,
  types: DeviceTypesSchema,
  alerts: AlertRulesSchema,
  service: ServiceSchema,
  targets: TargetsSchema,
  keyline: PlantSchema,
} as const satisfies Record<string, TSchema>;

export type ConfigSchemaName = keyof typeof configSchemas;
