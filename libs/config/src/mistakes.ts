// What is wrong with one target or one channel of alerts concerns that one alone: it is left out of its file, and told of.
import { formatProblem, type ConfigProblem } from './problem.ts';
import type { Fault } from './service-config.ts';
import type { YamlFile } from './yaml-file.ts';

/** A target or a channel of alerts that can't be used as it is written. */
export interface ConfigMistake {
  readonly part: 'target' | 'channel';
  /** Its own, where it has one that nobody else has; else the file's and its position from 1, or the file's when that can't be read at all. */
  readonly name: string;
  /** With file, line and column. */
  readonly detail: string;
}

/** A list in a file whose items stand each for itself. */
export interface Part {
  readonly part: ConfigMistake['part'];
  /** Keys that lead to it. */
  readonly path: readonly string[];
}

/** Problems by the position of the item they are about; undefined when one is about something else. */
export function byItem(
  problems: readonly ConfigProblem[],
  { path }: Part,
): ReadonlyMap<number, readonly ConfigProblem[]> | undefined {
  const found = new Map<number, ConfigProblem[]>();
  for (const problem of problems) {
    const position = positionIn(path, problem.path ?? []);
    if (position === undefined) return undefined;
    found.set(position, [...(found.get(position) ?? []), problem]);
  }
  return found;
}

/** Faults that are about items of the list, by position, and the others. */
export function splitFaults(
  faults: readonly Fault[],
  { path }: Part,
): { readonly items: ReadonlyMap<number, readonly Fault[]>; readonly others: readonly Fault[] } {
  const items = new Map<number, Fault[]>();
  const others: Fault[] = [];
  for (const fault of faults) {
    const position = positionIn(path, fault.path);
    if (position === undefined) others.push(fault);
    else items.set(position, [...(items.get(position) ?? []), fault]);
  }
  return { items, others };
}

function positionIn(list: Part['path'], path: Fault['path']): number | undefined {
  const position = path[list.length];
  return list.every((key, index) => path[index] === key) && typeof position === 'number'
    ? position
    : undefined;
}

/** The file without some items of its list. Places of what remains are not right any more. */
export function withoutItems(
  yaml: YamlFile,
  { path }: Part,
  left: ReadonlySet<number>,
): { readonly yaml: YamlFile; readonly positions: readonly number[] } {
  const value = structuredClone(yaml.value) as Record<string, unknown>;
  let holder: Record<string, unknown> = value;
  for (const key of path.slice(0, -1)) holder = holder[key] as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  const items = holder[last] as readonly unknown[];
  const positions = items.map((_, position) => position).filter((one) => !left.has(one));
  holder[last] = positions.map((position) => items[position]);
  return { yaml: { ...yaml, value }, positions };
}

/** @param used names of items that are as they should be */
export function toMistake(
  yaml: YamlFile,
  { part, path }: Part,
  given: {
    readonly position: number;
    readonly problems: readonly ConfigProblem[];
    readonly used: ReadonlySet<string>;
  },
): ConfigMistake {
  let value: unknown = yaml.value;
  for (const key of [...path, given.position]) {
    value = (value as Record<string | number, unknown> | null | undefined)?.[key];
  }
  const name = (value as { name?: unknown } | null | undefined)?.name;
  const isOwn =
    typeof name === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(name) && !given.used.has(name);
  return {
    part,
    name: isOwn ? name : `${part}-${String(given.position + 1)}`,
    detail: given.problems.map(formatProblem).join('; '),
  };
}
