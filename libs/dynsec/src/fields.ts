// Reading the members of a command as Mosquitto's JSON library does: names in any case, wrong types told apart from absent ones.
import { isName } from './names.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** What a command is answered with when it can't be done; nothing was changed. */
export class Refusal extends Error {}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function readField(fields: Fields, name: string): unknown {
  if (Object.hasOwn(fields, name)) return fields[name];
  const wanted = name.toLowerCase();
  for (const key of Object.keys(fields)) {
    if (key.length === wanted.length && key.toLowerCase() === wanted) return fields[key];
  }
  return undefined;
}

/** Undefined when it is absent or no string. */
export function readText(fields: Fields, name: string): string | undefined {
  const value = readField(fields, name);
  return typeof value === 'string' ? value : undefined;
}

/** @throws {Refusal} when it is there and no string */
export function readOptionalText(
  fields: Fields,
  name: string,
  refusal: string,
): string | undefined {
  const value = readField(fields, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw new Refusal(refusal);
  return value;
}

const nouns = { username: 'Username', groupname: 'Group name', rolename: 'Role name' } as const;

/** @throws {Refusal} */
export function readName(fields: Fields, name: keyof typeof nouns): string {
  const value = readText(fields, name);
  if (value === undefined) throw new Refusal(`Invalid/missing ${name}`);
  if (!isName(value)) throw new Refusal(`${nouns[name]} not valid UTF-8`);
  return value;
}

/** The name of something to be created. @throws {Refusal} */
export function readNewName(fields: Fields, name: keyof typeof nouns): string {
  if (readField(fields, name) === '') throw new Refusal(`Empty ${name}`);
  return readName(fields, name);
}

export function readFlag(fields: Fields, name: string): boolean | undefined {
  const value = readField(fields, name);
  return typeof value === 'boolean' ? value : undefined;
}

/** As C's int: cut to whole, held within 32 bits. */
export function readInteger(fields: Fields, name: string, fallback: number): number {
  const value = readField(fields, name);
  if (typeof value !== 'number') return fallback;
  return Math.trunc(Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), value)));
}

const priorityLimit = 100_000;

export function readPriority(fields: Fields, fallback: number): number {
  return Math.min(
    priorityLimit,
    Math.max(-priorityLimit, readInteger(fields, 'priority', fallback)),
  );
}
