export { brokerLimits, type BrokerLimit } from './broker-limits.ts';
export { findHostFault, findListenFault, normalizeHost } from './host-name.ts';
export { loadConfig, type KeylineConfig } from './load-config.ts';
export { loadPlantConfig, type PlantConfig } from './plant-config.ts';
export { replaceHosts } from './replace-hosts.ts';
export { createSchemaDocuments } from './schema-documents.ts';
export type { ServiceConfig } from './service-config.ts';
export type { TargetConfig } from './target-config.ts';
