// Topic names and topic filters (MQTT 5 §4.7): what they may be. What matches what is in topic-filter.ts.

const longestBytes = 65_535;
// MQTT 5 §1.5.4 forbids U+0000 and lets a receiver refuse the other control characters and what is no character. Mosquitto, its
// client library included, refuses them: a message with one would cut every subscriber that is built on it.
const forbidden = /[\p{Cc}\p{Noncharacter_Code_Point}]/u;

/** Levels that a topic name or filter may have when nothing else is said. */
export const mostTopicLevels = 100;

/** Whether a text may be a string in a packet: well-formed, no control characters, nothing that is no character (MQTT 5 §1.5.4). */
export function isMqttText(text: string): boolean {
  return text.isWellFormed() && !forbidden.test(text);
}

/** Levels of a topic name or filter: one more than it has slashes. */
export function countLevels(topic: string): number {
  let levels = 1;
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels += 1;
  return levels;
}

/** A topic that a message may be published to: at least one character, no wildcard (MQTT-3.3.2-2, MQTT-4.7.3-1 to -3). */
export function isTopicName(topic: string, mostLevels = mostTopicLevels): boolean {
  return (
    hasAllowedSize(topic, mostLevels) &&
    !topic.includes('+') &&
    !topic.includes('#') &&
    isMqttText(topic)
  );
}

/** `+` fills a level, `#` fills the last one (MQTT-4.7.1-1, MQTT-4.7.1-2). `$share/name/…` is judged by `parseSharedFilter`. */
export function isTopicFilter(filter: string, mostLevels = mostTopicLevels): boolean {
  return (
    hasAllowedSize(filter, mostLevels) &&
    findMisplacedWildcard(filter) === undefined &&
    isMqttText(filter)
  );
}

function hasAllowedSize(topic: string, mostLevels: number): boolean {
  return (
    topic !== '' &&
    topic.length <= longestBytes &&
    countLevels(topic) <= mostLevels &&
    Buffer.byteLength(topic) <= longestBytes
  );
}

/**
 * The wildcard that does not stand alone in its level, or `#` that is not in the last (MQTT-4.7.1-1, MQTT-4.7.1-2); undefined when
 * every wildcard is where it may be.
 */
export function findMisplacedWildcard(filter: string): '+' | '#' | undefined {
  const last = filter.length - 1;
  for (let at = 0; at <= last; at += 1) {
    const character = filter[at];
    if (character !== '+' && character !== '#') continue;
    const beginsLevel = at === 0 || filter[at - 1] === '/';
    const endsLevel = at === last || (character === '+' && filter[at + 1] === '/');
    if (!beginsLevel || !endsLevel) return character;
  }
  return undefined;
}

export interface SharedFilter {
  /** The ShareName. */
  readonly group: string;
  readonly filter: string;
}

const sharedPrefix = '$share/';

/** Whether a subscription's filter is meant as a shared one, sound or not. */
export function isSharedFilter(filter: string): boolean {
  return filter.startsWith(sharedPrefix) || filter === '$share';
}

/**
 * `$share/group/filter` taken apart; undefined for what is no shared filter and for one without a group of at least one character
 * that has no wildcard, or without a filter behind it (MQTT-4.8.2-1, MQTT-4.8.2-2).
 */
export function parseSharedFilter(filter: string): SharedFilter | undefined {
  if (!filter.startsWith(sharedPrefix)) return undefined;
  const slash = filter.indexOf('/', sharedPrefix.length);
  if (slash < 0) return undefined;
  const group = filter.slice(sharedPrefix.length, slash);
  const rest = filter.slice(slash + 1);
  if (group === '' || /[+#]/.test(group) || rest === '') return undefined;
  return { group, filter: rest };
}
