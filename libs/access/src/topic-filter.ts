// MQTT topic filters: what a role may contain, and whether a filter covers a topic. Nothing about any broker.
import { KeylineError } from '@keyline/kernel';

const longestBytes = 65_535;
// MQTT 5 §1.5.4: no U+0000; control characters SHOULD NOT be there, and in a role they are always a slip.
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;

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
  if (controlCharacters.test(filter)) return 'it contains a control character';
  if (!filter.isWellFormed()) return 'it is not well-formed Unicode';
  if (filter.startsWith('$')) {
    return 'topics that begin with "$" belong to the broker; a role names plain topics only';
  }
  const levels = filter.split('/');
  for (const [position, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || position !== levels.length - 1)) {
      return '"#" must be the whole of the last level (MQTT 5 §4.7.1.2)';
    }
    if (level.includes('+') && level !== '+') {
      return '"+" must be a whole level (MQTT 5 §4.7.1.3)';
    }
    if (level.includes('%') && level !== '%u') {
      return '"%u" (the device id) must be a whole level, and there is no other placeholder';
    }
  }
  return undefined;
}

/**
 * Whether a filter, its `%u` already filled in, covers a topic name (MQTT 5 §4.7). A filter that begins with a wildcard covers no
 * topic that begins with `$` (§4.7.2).
 */
export function topicMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const wanted = filter.split('/');
  const given = topic.split('/');
  for (const [position, level] of wanted.entries()) {
    // `a/#` covers `a` as well (§4.7.1.2).
    if (level === '#') return true;
    const actual = given[position];
    if (actual === undefined || (level !== '+' && level !== actual)) return false;
  }
  return given.length === wanted.length;
}
