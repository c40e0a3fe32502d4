// Name constraints as people give them on the command line: dns:example.com, ip:10.0.0.0/8, uri:.example.com.
import { KeylineError } from '@keyline/kernel';
import type { NameConstraints, NameSubtrees } from '@keyline/x509';

export interface NameLimitOptions {
  readonly permit?: readonly string[];
  readonly exclude?: readonly string[];
}

const kinds = ['dns', 'ip', 'uri'] as const;

/** Undefined when nothing is limited. @throws {KeylineError} USAGE */
export function parseNameLimits(options: NameLimitOptions): NameConstraints | undefined {
  const { permit = [], exclude = [] } = options;
  if (permit.length + exclude.length === 0) return undefined;
  return { permitted: parseSubtrees(permit), excluded: parseSubtrees(exclude) };
}

function parseSubtrees(texts: readonly string[]): NameSubtrees {
  const found = { dns: [] as string[], ip: [] as string[], uri: [] as string[] };
  for (const text of texts) {
    const kind = kinds.find((name) => text.startsWith(`${name}:`));
    if (kind === undefined) {
      throw new KeylineError(
        'USAGE',
        `"${text.slice(0, 80)}" is not a name limit. Write for instance dns:example.com, ip:10.0.0.0/8 or uri:.example.com.`,
      );
    }
    found[kind].push(text.slice(kind.length + 1));
  }
  return found;
}
