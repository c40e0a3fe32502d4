// Where it is kept what brokers tell of who came and went: on record before a broker forgets it, without an entry in the ledger.
import { onlineSources, presenceOf, type Presence, type Store } from '@keyline/fleet';
import { Duration, KeylineError, type Clock } from '@keyline/kernel';
import type { PresenceRecord } from '@keyline/targets';

type PresenceStore = Pick<Store, 'commit' | 'listPresence' | 'listPresenceSources'>;

/** A broker on which nothing happens is noted to be heard of so often; well below what `presenceOf` takes for silence. */
const noteEvery = Duration.seconds(15);

/** @returns the record that every target of a service writes to */
export function createPresenceRecord(given: {
  readonly store: PresenceStore;
  readonly clock: Clock;
}): PresenceRecord {
  const { store, clock } = given;
  const findLast = async (target: string) =>
    (await store.listPresenceSources()).findLast((source) => source.target === target);
  return {
    async cursorOf(target) {
      const source = await findLast(target);
      return { start: source?.start ?? '', last: source?.last ?? 0 };
    },
    async keep(target, page, hold) {
      const { start, last, sightings, refusals, complete } = page;
      const now = clock.now();
      if (sightings.length === 0 && refusals.length === 0) {
        const source = await findLast(target);
        const age = now - (source?.asOf ?? 0);
        if (source?.start === start && age >= 0 && age < noteEvery) return;
      }
      const result = await store.commit({
        writes: [
          hold,
          {
            ...{ op: 'put-presence', target, start, last, sightings, refusals },
            ...(complete ? { asOf: now } : {}),
          },
        ],
        entries: [],
      });
      if (!result.ok) {
        throw new KeylineError(
          result.code,
          `Another service that shares this database has recorded it meanwhile (${result.code}).`,
        );
      }
    },
  };
}

export interface PresenceViews {
  /** Of several identities, with one look at the database. */
  of(identities: readonly string[]): Promise<(identity: string) => Presence>;
  /** Sources by which somebody is online now. */
  onlineBy(): Promise<readonly number[]>;
}

/** @param targets names of the brokers that identities are pushed to */
export function createPresenceViews(given: {
  readonly store: PresenceStore;
  readonly clock: Clock;
  readonly targets: readonly string[];
}): PresenceViews {
  const { store, clock, targets } = given;
  return {
    async of(identities) {
      const [sources, rows] = await Promise.all([
        store.listPresenceSources(),
        store.listPresence(identities),
      ]);
      const byIdentity = Map.groupBy(rows, ({ identity }) => identity);
      const now = clock.now();
      return (identity) => presenceOf(byIdentity.get(identity) ?? [], { sources, targets, now });
    },
    onlineBy: async () =>
      onlineSources(await store.listPresenceSources(), { targets, now: clock.now() }),
  };
}
