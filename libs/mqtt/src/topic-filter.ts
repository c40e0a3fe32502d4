// The one matcher of topic filters (MQTT 5 §4.7): against topics, and against other filters for what a right allows.

/** `+`; text; or a placeholder that is filled in when it is asked about. */
type FilterLevel<Name extends string> = string | null | { readonly placeholder: Name };

/** A filter taken apart once, to be asked about often. `Name` is what its placeholders are filled from. */
export interface CompiledFilter<Name extends string = never> {
  readonly levels: readonly FilterLevel<Name>[];
  /** A trailing `#`, which is no level then. */
  readonly open: boolean;
  /** `$…` is reached only by filters that begin with `$` (MQTT-4.7.2-1). */
  readonly dollar: boolean;
}

/** A topic or filter taken apart, to be asked for. */
export interface Levels {
  readonly text: string;
  readonly levels: readonly string[];
  readonly dollar: boolean;
  readonly wildcard: boolean;
}

/** Takes a sound filter apart. Where `placeholders` names a level (`{ '%u': 'username' }`), that level is filled in later. */
export function compileFilter<Name extends string = never>(
  filter: string,
  placeholders?: Readonly<Record<string, Name>>,
): CompiledFilter<Name> {
  const levels = filter.split('/');
  const open = levels.at(-1) === '#';
  if (open) levels.pop();
  return {
    levels: levels.map((level) => {
      if (level === '+') return null;
      if (placeholders === undefined || !Object.hasOwn(placeholders, level)) return level;
      const placeholder = placeholders[level];
      return placeholder === undefined ? level : { placeholder };
    }),
    open,
    dollar: filter.startsWith('$'),
  };
}

let last: Levels = { text: '', levels: [''], dollar: false, wildcard: false };

/** What is asked for twice in a row (one message, many filters) is taken apart once. */
export function takeApart(text: string): Levels {
  if (last.text === text) return last;
  last = {
    text,
    levels: text.split('/'),
    dollar: text.startsWith('$'),
    wildcard: text.includes('+') || text.includes('#'),
  };
  return last;
}

/**
 * Whether every topic that `asked` can stand for is covered: for a topic, that the filter matches it; for a filter, that it is no
 * wider.
 *
 * A name fills exactly one level, whole. Mosquitto 2.1.2 compares only as far as the shorter of the two reaches, so that `%u` lets
 * "device12" into "device1"'s topics: not repeated here. Names with `/`, `+` or `#` never match.
 */
export function covers<Name extends string>(
  { levels, open, dollar }: CompiledFilter<Name>,
  asked: Levels,
  names: Readonly<Record<Name, string | undefined>>,
): boolean {
  const given = asked.levels;
  if (dollar !== asked.dollar) return false;
  // `a/#` covers `a` as well (§4.7.1.2).
  if (open ? given.length < levels.length : given.length !== levels.length) return false;
  for (let at = 0; at < levels.length; at += 1) {
    const wanted = levels[at];
    const level = given[at];
    if (wanted === level) continue;
    if (wanted === null) {
      if (level === '#') return false;
    } else if (typeof wanted === 'object') {
      if (level !== names[wanted.placeholder] || !isPlainLevel(level)) return false;
    } else {
      return false;
    }
  }
  return true;
}

function isPlainLevel(name: string | undefined): boolean {
  return name !== undefined && name !== '' && name !== '+' && name !== '#';
}

const noNames = {} as const;

/** Whether a filter matches a topic name. Who asks often compiles the filter and calls `covers`. */
export function matchesTopic(filter: string, topic: string): boolean {
  return covers(compileFilter(filter), takeApart(topic), noNames);
}
