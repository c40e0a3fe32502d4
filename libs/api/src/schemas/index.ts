// The messages of the REST API as TypeBox schemas: one source for validation, types, OpenAPI and the CLI.
export {
  DeviceStateSchema,
  NothingSchema,
  PageQuerySchema,
  ProblemSchema,
  RevocationReasonSchema,
  type Problem,
} from './common.ts';
export * from './device-schemas.ts';
export * from './issuing-schemas.ts';
export * from './operation-schemas.ts';
