// What stands in a role for what differs from identity to identity: its name, type, batch and labels. A value fills one level and can
// never be more than that; where there is none, or none that is safe, the right is closed.
import { isMqttText } from '@keyline/mqtt';

/** What the placeholders are filled from. */
export interface TopicValues {
  readonly id: string;
  readonly type: string;
  readonly batch: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

const labelPattern = /^%\{label:([A-Za-z0-9][A-Za-z0-9._-]{0,62})\}$/;

/** `%u`, `%{type}`, `%{batch}` or `%{label:NAME}`, as the whole of a level. */
export function isPlaceholder(level: string): boolean {
  return level === '%u' || level === '%{type}' || level === '%{batch}' || labelPattern.test(level);
}

/** Whether a filter has more in it than `%u`, which brokers fill in by themselves. */
export function isTemplate(filter: string): boolean {
  return filter.includes('%{');
}

export type FilledTopic =
  | { readonly filter: string }
  /** Why it gives nothing to this identity, for people: `it has no label "site"`. */
  | { readonly closed: string };

/** @param options.keepsUser leaves `%u` to the broker */
export function fillTopic(
  filter: string,
  values: TopicValues,
  { keepsUser = false }: { readonly keepsUser?: boolean } = {},
): FilledTopic {
  const levels: string[] = [];
  for (const level of filter.split('/')) {
    if (!isPlaceholder(level) || (level === '%u' && keepsUser)) {
      levels.push(level);
      continue;
    }
    const [value, name] = valueOf(level, values);
    if (value === undefined) return { closed: `it has no ${name}` };
    // What an id may be was checked when it was made.
    const fault = level === '%u' ? undefined : findFault(value);
    if (fault !== undefined) return { closed: `its ${name} ${fault}` };
    levels.push(value);
  }
  return { filter: levels.join('/') };
}

function valueOf(level: string, values: TopicValues): [value: string | undefined, name: string] {
  switch (level) {
    case '%u':
      return [values.id, 'name'];
    case '%{type}':
      return [values.type, 'type'];
    case '%{batch}':
      return [values.batch ?? undefined, 'batch'];
    default: {
      const name = labelPattern.exec(level)?.[1] ?? '';
      const { labels } = values;
      return [Object.hasOwn(labels, name) ? labels[name] : undefined, `label "${name}"`];
    }
  }
}

/** Why a value may not stand in a topic: it would be another level, a wildcard, or what a broker fills in. */
function findFault(value: string): string | undefined {
  if (value === '') return 'is empty';
  const [character] = /[+#/$%]/.exec(value) ?? [];
  if (character !== undefined) return `has "${character}" in it, which a topic may not get`;
  if (!isMqttText(value)) return 'has a control character in it, or what is no character';
  return undefined;
}
