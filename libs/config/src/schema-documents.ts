// The JSON Schemas as files, for editors (the yaml-language-server line in each file of ca-config).
import { configSchemas } from './schemas/index.ts';

export interface SchemaDocument {
  /** `profile.schema.json` */
  readonly file: string;
  readonly text: string;
}

export function createSchemaDocuments(): SchemaDocument[] {
  return Object.entries(configSchemas).map(([name, schema]) => ({
    file: `${name}.schema.json`,
    text: `${JSON.stringify(
      { $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema },
      null,
      2,
    )}\n`,
  }));
}
