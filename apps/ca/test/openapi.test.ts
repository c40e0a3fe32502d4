// What /openapi.json says to a reader: every property is described, every operation has an example, and an example is one that is taken.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Compile } from 'typebox/schema';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}
interface Media {
  readonly schema?: Schema;
  readonly example?: unknown;
}
interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly example?: unknown;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, Media>> }>
  >;
}

let issuingCa: IssuingCa;
let operations: Operation[];
let text: string;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const answer = await issuingCa.call('GET', '/openapi.json');
  text = answer.bytes.toString('utf8');
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Operation>> };
  operations = Object.values(paths).flatMap((item) => Object.values(item));
});
afterAll(() => issuingCa.close());

/** Everything with a schema, and what it is called in a message. */
function* messages(operation: Operation): Generator<readonly [string, Media]> {
  const { operationId, requestBody, responses } = operation;
  for (const [type, media] of Object.entries(requestBody?.content ?? {})) {
    yield [`${operationId} takes ${type}`, media];
  }
  for (const [status, { content = {} }] of Object.entries(responses)) {
    for (const [type, media] of Object.entries(content)) {
      yield [`${operationId} ${status} ${type}`, media];
    }
  }
}

function* undescribed(schema: Schema, at: string): Generator<string> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if ((property.description ?? '').trim() === '') yield `${at}.${name}`;
    yield* undescribed(property, `${at}.${name}`);
  }
  if (schema.items !== undefined) yield* undescribed(schema.items, `${at}[]`);
  for (const each of schema.anyOf ?? []) yield* undescribed(each, at);
}

describe('/openapi.json', () => {
  it('describes every property and parameter (libs/api/src/vocabulary.ts has the words that schemas share)', () => {
    const found = operations.flatMap((operation) => [
      ...(operation.parameters ?? [])
        .filter(({ description = '' }) => description === '')
        .map(({ name }) => `${operation.operationId} ?${name}`),
      ...[...messages(operation)].flatMap(([at, { schema }]) => [...undescribed(schema ?? {}, at)]),
    ]);
    expect(operations.length).toBeGreaterThan(30);
    expect(found).toEqual([]);
  });

  it('has an example of every parameter, body and answer, and a summary of every operation', () => {
    const found = operations.flatMap((operation) => [
      ...((operation.summary ?? '') === '' ? [operation.operationId] : []),
      ...(operation.parameters ?? [])
        .filter(({ example }) => example === undefined || example === '')
        .map(({ name }) => `${operation.operationId} ?${name}`),
      ...[...messages(operation)]
        .filter(([, { example }]) => example === undefined)
        .map(([at]) => at),
    ]);
    expect(found).toEqual([]);
  });

  it('gives no example that its own schema would refuse', () => {
    const refused = operations.flatMap((operation) => [
      ...(operation.parameters ?? [])
        .filter(({ schema, example }) => !Compile(schema as object).Check(example))
        .map(({ name, example }) => `${operation.operationId} ?${name}=${String(example)}`),
      ...[...messages(operation)]
        .filter(([, { schema, example }]) => !Compile((schema ?? {}) as object).Check(example))
        .map(([at, { example }]) => `${at}: ${JSON.stringify(example).slice(0, 300)}`),
    ]);
    expect(refused).toEqual([]);
  });

  it('names the profiles of this service, and has the trust bundle and the forms of a certificate', () => {
    expect(text).toMatch(/Of this service: [^"]*device-client[^"]*operator/);
    const find = (id: string): Operation | undefined =>
      operations.find(({ operationId }) => operationId === id);
    expect(Object.keys(find('trustBundle')?.responses['200']?.content ?? {})).toEqual([
      'application/pem-certificate-chain',
    ]);
    expect(Object.keys(find('enroll')?.responses['201']?.content ?? {})).toEqual([
      'application/json',
      'application/pkix-cert',
      'application/pem-certificate-chain',
    ]);
  });
});
