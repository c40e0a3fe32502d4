// Values by a JSON Schema, as the OpenAPI of the service has it, and values that are wrong in one place.
import type { Dice } from './dice.ts';

/** The keywords that the contract uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A value that the schema may well take. @param words what is known to exist: ids, names, a CSR */
export function valueFor(schema: JsonSchema, dice: Dice, words: readonly string[]): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return dice.pick(schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return valueFor(dice.pick(choices), dice, words);
  switch (schema.type) {
    case 'string':
      return textFor(schema, dice, words);
    case 'integer':
    case 'number':
      return (schema.minimum ?? 0) + dice.below(Math.min(100, (schema.maximum ?? 100) + 1));
    case 'boolean':
      return dice.happens(0.5);
    case 'null':
      return null;
    case 'array':
      return Array.from({ length: dice.below(4) }, () => valueFor(schema.items ?? {}, dice, words));
    case 'object':
      return objectFor(schema, dice, words);
    default:
      return dice.pick(odd)(dice);
  }
}

function objectFor(schema: JsonSchema, dice: Dice, words: readonly string[]): object {
  const required = new Set(schema.required ?? []);
  const entries = Object.entries(schema.properties ?? {})
    .filter(([name]) => required.has(name) || dice.happens(0.4))
    .map(([name, property]): [string, unknown] => [name, valueFor(property, dice, words)]);
  for (const [pattern, property] of Object.entries(schema.patternProperties ?? {})) {
    const name = textFor({ pattern }, dice, words);
    if (dice.happens(0.5)) entries.push([name, valueFor(property, dice, words)]);
  }
  return Object.fromEntries(entries);
}

const plainTexts = [
  'a',
  'A1',
  'dev-1',
  'PT1H',
  'P1D',
  '1f',
  'x.y',
  'key=value',
  '2026-01-01T00:00:00Z',
];

function textFor(schema: JsonSchema, dice: Dice, words: readonly string[]): string {
  const { pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  const isRight = (text: string): boolean =>
    text.length >= minLength &&
    text.length <= maxLength &&
    (pattern === undefined || new RegExp(pattern).test(text));
  const candidates = [...words, ...words, ...plainTexts, 'a'.repeat(Math.max(1, minLength))];
  const right = candidates.filter(isRight);
  return right.length === 0 ? dice.pick(plainTexts) : dice.pick(right);
}

const odd: readonly ((dice: Dice) => unknown)[] = [
  () => null,
  () => -1,
  () => 1e308,
  () => 2 ** 53,
  () => 0.5,
  () => true,
  () => '',
  () => [],
  () => ({}),
  () => ({ constructor: 1, toString: 'x' }),
  () => JSON.parse('{"__proto__":{"admin":true}}') as unknown,
  (dice) => dice.pick(['constructor', '__proto__', 'toString', 'hasOwnProperty']),
  (dice) =>
    dice.pick([
      '../../etc/passwd',
      'a\u0000b',
      '\ud800',
      '\u001b[31m',
      '%00',
      "'; drop table x",
      '*',
    ]),
  (dice) => 'x'.repeat(dice.pick([65, 254, 70_000])),
  (dice) => dice.bytes(30).toString('latin1'),
  (dice) => {
    let nested: unknown = 1;
    for (let depth = dice.pick([10, 2000]); depth > 0; depth -= 1) nested = [nested];
    return nested;
  },
];

/** One place of the value replaced, left out or doubled under another name. */
export function spoil(value: unknown, dice: Dice): unknown {
  if (typeof value !== 'object' || value === null || dice.happens(0.15))
    return dice.pick(odd)(dice);
  if (Array.isArray(value)) {
    if (value.length === 0) return [dice.pick(odd)(dice)];
    const at = dice.below(value.length);
    return value.map((item: unknown, index) => (index === at ? spoil(item, dice) : item));
  }
  const entries = Object.entries(value);
  if (entries.length === 0 || dice.happens(0.15)) {
    const name = dice.pick(['constructor', 'extra', 'id', '']);
    return Object.fromEntries([...entries, [name, dice.pick(odd)(dice)]]);
  }
  const at = dice.below(entries.length);
  if (dice.happens(0.2)) return Object.fromEntries(entries.filter((_, index) => index !== at));
  return Object.fromEntries(
    entries.map(([name, item], index) => [name, index === at ? spoil(item, dice) : item]),
  );
}
