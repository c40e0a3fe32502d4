// MQTT topic filters: what a role may contain. Nothing about any broker.
import { KeylineError } from '@keyline/kernel';
import { findMisplacedWildcard, isMqttText } from '@keyline/mqtt';
import { isPlaceholder } from './topic-template.ts';

const longestBytes = 65_535;

/**
 * A filter as a role may name it: MQTT 5 §4.7 syntax, placeholders (`%u`, the device id, and others) only as whole levels, no topic that
 * begins with `$` (`$CONTROL` and `$SYS` are the broker's, not a device's) but `$share/GROUP/FILTER`, which can only be subscribed to.
 * @throws {KeylineError} REQUEST_INVALID
 */
export function assertTopicFilter(filter: string, use: 'publish' | 'subscribe'): void {
  const reason = findFault(filter, use);
  if (reason !== undefined) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${filter.slice(0, 120)}" is not a topic filter that a role may have: ${reason}.`,
    );
  }
}

function findFault(filter: string, use: 'publish' | 'subscribe'): string | undefined {
  if (filter === '') return 'it is empty (MQTT 5 §4.7.3)';
  if (Buffer.byteLength(filter) > longestBytes) {
    return `it is longer than ${String(longestBytes)} bytes (MQTT 5 §4.7.3)`;
  }
  if (!filter.isWellFormed()) return 'it is not well-formed Unicode';
  if (!isMqttText(filter)) {
    return 'it contains a control character or what is no character (MQTT 5 §1.5.4)';
  }
  if (filter.startsWith('$')) return findSharedFault(filter, use);
  switch (findMisplacedWildcard(filter)) {
    case '#':
      return '"#" must be the whole of the last level (MQTT 5 §4.7.1.2)';
    case '+':
      return '"+" must be a whole level (MQTT 5 §4.7.1.3)';
    case undefined:
      break;
  }
  if (filter.split('/').some((level) => level.includes('%') && !isPlaceholder(level))) {
    return '"%" begins a placeholder, which is a whole level: %u (the device id), %{type}, %{batch} or %{label:NAME}, and no other';
  }
  return undefined;
}

/** MQTT 5 §4.8.2. "+" in the place of the group allows any of them. */
function findSharedFault(filter: string, use: 'publish' | 'subscribe'): string | undefined {
  const [first, group = '', ...rest] = filter.split('/');
  if (first !== '$share') {
    return 'topics that begin with "$" belong to the broker; a role names plain topics, and $share/GROUP/FILTER to subscribe to';
  }
  if (use === 'publish')
    return 'nothing is published to "$share"; name the topic itself (MQTT 5 §4.8.2)';
  if (group === '' || group === '#' || rest.length === 0) {
    return 'a shared subscription is $share/GROUP/FILTER, with "+" for any group (MQTT 5 §4.8.2)';
  }
  if (rest[0]?.startsWith('$') === true) return 'topics that begin with "$" belong to the broker';
  return findFault([group, ...rest].join('/'), use);
}
