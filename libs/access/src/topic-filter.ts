// MQTT topic filters: what a role may contain. Nothing about any broker.
import { KeylineError } from '@keyline/kernel';
import { findMisplacedWildcard, isMqttText } from '@keyline/mqtt';

const longestBytes = 65_535;

/**
 * A filter as a role may name it: MQTT 5 §4.7 syntax, `%u` (the device id) only as a whole level, no topic that begins with `$`
 * (`$CONTROL`, `$SYS` and `$share` are the broker's, not a device's).
 * @throws {KeylineError} REQUEST_INVALID
 */
export function assertTopicFilter(filter: string): void {
  const reason = findFault(filter);
  if (reason !== undefined) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${filter.slice(0, 120)}" is not a topic filter that a role may have: ${reason}.`,
    );
  }
}

function findFault(filter: string): string | undefined {
  if (filter === '') return 'it is empty (MQTT 5 §4.7.3)';
  if (Buffer.byteLength(filter) > longestBytes) {
    return `it is longer than ${String(longestBytes)} bytes (MQTT 5 §4.7.3)`;
  }
  if (!filter.isWellFormed()) return 'it is not well-formed Unicode';
  if (!isMqttText(filter)) {
    return 'it contains a control character or what is no character (MQTT 5 §1.5.4)';
  }
  if (filter.startsWith('$')) {
    return 'topics that begin with "$" belong to the broker; a role names plain topics only';
  }
  switch (findMisplacedWildcard(filter)) {
    case '#':
      return '"#" must be the whole of the last level (MQTT 5 §4.7.1.2)';
    case '+':
      return '"+" must be a whole level (MQTT 5 §4.7.1.3)';
    case undefined:
      break;
  }
  if (filter.split('/').some((level) => level.includes('%') && level !== '%u')) {
    return '"%u" (the device id) must be a whole level, and there is no other placeholder';
  }
  return undefined;
}
