// What is wrong in the configuration, with its place; collected, so that one start shows everything there is to fix.
import { KeylineError } from '@keyline/kernel';
import type { Fault } from './service-config.ts';
import type { YamlFile } from './yaml-file.ts';

export interface ConfigProblem {
  /** Relative to the configuration folder. */
  readonly file: string;
  /** From 1; 0 when the problem is the file itself. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** Keys and positions that lead to it, when it is of a value. */
  readonly path?: readonly (string | number)[] | undefined;
}

const mostShown = 50;

/** `targets.yaml:12:5: unknown key "roll"; did you mean "role"?` */
export function formatProblem({ file, line, column, message }: ConfigProblem): string {
  return `${line === 0 ? file : `${file}:${String(line)}:${String(column)}`}: ${message}`;
}

/** One CONFIG_INVALID for all of them, a line each, in reading order. */
export function toConfigError(dir: string, problems: readonly ConfigProblem[]): KeylineError {
  const ordered = problems.toSorted(
    (a, b) => a.file.localeCompare(b.file, 'en') || a.line - b.line || a.column - b.column,
  );
  const lines = ordered.slice(0, mostShown).map((problem) => `  ${formatProblem(problem)}`);
  if (ordered.length > mostShown) lines.push(`  … and ${String(ordered.length - mostShown)} more`);
  const count = ordered.length === 1 ? 'one error' : `${String(ordered.length)} errors`;
  return new KeylineError(
    'CONFIG_INVALID',
    `The configuration in ${dir} has ${count}:\n${lines.join('\n')}`,
    { context: { errors: ordered.length } },
  );
}

/** Adds what is wrong in a file, each at its place. */
export function reportFaults(
  problems: ConfigProblem[],
  yaml: YamlFile,
  faults: readonly Fault[],
): void {
  for (const { path, message } of faults) {
    const name = path.join('.');
    problems.push({
      file: yaml.file,
      ...yaml.at(path),
      path,
      message: name === '' ? message : `"${name}": ${message}`,
    });
  }
}
