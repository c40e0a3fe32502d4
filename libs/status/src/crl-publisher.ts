// CRLs as a follower of the ledger. A revocation is in a new CRL at once: a complete one where that is cheap, else a delta, and a
// complete one when its turn comes. On schedule each list is published anew well before it ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { listName, type CrlList } from '@keyline/authorities';
import type { Crl, Store } from '@keyline/fleet';
import type { Clock, SerialHex } from '@keyline/kernel';
import {
  leaseLost,
  type Feed,
  type Hold,
  type LedgerEntry,
  type LeasedFollower,
  type View,
} from '@keyline/ledger';
import { openListPublisher, type CrlSchedule, type ListPublisher } from './list-publisher.ts';

export interface CrlPublisher extends LeasedFollower {
  readonly name: 'crl';
  begin(hold: Hold): Promise<void>;
  end(): Promise<void>;
  /** Whether it is this service that publishes. */
  isPublishing(): boolean;
  /** Whether the CRLs in memory are those in force, whoever published them. */
  readonly view: Pick<View<unknown>, 'isFresh' | 'refresh'>;
  /** Publishes every list that has no CRL yet, whose schedule says so, or whose complete CRL is owed; nothing without the lease. */
  tick(): Promise<void>;
  /** A root's CRL that was brought. */
  imported(crl: Crl): void;
  /** The CRL in force of a list; from memory. */
  latest(list: string, kind: Crl['kind']): Crl | undefined;
  /** Whether the complete CRL, which everybody reads, has within the time all up to a ledger position. */
  waitForComplete(list: string, seq: number, timeoutMilliseconds: number): Promise<boolean>;
  /** The CRL in force that holds everything up to a ledger position; a delta holds it together with its base. */
  coverage(list: string, seq: number): Crl | undefined;
}

