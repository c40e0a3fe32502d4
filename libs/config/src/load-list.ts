// Files with a list whose items stand each for itself: what is wrong with one is told as that one's mistake, and the others are used.
import { join } from 'node:path';
import { checkSchema, type Checked } from './check-schema.ts';
import {
  byItem,
  splitFaults,
  toMistake,
  withoutItems,
  type ConfigMistake,
  type Part,
} from './mistakes.ts';
import { reportFaults, type ConfigProblem } from './problem.ts';
import type { ConfigSchemaName } from './schemas/index.ts';
import type { Fault } from './service-config.ts';
import { loadYamlFile, type YamlFile } from './yaml-file.ts';

/** A file with such a list, of which some items may have been left out. */
export interface LoadedList<Value> {
  readonly yaml: YamlFile;
  readonly value: Value;
  /** In the file, of each item that is left. */
  readonly positions: readonly number[];
  readonly part: Part;
}

export interface ListLoader {
  /** The file without items that are wrong, unless all that is wrong is to be a problem; undefined where more is wrong. */
  load<Name extends ConfigSchemaName>(
    name: Name,
    file: string,
    part: Part,
  ): Promise<LoadedList<Checked<Name>> | undefined>;
  /** Tells of faults, and answers with the items that have none. */
  settle<Item extends { readonly name: string }>(
    list: LoadedList<unknown>,
    items: readonly Item[],
    faults: readonly Fault[],
  ): Item[];
}

/** @param given.strict whether every mistake is a problem of the whole */
export function createListLoader(given: {
  readonly dir: string;
  readonly strict: boolean;
  readonly problems: ConfigProblem[];
  readonly mistakes: ConfigMistake[];
}): ListLoader {
  const { dir, strict, problems, mistakes } = given;
  return {
    async load(name, file, part) {
      const loaded = await loadYamlFile(join(dir, file), file);
      if ('problems' in loaded) {
        problems.push(...loaded.problems);
        return undefined;
      }
      const { yaml } = loaded;
      const checked = checkSchema(name, yaml);
      if ('value' in checked) {
        const positions = namesIn(yaml, part).map((_, position) => position);
        return { yaml, value: checked.value, positions, part };
      }
      const wrong = strict ? undefined : byItem(checked.problems, part);
      if (wrong === undefined) {
        problems.push(...checked.problems);
        return undefined;
      }
      const rest = withoutItems(yaml, part, new Set(wrong.keys()));
      const again = checkSchema(name, rest.yaml);
      if ('problems' in again) {
        problems.push(...checked.problems);
        return undefined;
      }
      const used = new Set(namesIn(rest.yaml, part));
      for (const [position, found] of wrong) {
        mistakes.push(toMistake(yaml, part, { position, problems: found, used }));
      }
      return { yaml, value: again.value, positions: rest.positions, part };
    },
    settle({ yaml, positions, part }, items, faults) {
      const { items: wrong, others } = splitFaults(faults, part);
      const good = strict ? [...items] : items.filter((_, index) => !wrong.has(index));
      const used = new Set(good.map(({ name }) => name));
      reportFaults(problems, yaml, others);
      for (const [index, found] of wrong) {
        const position = positions[index] ?? index;
        const own: ConfigProblem[] = [];
        reportFaults(own, yaml, found.map(moveTo(part, position)));
        if (strict) problems.push(...own);
        else mistakes.push(toMistake(yaml, part, { position, problems: own, used }));
      }
      return good;
    },
  };
}

function namesIn({ value }: YamlFile, { path }: Part): string[] {
  let list: unknown = value;
  for (const key of path) list = (list as Record<string, unknown> | null | undefined)?.[key];
  return ((list ?? []) as readonly { readonly name?: unknown }[]).map(({ name }) => String(name));
}

/** A fault of the list as it was used, at its place in the file. */
const moveTo =
  ({ path: { length } }: Part, position: number) =>
  ({ path, message }: Fault): Fault => ({
    path: path.map((key, index) => (index === length ? position : key)),
    message,
  });
