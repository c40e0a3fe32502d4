// Aligned columns for people; scripts use --json.
import { escapeLine } from '@keyline/kernel';

/** A heading row, then the rows; numbers given as numbers are aligned to the right. Ends with a line break. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = rows.map((row) => row.map((cell) => escapeLine(String(cell))));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const isNumeric = headings.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        isNumeric[column] === true
          ? cell.padStart(widths[column] ?? 0)
          : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return `${[headings, ...cells].map(line).join('\n')}\n`;
}

/** `name  value` lines, aligned; entries without a value are left out. */
export function formatFacts(facts: readonly (readonly [string, string | undefined])[]): string {
  const present = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, escapeLine(value)] as const],
  );
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}
