// CRLs as a follower of the ledger. A revocation is in a new CRL at once: a complete one where that is cheap, else a delta, and a
// complete one when its turn comes. On schedule each list is published anew well before it ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { assertClock, listName, type CrlList } from '@keyline/authorities';
import { revokedPages, type Crl, type LedgerEntry, type Store } from '@keyline/fleet';
import { KeylineError, type Clock, type SerialHex } from '@keyline/kernel';
import {
  createCrl,
  createDeltaCrl,
  deltaCrlUrl,
  mergeCrlEntries,
  type CrlEntries,
  type DeltaCrlEntry,
} from '@keyline/pki';

export interface CrlSchedule {
  /** Milliseconds from thisUpdate to nextUpdate. */
  readonly validity: number;
  /** Published anew after this long even when nothing was revoked; well below validity. */
  readonly interval: number;
}

export interface CrlPublisher {
  readonly name: 'crl';
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** Publishes every list that has no CRL yet, whose schedule says so, or whose complete CRL is owed. */
  tick(): Promise<void>;
  /** A root's CRL that was brought. */
  imported(crl: Crl): void;
  /** The CRL in force of a list; from memory. */
  latest(list: string, kind: Crl['kind']): Crl | undefined;
  /** Whether the complete CRL, which everybody reads, has within the time all that was applied. */
  waitForComplete(list: string, timeoutMilliseconds: number): Promise<boolean>;
  /** The CRL in force that holds everything up to a ledger position; a delta holds it together with its base. */
  coverage(list: string, seq: number): Crl | undefined;
}

/** Publishing complete CRLs, and publishing deltas, may take this share of the time at most, however many revocations come. */
const mostShare = { complete: 0.05, delta: 0.1 };
/** Up to here (some 100,000 entries, milliseconds) a complete CRL is made of the one before it; a larger one in slices from the database. */
const mostMergedBytes = 4 << 20;

interface ListState {
  complete: Crl | undefined;
  delta: Crl | undefined;
  /** What changed since the complete CRL: the entries of the next delta. */
  readonly changes: Map<string, DeltaCrlEntry>;
  /** `performance.now()` from which on the next may be published. */
  completeFrom: number;
  deltaFrom: number;
  /** Epoch milliseconds from which on the next complete CRL is made anew from the database, not of the one before. */
  anewFrom: number;
  /** A complete CRL is on its way. */
  owing: boolean;
}

