// Shared subscriptions under a name that aedes lets through: it refuses "$share/" before any of its hooks is asked.

// U+0000 can't come from a client (MQTT 5.0 §1.5.4), so nobody can ask for such a name from outside.
const hidden = '\u0000share/';
const refused = '\u0000refused/';
const shown = '$share/';

export interface Shared {
  readonly group: string;
  readonly filter: string;
}

/** `$share/group/filter` as a client writes it → our name for it. Anything else, malformed ones included, comes back as it is. */
export function hideShared(filter: string): string {
  return isShared(filter) ? hidden + filter.slice(shown.length) : filter;
}

/** Our name → as the client wrote it. */
export function showShared(name: string): string {
  return name.startsWith(hidden) ? shown + name.slice(hidden.length) : name;
}

/** Our name → its parts; undefined when it is no shared subscription. */
export function parseShared(name: string): Shared | undefined {
  if (!name.startsWith(hidden)) return undefined;
  const rest = name.slice(hidden.length);
  const slash = rest.indexOf('/');
  return { group: rest.slice(0, slash), filter: rest.slice(slash + 1) };
}

/** A name that no subscription has: what an UNSUBSCRIBE becomes to which there is no right. */
export function refusedName(filter: string): string {
  return refused + filter;
}

export function isForged(filter: string): boolean {
  return filter.includes('\u0000');
}

// MQTT 5.0 §4.8.2: a group of at least one character without wildcards, then a filter.
function isShared(filter: string): boolean {
  return /^\$share\/[^/+#]+\/./s.test(filter);
}
