// Checks a file against its schema and says what is wrong in words, at its place.
import { isKeylineError, parseDuration } from '@keyline/kernel';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Static } from 'typebox';
import { suggest } from './nearest.ts';
import type { ConfigProblem } from './problem.ts';
import { configSchemas, type ConfigSchemaName } from './schemas/index.ts';
import type { YamlFile } from './yaml-file.ts';

export type Checked<Name extends ConfigSchemaName> = Static<(typeof configSchemas)[Name]>;

const ajv = new Ajv2020({ allErrors: true, strict: true, verbose: true, useDefaults: true });
ajv.addFormat('duration', isDuration);
ajv.addFormat('date-time', isRfc3339);

const validators = new Map<ConfigSchemaName, ValidateFunction>();

function getValidator(name: ConfigSchemaName): ValidateFunction {
  const known = validators.get(name);
  if (known !== undefined) return known;
  const compiled = ajv.compile(configSchemas[name]);
  validators.set(name, compiled);
  return compiled;
}

function isDuration(text: string): boolean {
  try {
    parseDuration(text);
    return true;
  } catch (error) {
    if (isKeylineError(error)) return false;
    throw error;
  }
}

function isRfc3339(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** The typed value, or what is wrong with it. Defaults of the schema are filled in. */
export function checkSchema<Name extends ConfigSchemaName>(
  name: Name,
  yaml: YamlFile,
): { value: Checked<Name> } | { problems: ConfigProblem[] } {
  const validate = getValidator(name);
  const value = structuredClone(yaml.value);
  if (validate(value)) return { value: value as Checked<Name> };
  return { problems: (validate.errors ?? []).map((error) => toProblem(yaml, error)) };
}

function toProblem(yaml: YamlFile, error: ErrorObject): ConfigProblem {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const { file } = yaml;
  const name = path.length === 0 ? 'the file' : `"${path.join('.')}"`;
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params['additionalProperty']);
    const known = Object.keys((error.parentSchema?.['properties'] ?? {}) as object);
    // A key that is there already was not meant a second time.
    const open = known.filter((candidate) => !(candidate in (error.data as object)));
    return {
      file,
      path,
      ...yaml.atKey(path, key),
      message: `unknown key "${key}"${suggest(key, open)}`,
    };
  }
  return { file, path, ...yaml.at(path), message: describe(error, name) };
}

function describe(error: ErrorObject, name: string): string {
  const { keyword, data } = error;
  const params = error.params as Record<string, unknown>;
  switch (keyword) {
    case 'required':
      return `${name === 'the file' ? '' : `${name}: `}"${String(params['missingProperty'])}" is missing`;
    case 'type':
      return `${name} must be ${article(String(params['type']).replace(/,null$/, ''))}, not ${show(data)}`;
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).map(String);
      return `${name} can't be ${show(data)}${suggest(String(data), allowed)}`;
    }
    case 'format':
      return params['format'] === 'duration'
        ? `${name} is ${show(data)}, which is no duration; write for instance 90d, 12h or 10m`
        : `${name} is ${show(data)}, which is no UTC time such as 2030-01-31T12:00:00Z`;
    case 'minProperties':
    case 'maxProperties': {
      const keys = Object.keys((error.parentSchema?.['properties'] ?? {}) as object);
      return `${name} must have exactly one of ${keys.join(', ')}`;
    }
    case 'minItems':
      return `${name} must not be empty`;
    case 'uniqueItems':
      return `${name} holds the same item twice (positions ${String(params['j'])} and ${String(params['i'])}, from 0)`;
    case 'pattern':
      return `${name} can't be ${show(data)}: ${String(error.parentSchema?.['description'] ?? error.message)}`;
    default:
      // Limits of numbers, lengths: the library's words are plain enough.
      return `${name} is ${show(data)} and ${error.message ?? keyword}`;
  }
}

function article(type: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a text',
    object: 'a mapping',
    array: 'a list',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
  };
  return names[type] ?? type;
}

function show(data: unknown): string {
  if (data === null) return 'empty';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a mapping';
  return typeof data === 'string' ? `"${data.slice(0, 80)}"` : JSON.stringify(data);
}
