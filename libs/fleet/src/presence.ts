// Whether an identity is online, of what brokers have told and how long ago. What is not known is unknown.
import { Duration } from '@keyline/kernel';
import type { PresenceRow, PresenceSource } from './model.ts';

export interface Presence {
  readonly status: 'online' | 'offline' | 'unknown';
  /** Epoch milliseconds; null: no broker has told that it ever saw it. */
  readonly lastSeen: number | null;
  /** Since when it is online; null: it is not. */
  readonly since: number | null;
  /** The broker that saw it last, and how: null when none did. */
  readonly seen: Pick<PresenceRow, 'target' | 'clientId' | 'protocol' | 'address'> | null;
}

/** A broker that has told nothing for so long may know something else by now. */
const longestSilence = Duration.minutes(1);

/** Of each target the last source, where it is not out of date. */
function freshSources(
  sources: readonly PresenceSource[],
  now: number,
): ReadonlyMap<string, PresenceSource> {
  const last = new Map(sources.map((source) => [source.target, source]));
  return new Map(
    [...last].filter(([, { asOf }]) => asOf !== null && Math.abs(now - asOf) <= longestSilence),
  );
}

/** Sources by which a row says that somebody is online now. */
export function onlineSources(
  sources: readonly PresenceSource[],
  { targets, now }: { readonly targets: readonly string[]; readonly now: number },
): number[] {
  return [...freshSources(sources, now).values()]
    .filter(({ target }) => targets.includes(target))
    .map(({ id }) => id);
}

/**
 * @param rows of one identity
 * @param targets brokers that identities are pushed to now
 */
export function presenceOf(
  rows: readonly PresenceRow[],
  given: {
    readonly sources: readonly PresenceSource[];
    readonly targets: readonly string[];
    readonly now: number;
  },
): Presence {
  const { sources, targets, now } = given;
  const fresh = freshSources(sources, now);
  const byId = new Map(sources.map((source) => [source.id, source]));
  // Until then it was there, as far as anybody knows: its broker ended, or was not heard of since.
  const seenAt = (row: PresenceRow): number =>
    row.online ? Math.max(row.at, byId.get(row.source)?.asOf ?? 0) : row.at;
  const isOnline = (row: PresenceRow): boolean =>
    row.online && targets.includes(row.target) && fresh.get(row.target)?.id === row.source;
  const [latest] = rows.toSorted(
    (a, b) => Number(isOnline(b)) - Number(isOnline(a)) || seenAt(b) - seenAt(a),
  );
  const online = latest !== undefined && isOnline(latest);
  const isKnown = targets.length > 0 && targets.every((target) => fresh.has(target));
  return {
    status: online ? 'online' : isKnown ? 'offline' : 'unknown',
    lastSeen: latest === undefined ? null : seenAt(latest),
    since: online ? latest.at : null,
    seen: latest ?? null,
  };
}
