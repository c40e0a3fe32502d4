// Parts that the completion of bash and zsh have in common: patterns of "case".
import type { CommandNode } from './command-tree.ts';

/** What to do where the value of an option stands. */
export interface ValueActions {
  readonly choices: (values: readonly string[]) => string;
  readonly file: string;
  readonly folder: string;
  readonly text: string;
}

/** The words of every command but the program itself, with spaces. */
export function pathsOf(nodes: readonly CommandNode[]): string[] {
  return nodes.filter(({ words }) => words.length > 0).map(({ words }) => words.join(' '));
}

/** All of them as one pattern. */
export function pathCases(nodes: readonly CommandNode[]): string {
  return pathsOf(nodes).map(quote).join(' | ');
}

/** A case for each option with a value: `'device list|--state') … ;;` */
export function optionCases(nodes: readonly CommandNode[], actions: ValueActions): string {
  const lines = nodes.flatMap(({ words, options }) =>
    options.flatMap(({ flags, value }) => {
      if (value === 'none') return [];
      const patterns = flags.map((flag) => quote(`${words.join(' ')}|${flag}`)).join(' | ');
      const action = typeof value === 'string' ? actions[value] : actions.choices(value);
      return [`    ${patterns}) ${action} ;;`];
    }),
  );
  return lines.join('\n');
}

/** As one word of a POSIX shell, whatever is in it. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
