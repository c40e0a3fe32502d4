// `keyline device label`: labels of one device, set and removed.
import { KeylineError } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';
import { formatEvidence } from '../print/evidence.ts';

export interface LabelOptions extends ClientOptions {
  readonly remove?: readonly string[];
  readonly wait?: boolean;
}

/** What was written of labels: those to set, and the names of those to remove. */
export interface LabelWords {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** The device that is named, if one is, and what follows it. @throws {KeylineError} USAGE */
export function parseLabelWords(
  words: readonly string[],
  remove: readonly string[] = [],
): LabelWords & { readonly id: string | undefined } {
  const [first] = words;
  // No id has a "=" in it.
  const id = first?.includes('=') === false ? first : undefined;
  const set = new Map<string, string>();
  for (const word of id === undefined ? words : words.slice(1)) {
    const at = word.indexOf('=');
    if (at < 1) throw new KeylineError('USAGE', `Write labels as name=value, not "${word}".`);
    set.set(word.slice(0, at), word.slice(at + 1));
  }
  if (set.size === 0 && remove.length === 0) {
    throw new KeylineError(
      'USAGE',
      'Say which labels: keyline device label pump-17 site=berlin --remove line',
    );
  }
  return { id, set: Object.fromEntries(set), remove };
}

export async function labelDevice(
  context: CliContext,
  given: { readonly id: string; readonly labels: LabelWords; readonly options: LabelOptions },
): Promise<void> {
  const { id, labels, options } = given;
  const client = await openClient(context, options);
  try {
    const { device, evidence } = await client.call('labelDevice', {
      params: { id },
      body: {
        set: { ...labels.set },
        remove: [...labels.remove],
        ...(options.wait === true ? { wait: true } : {}),
      },
    });
    if (options.json === true) {
      printJson(context, { device, evidence });
      return;
    }
    const all = Object.entries(device.labels).map(([name, value]) => `${name}=${value}`);
    const said = all.length === 0 ? 'has no labels' : `has the labels ${all.join(' ')}`;
    context.terminal.out(`${device.id} ${said}.\n\n${formatEvidence(evidence)}`);
  } finally {
    client.close();
  }
}
