export { loadConfig, type KeylineConfig } from './load-config.ts';
export { createSchemaDocuments, type SchemaDocument } from './schema-documents.ts';
export type { RateLimit, ServiceConfig } from './service-config.ts';
export type { TargetConfig } from './target-config.ts';
