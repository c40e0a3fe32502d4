// Topic filters of ACLs: checked, compiled once, matched against topics and against the filters of subscriptions.

const singleLevel = 0;
const usernameLevel = 1;
const clientIdLevel = 2;

export interface CompiledFilter {
  /** Text, or a number for `+`, `%u`, `%c`. A trailing `#` is `open` instead. */
  readonly levels: readonly (string | number)[];
  readonly open: boolean;
  /** `$…` is reached only by filters that begin with `$` (MQTT 5 §4.7.2). */
  readonly dollar: boolean;
  readonly valid: boolean;
}

const maximumLevels = 200;
const maximumTopicBytes = 65535;
// MQTT 5 §1.5.4: what a UTF-8 string should not carry is refused, as Mosquitto does.
const forbidden = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/;

export function isMqttText(text: string): boolean {
  return text.isWellFormed() && !forbidden.test(text);
}

/** MQTT 5 §4.7.1: wildcards stand alone in their level, `#` is last. */
export function isTopicFilter(filter: string): boolean {
  if (filter === '' || Buffer.byteLength(filter) > maximumTopicBytes) return false;
  const levels = filter.split('/');
  return (
    levels.length <= maximumLevels + 1 &&
    levels.every(
      (level, at) =>
        level === '+' ||
        (level === '#' ? at === levels.length - 1 : !level.includes('+') && !level.includes('#')),
    )
  );
}

/** `%u` and `%c` alone in a level stand for the user name and the client id (Mosquitto 2.1). */
export function compileFilter(filter: string): CompiledFilter {
  const levels = filter.split('/');
  const open = levels.at(-1) === '#';
  if (open) levels.pop();
  return {
    levels: levels.map((level) => {
      if (level === '+') return singleLevel;
      if (level === '%u') return usernameLevel;
      return level === '%c' ? clientIdLevel : level;
    }),
    open,
    dollar: filter.startsWith('$'),
    valid: isTopicFilter(filter),
  };
}

/** A topic or filter taken apart; what is asked about twice in a row (one message, many subscribers) is taken apart once. */
export interface Levels {
  readonly text: string;
  readonly levels: readonly string[];
  readonly dollar: boolean;
  readonly wildcard: boolean;
}

let last: Levels = { text: '', levels: [''], dollar: false, wildcard: false };

export function takeApart(text: string): Levels {
  if (last.text === text) return last;
  const levels = text.split('/');
  last = {
    text,
    levels,
    dollar: text.startsWith('$'),
    wildcard: text.includes('+') || text.includes('#'),
  };
  return last;
}

/**
 * Whether every topic that `asked` can stand for is covered: for a topic, that it matches; for a subscription's filter, that it is
 * no wider than the ACL's.
 *
 * A user name or client id fills exactly one level, whole. Mosquitto 2.1.2 compares only as far as the shorter of the two
 * reaches, so that `%u` lets "device12" into "device1"'s topics: not repeated here. Names with `/`, `+` or `#` never match.
 */
export function covers(
  filter: CompiledFilter,
  { levels: asked, dollar }: Levels,
  username: string | undefined,
  clientId: string,
): boolean {
  const { levels, open } = filter;
  if (filter.dollar !== dollar) return false;
  if (open ? asked.length < levels.length : asked.length !== levels.length) return false;
  for (let at = 0; at < levels.length; at += 1) {
    const level = levels[at];
    const given = asked[at];
    if (level === given) continue;
    if (level === singleLevel) {
      if (given === '#') return false;
    } else if (level === usernameLevel) {
      if (given !== username || !isPlainLevel(given)) return false;
    } else if (level === clientIdLevel) {
      if (given !== clientId || !isPlainLevel(given)) return false;
    } else {
      return false;
    }
  }
  return true;
}

function isPlainLevel(name: string | undefined): boolean {
  return name !== undefined && name !== '' && name !== '+' && name !== '#';
}
