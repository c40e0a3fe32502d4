// Why an identity may use a topic, or may not: by the matcher that Keyline's broker decides with, in words, with the line of the role.
import {
  compileFilter,
  covers,
  isSharedFilter,
  isTopicFilter,
  parseSharedFilter,
  takeApart,
} from '@keyline/mqtt';
import type { Role } from './role.ts';
import { fillTopic, type TopicValues } from './topic-template.ts';

export type TopicAction = 'publish' | 'subscribe';

/** A filter of the role, with its line in the role's file (0: the role was made in a program). */
export interface RoleLine {
  readonly filter: string;
  readonly line: number;
}

export type RightExplanation =
  | { readonly verdict: 'allowed'; readonly by: RoleLine }
  | {
      readonly verdict: 'denied';
      /** A sentence. */
      readonly reason: string;
      /** A filter that would allow it to this identity and, with its placeholder, to no other. Absent: what was asked is no topic. */
      readonly missing?: string;
      /** Filters that give this identity nothing, and why. */
      readonly closed: readonly (RoleLine & { readonly why: string })[];
    };

/**
 * @param asked.topic a topic name to publish to, a topic filter to subscribe to
 */
export function explainRight(
  role: Role,
  values: TopicValues,
  asked: { readonly action: TopicAction; readonly topic: string },
): RightExplanation {
  const { action, topic } = asked;
  const fault = findTopicFault(action, topic);
  if (fault !== undefined) return { verdict: 'denied', reason: fault, closed: [] };
  const closed: (RoleLine & { why: string })[] = [];
  for (const [position, filter] of role[action].entries()) {
    const line = role.source?.[action][position] ?? 0;
    const filled = fillTopic(filter, values);
    if ('closed' in filled) closed.push({ filter, line, why: filled.closed });
    else if (isCovered(filled.filter, topic)) return { verdict: 'allowed', by: { filter, line } };
  }
  const verb = action === 'publish' ? 'publish to' : 'subscribe to';
  const wouldMatch = closed.find(({ filter }) => isCovered(withAny(filter), topic));
  const ofOthers = role[action].find((filter) => isCovered(withAny(filter), topic));
  let reason = `No filter of the role "${role.name}" lets it ${verb} "${topic}".`;
  if (wouldMatch !== undefined) {
    reason = `The filter ${wouldMatch.filter} would let it ${verb} "${topic}", but ${wouldMatch.why}, so it is closed.`;
  } else if (ofOthers !== undefined) {
    reason = `"${topic}" is not in its own part of ${ofOthers}: what stands in the place of %u, and of type, batch and labels, is another's.`;
  }
  return { verdict: 'denied', reason, missing: templateOf(topic, values.id), closed };
}

function findTopicFault(action: TopicAction, topic: string): string | undefined {
  if (action === 'subscribe' && isSharedFilter(topic)) {
    const shared = parseSharedFilter(topic);
    return shared !== undefined && isTopicFilter(shared.filter)
      ? undefined
      : `"${topic}" is no shared subscription: that is $share/GROUP/FILTER (MQTT 5 §4.8.2).`;
  }
  if (!isTopicFilter(topic))
    return `"${topic}" is no topic ${action === 'publish' ? 'name' : 'filter'} (MQTT 5 §4.7).`;
  if (action === 'publish' && /[+#]/.test(topic)) {
    return `"${topic}" has a wildcard: a message is published to one topic (MQTT 5 §3.3.2.1).`;
  }
  if (topic.startsWith('$')) {
    return `Topics that begin with "$" belong to the broker; no role can give "${topic}".`;
  }
  return undefined;
}

function isCovered(filter: string, topic: string): boolean {
  return covers(compileFilter(filter), takeApart(topic), {});
}

/** With "+" in the place of each placeholder. */
function withAny(filter: string): string {
  return filter
    .split('/')
    .map((level) => (level.startsWith('%') ? '+' : level))
    .join('/');
}

/** What names the identity becomes `%u`, so that a filter that is added gives nobody the topics of others. */
function templateOf(topic: string, id: string): string {
  return topic
    .split('/')
    .map((level) => (level === id ? '%u' : level))
    .join('/');
}
