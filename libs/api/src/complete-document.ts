// Completes the OpenAPI document: what a schema leaves unsaid is said by the vocabulary, and every operation gets an example that its own
// schema takes. So a new route is described by being written.
import { vocabulary, type Word } from './vocabulary.ts';

type Json = Readonly<Record<string, unknown>>;
interface Schema {
  type?: string;
  format?: string;
  pattern?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: readonly unknown[];
  minimum?: number;
  examples?: readonly unknown[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  anyOf?: readonly Schema[];
}

/** Words of a schema's place: of its parent property, or where in a message it is. */
type Place = 'body' | 'response' | 'problem' | 'query';

export interface DocumentFacts {
  /** Names of the profiles that this service has. */
  readonly profiles: readonly string[];
}

/**
 * @param document OpenAPI 3.1, with every schema where it is used; it is changed
 * @returns the same
 */
export function completeDocument<Document extends object>(
  document: Document,
  { profiles }: DocumentFacts,
): Document {
  for (const item of Object.values(recordOf((document as Json)['paths']))) {
    for (const operation of Object.values(recordOf(item)))
      completeOperation(recordOf(operation), profiles);
  }
  return document;
}

function completeOperation(operation: Json, profiles: readonly string[]): void {
  for (const each of listOf(operation['parameters'])) {
    const parameter = each as {
      name: string;
      description?: string;
      example?: unknown;
      schema?: Schema;
    };
    const schema = parameter.schema ?? {};
    parameter.description ??=
      schema.description ?? wordOf(parameter.name, 'query')?.description ?? '';
    parameter.example ??= exampleOf(schema, parameter.name, 'query');
  }
  const bodies = recordOf(recordOf(operation['requestBody'])['content']);
  completeContent(bodies, 'body', profiles);
  for (const answer of Object.values(recordOf(operation['responses']))) {
    completeContent(recordOf(recordOf(answer)['content']), 'response', profiles);
  }
}

function completeContent(content: Json, place: Place, profiles: readonly string[]): void {
  for (const [type, each] of Object.entries(content)) {
    const media = each as { schema?: Schema; example?: unknown };
    const at = type === 'application/problem+json' ? 'problem' : place;
    if (media.schema === undefined) continue;
    describe(media.schema, at, profiles);
    media.example ??= plainExamples[type] ?? exampleOf(media.schema, '', at);
  }
}

const pem = '-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n';
/** Bodies that are not JSON. */
const plainExamples: Readonly<Record<string, unknown>> = {
  'application/pkcs10': '(DER of a PKCS#10 request)',
  'application/pkix-cert': '(DER of the certificate)',
  'application/pem-certificate-chain': pem + pem,
  'application/x-ndjson':
    '{"id":"unit-1","csr":"-----BEGIN CERTIFICATE REQUEST-----…"}\n{"id":"unit-2","csr":"…"}\n',
  'text/plain': '# TYPE keyline_devices gauge\nkeyline_devices{state="active"} 17\n',
};

function describe(schema: Schema, parent: string, profiles: readonly string[]): void {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const inner = property.anyOf?.find(({ description }) => description !== undefined);
    const text = property.description ?? inner?.description ?? wordOf(name, parent)?.description;
    if (text !== undefined) property.description = text;
    if (name === 'profile' && profiles.length > 0) {
      property.description =
        `${property.description ?? ''} Of this service: ${profiles.join(', ')}.`.trim();
    }
    describe(property, name, profiles);
  }
  if (schema.items !== undefined) describe(schema.items, parent, profiles);
  for (const each of schema.anyOf ?? []) describe(each, parent, profiles);
}

/** `parent.name` goes before `name`. Own properties only: a name may be "constructor". */
function wordOf(name: string, parent: string): Word | undefined {
  for (const key of [`${parent}.${name}`, name]) {
    if (Object.hasOwn(vocabulary, key)) return vocabulary[key];
  }
  return undefined;
}

/** A value that the schema takes, as near to a real one as can be. */
function exampleOf(schema: Schema, name: string, parent: string): unknown {
  if (schema.const !== undefined) return schema.const;
  const offered = [schema.examples?.[0], wordOf(name, parent)?.example, schema.default];
  const fitting = offered.find((value) => value !== undefined && fits(value, schema));
  if (fitting !== undefined) return fitting;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.anyOf !== undefined) {
    const [first] = schema.anyOf;
    return first === undefined ? null : exampleOf(first, name, parent);
  }
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([key, property]) => [
          key,
          exampleOf(property, key, name === '' ? parent : name),
        ]),
      );
    case 'array':
      return schema.items === undefined ? [] : [exampleOf(schema.items, name, parent)];
    case 'boolean':
      return true;
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'null':
      return null;
    default:
      return schema.format === 'date-time' ? '2027-01-31T12:00:00Z' : textFor(schema, name);
  }
}

function textFor(schema: Schema, name: string): string {
  const guesses = [
    '…',
    'pump-17',
    `tok_${'0123456789ab'.repeat(2)}`,
    `apr_${'0123456789ab'.repeat(2)}`,
    '4f1c.0a7b',
    '4f1c',
  ];
  return guesses.find((guess) => fits(guess, schema)) ?? name;
}

/** Whether the schema takes a value: of the kind, of the form, one of its choices. */
function fits(value: unknown, schema: Schema): boolean {
  if (schema.const !== undefined) return value === schema.const;
  if (schema.enum !== undefined) return schema.enum.includes(value);
  if (schema.anyOf !== undefined) return schema.anyOf.some((each) => fits(value, each));
  switch (schema.type) {
    case undefined:
      return true;
    case 'string':
      return (
        typeof value === 'string' &&
        (schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(value))
      );
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value) && value.every((each) => fits(each, schema.items ?? {}));
    default:
      return (
        schema.properties === undefined &&
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value)
      );
  }
}

function recordOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
