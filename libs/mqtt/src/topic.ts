// Topic names and topic filters (MQTT 5 §4.7): what they may be, and which filter matches or covers what.

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
  return hasAllowedSize(filter, mostLevels) && hasSoundWildcards(filter) && isMqttText(filter);
}

function hasAllowedSize(topic: string, mostLevels: number): boolean {
  return (
    topic !== '' &&
    topic.length <= longestBytes &&
    countLevels(topic) <= mostLevels &&
    Buffer.byteLength(topic) <= longestBytes
  );
}

/** Whether every wildcard of a filter stands alone in its level, and `#` in the last. */
export function hasSoundWildcards(filter: string): boolean {
  const last = filter.length - 1;
  for (let at = 0; at <= last; at += 1) {
    const character = filter[at];
    if (character !== '+' && character !== '#') continue;
    if (at > 0 && filter[at - 1] !== '/') return false;
    if (character === '#' ? at < last : at < last && filter[at + 1] !== '/') return false;
  }
  return true;
}

/**
 * Whether a filter matches a topic name. A filter that begins with a wildcard matches no topic that begins with `$`
 * (MQTT-4.7.2-1); `a/#` matches `a` too (§4.7.1.2). Takes time in proportion to the shorter of the two.
 */
export function matchesTopic(filter: string, topic: string): boolean {
  const first = filter[0];
  if (topic[0] === '$' && (first === '+' || first === '#')) return false;
  let inFilter = 0;
  let inTopic = 0;
  while (true) {
    const filterEnd = levelEnd(filter, inFilter);
    if (filter[inFilter] === '#' && filterEnd - inFilter === 1) return true;
    if (inTopic > topic.length) return false;
    const topicEnd = levelEnd(topic, inTopic);
    if (!matchesLevel(filter, inFilter, filterEnd, topic, inTopic, topicEnd)) return false;
    inFilter = filterEnd + 1;
    inTopic = topicEnd + 1;
    if (inFilter > filter.length) return inTopic > topic.length;
  }
}

const levelEnd = (text: string, from: number): number => {
  const slash = text.indexOf('/', from);
  return slash < 0 ? text.length : slash;
};

function matchesLevel(
  filter: string,
  filterStart: number,
  filterEnd: number,
  topic: string,
  topicStart: number,
  topicEnd: number,
): boolean {
  const length = filterEnd - filterStart;
  if (length === 1 && filter[filterStart] === '+') return true;
  if (length !== topicEnd - topicStart) return false;
  for (let at = 0; at < length; at += 1) {
    if (filter.charCodeAt(filterStart + at) !== topic.charCodeAt(topicStart + at)) return false;
  }
  return true;
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