export async function createCrlPublisher(options: {
  store: Store;
  clock: Clock;
  /** Those there are now; authorities come while the service runs. */
  lists: () => readonly CrlList[];
  /** Lists that others make and bring: the roots'. */
  brought: () => readonly string[];
  schedule: CrlSchedule;
  /** Told of each that is published or brought. */
  onPublished?: (crl: Crl) => void;
}): Promise<CrlPublisher> {
  const { store, clock, schedule, onPublished } = options;
  const states = new Map<string, ListState>();
  let chain: Promise<void> = Promise.resolve();
  /** What the changes of all lists reach up to. */
  let notedSeq = -1;

  /** Lists are loaded when they are first met. */
  async function stateOf({ name }: CrlList): Promise<ListState> {
    const known = states.get(name);
    if (known !== undefined) return known;
    const state: ListState = {
      complete: await store.findLatestCrl(name, 'complete'),
      delta: await store.findLatestCrl(name, 'delta'),
      changes: new Map(),
      completeFrom: 0,
      deltaFrom: 0,
      anewFrom: 0,
      owing: false,
    };
    states.set(name, state);
    return state;
  }

  async function insert(list: CrlList, state: ListState, crl: Crl): Promise<void> {
    const { name, authority } = list;
    const { number } = crl;
    const result = await store.commit({
      writes: [{ op: 'insert-crl', crl }],
      entries: [
        {
          at: clock.now(),
          actor: 'keyline',
          data: { kind: 'crl-published', authority: authority.id, list: name, number },
        },
      ],
    });
    if (result.ok) {
      onPublished?.(crl);
      return;
    }
    // Numbers go on from those in the store. The changes stay: more of them than the base lacks is no fault, less would be.
    state.complete = await store.findLatestCrl(name, 'complete');
    state.delta = await store.findLatestCrl(name, 'delta');
    state.anewFrom = 0;
    throw new KeylineError(
      'STORE_CONFLICT',
      `CRL number ${String(number)} of ${name} was published by somebody else; trying again with the next.`,
    );
  }

  const restAfter = (begun: number, kind: Crl['kind']): number => {
    const ended = performance.now();
    return ended + (ended - begun) * (1 / mostShare[kind] - 1);
  };

  /** All that is revoked, from the database, and how far that reaches at least. */
  async function readEntries(
    { authority, shard }: CrlList,
    state: ListState,
    now: number,
  ): Promise<{ entries: CrlEntries; ledgerSeq: number }> {
    const ledgerSeq = await store.lastSeq();
    const entries = revokedPages(store, {
      authority: authority.id,
      shard,
      // An entry stays until it has been in one CRL that came after its certificate's end (RFC 5280 §3.3).
      endsFrom: Math.min(now, state.complete?.thisUpdate ?? 0),
    });
    return { entries, ledgerSeq };
  }

  /**
   * The same, made of the CRL before and what changed since: what the database has of thousands of others is not read again. Whose
   * certificate ended meanwhile stays in it until it is made anew. Undefined where that is not known to be the same.
   */
  function mergeEntries(
    { complete, changes, anewFrom }: ListState,
    now: number,
  ): { entries: CrlEntries; ledgerSeq: number } | undefined {
    // A clock that was set back does not put off the turn of the database.
    if (now >= anewFrom || now < anewFrom - schedule.interval) return undefined;
    if (complete === undefined || complete.der.length > mostMergedBytes) return undefined;
    if (notedSeq < complete.ledgerSeq) return undefined;
    const entries = mergeCrlEntries(complete.der, changes.values());
    return entries && { entries, ledgerSeq: notedSeq };
  }

  async function publishComplete(list: CrlList, state: ListState): Promise<void> {
    const begun = performance.now();
    const { name, authority, certificate, distributionPoint } = list;
    const now = clock.now();
    assertClock(certificate, now);
    const merged = mergeEntries(state, now);
    const { entries, ledgerSeq } = merged ?? (await readEntries(list, state, now));
    const { thisUpdate, nextUpdate } = timesOf(now, schedule);
    const number = nextNumber(state);
    const der = await createCrl({
      authority,
      number,
      thisUpdate,
      nextUpdate,
      entries,
      scope: 'user',
      distributionPoint,
      freshestCrl: deltaCrlUrl(list.url),
    });
    const crl = { list: name, number, der, thisUpdate, nextUpdate, ledgerSeq } as const;
    const complete: Crl = { ...crl, kind: 'complete', baseNumber: null };
    await insert(list, state, complete);
    // The delta before stays to be had until the next is there: it adds to an older base and so to this one too (RFC 5280 §5.2.4).
    state.complete = complete;
    state.changes.clear();
    if (merged === undefined) state.anewFrom = now + schedule.interval;
    state.completeFrom = restAfter(begun, 'complete');
    // Who follows FreshestCRL must find one, also when nothing has changed yet.
    await publishDelta(list, state, ledgerSeq);
  }

  /** @param ledgerSeq what the changes reach up to */
  async function publishDelta(list: CrlList, state: ListState, ledgerSeq: number): Promise<void> {
    const base = state.complete;
    if (base === undefined) return;
    assertClock(list.certificate, clock.now());
    const begun = performance.now();
    const { name, authority, distributionPoint } = list;
    const { thisUpdate, nextUpdate } = timesOf(clock.now(), schedule);
    const number = nextNumber(state);
    const der = await createDeltaCrl({
      authority,
      number,
      baseNumber: base.number,
      thisUpdate,
      nextUpdate,
      entries: [...state.changes.values()].toSorted((a, b) => (a.serial < b.serial ? -1 : 1)),
      scope: 'user',
      distributionPoint,
    });
    const delta: Crl = {
      list: name,
      kind: 'delta',
      number,
      baseNumber: base.number,
      der,
      thisUpdate,
      nextUpdate,
      ledgerSeq,
    };
    await insert(list, state, delta);
    state.delta = delta;
    state.deltaFrom = restAfter(begun, 'delta');
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
          const known = list && (await stateOf(list));
          if (known === undefined || seq <= (known.complete?.ledgerSeq ?? -1)) continue;
          known.changes.set(serial, {
            serial: certificate.serial,
            revokedAt: revokedAt ?? clock.now(),
            reason: state === 'revoked' ? (reason ?? 'unspecified') : 'removeFromCRL',
          });
          if (list !== undefined) changed.add(list);
        }
      }
      notedSeq = seq;
    }
    return changed;
  }

  async function publishChanges(list: CrlList, seq: number): Promise<void> {
    const state = await stateOf(list);
    if (state.complete === undefined || performance.now() >= state.completeFrom) {
      await publishComplete(list, state);
      return;
    }
    // Revocations that come meanwhile are in the same delta.
    const rest = state.deltaFrom - performance.now();
    if (rest > 0) await sleep(rest);
    await publishDelta(list, state, seq);
    oweComplete(list, state);
  }

  /** Not everybody reads deltas: the complete CRL follows as soon as its turn comes. */
  function oweComplete(list: CrlList, state: ListState): void {
    if (state.owing) return;
    state.owing = true;
    const timer = setTimeout(
      () => {
        state.owing = false;
        inTurn(async () => {
          if (state.changes.size > 0) await publishComplete(list, state);
        }).catch(() => undefined); // tick tries again, and tells of it
      },
      Math.max(0, state.completeFrom - performance.now()),
    );
    timer.unref();
  }

  /** What was revoked since the complete CRLs, for a service that starts again. */
  async function recall(): Promise<void> {
    const known = await Promise.all(options.lists().map(stateOf));
    let seq = Math.min(
      ...known.map(({ complete }) => complete?.ledgerSeq ?? Number.MAX_SAFE_INTEGER),
    );
    for (;;) {
      const entries = await store.readEntries(seq, 1000);
      await note(entries);
      const last = entries.at(-1);
      if (last === undefined) return;
      seq = last.seq;
    }
  }

  await recall();
  const brought = new Map<string, Crl>();
  for (const list of options.brought()) {
    const crl = await store.findLatestCrl(list, 'complete');
    if (crl !== undefined) brought.set(list, crl);
  }
  return {
    name: 'crl',
    imported(crl) {
      brought.set(crl.list, crl);
      onPublished?.(crl);
    },
    latest: (list, kind) =>
      states.get(list)?.[kind] ?? (kind === 'complete' ? brought.get(list) : undefined),
    async waitForComplete(list, timeoutMilliseconds) {
      const deadline = performance.now() + timeoutMilliseconds;
      while ((states.get(list)?.changes.size ?? 0) > 0) {
        if (performance.now() >= deadline) return false;
        await sleep(10);
      }
      return true;
    },
    coverage(list, seq) {
      const state = states.get(list);
      return [state?.complete, state?.delta].find(
        (crl) => crl !== undefined && crl.ledgerSeq >= seq,
      );
    },
    apply: (entries) =>
      inTurn(async () => {
        const last = entries.at(-1);
        if (last === undefined) return;
        await each(await note(entries), async (list) => {
          const { complete, delta } = await stateOf(list);
          const covered = Math.max(complete?.ledgerSeq ?? 0, delta?.ledgerSeq ?? 0);
          if (covered < last.seq) await publishChanges(list, last.seq);
        });
      }),
    tick: () =>
      inTurn(() =>
        each(options.lists(), async (list) => {
          const state = await stateOf(list);
          const { complete, delta, changes, completeFrom } = state;
          const now = clock.now();
          const due =
            complete === undefined ||
            now >= complete.thisUpdate + schedule.interval ||
            // The clock was set back: to relying parties with the right time these are not valid yet.
            now < complete.thisUpdate ||
            now < (delta?.thisUpdate ?? 0);
          const owed = changes.size > 0 && performance.now() >= completeFrom;
          if (due || owed) await publishComplete(list, state);
          // A stop came between a complete CRL and its delta.
          else if (complete.number > (delta?.number ?? 0)) {
            await publishDelta(list, state, complete.ledgerSeq);
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

function timesOf(
  now: number,
  { validity }: CrlSchedule,
): { readonly thisUpdate: number; readonly nextUpdate: number } {
  const thisUpdate = Math.floor(now / 1000) * 1000;
  return { thisUpdate, nextUpdate: thisUpdate + validity };
}

function nextNumber({ complete, delta }: ListState): number {
  return Math.max(complete?.number ?? 0, delta?.number ?? 0) + 1;
}

function serialsOf(data: LedgerEntry['data']): readonly string[] {
  if ('serials' in data) return data.serials;
  return data.kind === 'certificate-revoked' ? [data.serial] : [];
}