export async function createCrlPublisher(options: {
  store: Store;
  feed: Pick<Feed, 'join'>;
  clock: Clock;
  /** Those there are now; authorities come while the service runs. */
  lists: () => readonly CrlList[];
  /** Lists that others make and bring: the roots'. */
  brought: () => readonly string[];
  schedule: CrlSchedule;
  /** Told of each that is published or brought. */
  onPublished?: (crl: Crl) => void;
}): Promise<CrlPublisher> {
  const { store, feed, clock, schedule, onPublished } = options;
  const publishers = new Map<string, ListPublisher>();
  /** Whose complete CRL is on its way. */
  const owing = new Set<ListPublisher>();
  let chain: Promise<void> = Promise.resolve();
  /** What the changes of all lists reach up to. */
  let notedSeq = -1;
  /** The right to publish, while this service has it. */
  let hold: Hold | undefined;
  const condition = () => {
    if (hold === undefined) throw leaseLost('crl');
    return hold.condition();
  };

  /** Lists are loaded when they are first met. */
  async function publisherOf(list: CrlList): Promise<ListPublisher> {
    const known = publishers.get(list.name);
    if (known !== undefined) return known;
    const opened = await openListPublisher(list, {
      ...{ store, clock, schedule, condition, onPublished },
    });
    publishers.set(list.name, opened);
    return opened;
  }

  /** One at a time, so that numbers stay in order whoever asks. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = chain.then(work);
    chain = turn.catch(() => undefined);
    return turn;
  }

  /** Takes entries into the changes of the lists they concern. */
  async function note(entries: readonly LedgerEntry[]): Promise<ReadonlySet<CrlList>> {
    const changed = new Set<CrlList>();
    // Most entries are of devices that come, not of any that go.
    let byName: ReadonlyMap<string, CrlList> | undefined;
    for (const { seq, data } of entries) {
      for (const serial of serialsOf(data)) {
        byName ??= new Map(options.lists().map((list) => [list.name, list]));
        const certificate = await store.findCertificate(serial as SerialHex);
        if (certificate === undefined) continue;
        const { authority, crlShard, state, revokedAt, reason } = certificate;
        const names = new Set([listName(authority, null), listName(authority, crlShard)]);
        for (const name of names) {
          const list = byName.get(name);
          if (list === undefined) continue;
          const change = {
            serial: certificate.serial,
            revokedAt: revokedAt ?? clock.now(),
            reason: state === 'revoked' ? (reason ?? 'unspecified') : 'removeFromCRL',
          } as const;
          if ((await publisherOf(list)).note(change, seq)) changed.add(list);
        }
      }
      notedSeq = seq;
    }
    return changed;
  }

  async function publishChanges(publisher: ListPublisher, seq: number): Promise<void> {
    if (publisher.latest('complete') === undefined || publisher.restBefore('complete') === 0) {
      await publisher.publishComplete(notedSeq);
      return;
    }
    // Revocations that come meanwhile are in the same delta.
    const rest = publisher.restBefore('delta');
    if (rest > 0) await sleep(rest);
    await publisher.publishDelta(seq);
    oweComplete(publisher);
  }

  /** Not everybody reads deltas: the complete CRL follows as soon as its turn comes. */
  function oweComplete(publisher: ListPublisher): void {
    if (owing.has(publisher)) return;
    owing.add(publisher);
    const timer = setTimeout(() => {
      owing.delete(publisher);
      inTurn(async () => {
        if (hold !== undefined && publisher.hasChanges()) await publisher.publishComplete(notedSeq);
      }).catch(() => undefined); // tick tries again, and tells of it
    }, publisher.restBefore('complete'));
    timer.unref();
  }

  /** What was revoked since the complete CRLs, for a service that begins to publish. */
  async function recall(): Promise<void> {
    const known = await Promise.all(options.lists().map(publisherOf));
    for (const one of known) await one.reload();
    let seq = Math.min(
      ...known.map((one) => one.latest('complete')?.ledgerSeq ?? Number.MAX_SAFE_INTEGER),
    );
    for (;;) {
      const entries = await store.readEntries(seq, 1000);
      await note(entries);
      const last = entries.at(-1);
      if (last === undefined) return;
      seq = last.seq;
    }
  }

  const brought = new Map<string, Crl>();
  async function readBrought(list: string): Promise<void> {
    const crl = await store.findLatestCrl(list, 'complete');
    if (crl !== undefined) brought.set(list, crl);
  }

  /** Published by this service or another: what is in memory is what is in force. */
  async function hear(heard: readonly { readonly list: string; readonly number: number }[]) {
    for (const { list, number } of heard) {
      const known = publishers.get(list);
      const found = known === undefined && options.lists().find(({ name }) => name === list);
      if (known !== undefined) await known.heard(number);
      else if (found) await publisherOf(found);
      else await readBrought(list);
    }
  }

  // Before they are read: what is published meanwhile is heard.
  const view = feed.join({
    name: 'crl',
    state: publishers,
    apply(_state, entries) {
      const heard = entries.flatMap(({ data }) => (data.kind === 'crl-published' ? [data] : []));
      return heard.length === 0 ? undefined : hear(heard);
    },
  });
  for (const list of options.lists()) await publisherOf(list);
  for (const list of options.brought()) await readBrought(list);
  return {
    name: 'crl',
    view,
    isPublishing: () => hold !== undefined,
    begin: (given) =>
      inTurn(async () => {
        hold = given;
        await recall();
      }),
    end() {
      // What is under way fails by its condition.
      hold = undefined;
      return Promise.resolve();
    },
    imported(crl) {
      brought.set(crl.list, crl);
      onPublished?.(crl);
    },
    latest: (list, kind) =>
      publishers.get(list)?.latest(kind) ?? (kind === 'complete' ? brought.get(list) : undefined),
    async waitForComplete(list, seq, timeoutMilliseconds) {
      const deadline = performance.now() + timeoutMilliseconds;
      const has = (one: ListPublisher | undefined): boolean =>
        one === undefined ||
        (hold !== undefined && !one.hasChanges()) ||
        (one.latest('complete')?.ledgerSeq ?? 0) >= seq;
      while (!has(publishers.get(list))) {
        if (performance.now() >= deadline) return false;
        await sleep(10);
      }
      return true;
    },
    coverage(list, seq) {
      const publisher = publishers.get(list);
      return [publisher?.latest('complete'), publisher?.latest('delta')].find(
        (crl) => crl !== undefined && crl.ledgerSeq >= seq,
      );
    },
    apply: (entries) =>
      inTurn(async () => {
        const last = entries.at(-1);
        if (last === undefined) return;
        await each(await note(entries), async (list) => {
          const publisher = await publisherOf(list);
          const covered = Math.max(
            publisher.latest('complete')?.ledgerSeq ?? 0,
            publisher.latest('delta')?.ledgerSeq ?? 0,
          );
          if (covered < last.seq) await publishChanges(publisher, last.seq);
        });
      }),
    tick: () =>
      inTurn(() =>
        each(options.lists(), async (list) => {
          const publisher = await publisherOf(list);
          if (hold === undefined) return;
          const complete = publisher.latest('complete');
          const isOwed = publisher.hasChanges() && publisher.restBefore('complete') === 0;
          if (complete === undefined || publisher.isDue() || isOwed) {
            await publisher.publishComplete(notedSeq);
          } else if (complete.number > (publisher.latest('delta')?.number ?? 0)) {
            // A stop came between a complete CRL and its delta.
            await publisher.publishDelta(complete.ledgerSeq);
          }
        }),
      ),
  };
}

/** One list that can't be published keeps none of the others from it. @throws what the first that failed did */
async function each(
  lists: Iterable<CrlList>,
  publish: (list: CrlList) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const list of lists) {
    try {
      await publish(list);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function serialsOf(data: LedgerEntry['data']): readonly string[] {
  if ('serials' in data) return data.serials;
  return data.kind === 'certificate-revoked' ? [data.serial] : [];
}
