export { loadConfig, type KeylineConfig } from './load-config.ts';
export { createSchemaDocuments } from './schema-documents.ts';
export type { ServiceConfig } from './service-config.ts';
export type { TargetConfig } from './target-config.ts';
