// One list: what its CRLs in force are, what changed since, and how the next complete one and the next delta are made of that.
import { assertClock, type CrlList } from '@keyline/authorities';
import { revokedPages, type Crl, type Store, type Write } from '@keyline/fleet';
import { KeylineError, type Clock } from '@keyline/kernel';
import { leaseLost } from '@keyline/ledger';
import {
  coversAs,
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

export interface ListPublisher {
  /** The CRL in force. */
  latest(kind: Crl['kind']): Crl | undefined;
  /** Takes an entry into the next delta. @returns false when the complete CRL has it already */
  note(change: DeltaCrlEntry, seq: number): boolean;
  /** Whether something changed since the complete CRL. */
  hasChanges(): boolean;
  /** Milliseconds until the next may be published, by the share of the time that publishing may take. */
  restBefore(kind: Crl['kind']): number;
  /** Whether a complete CRL must come although nothing was revoked. */
  isDue(): boolean;
  /** @param notedSeq what the changes reach up to. @throws {KeylineError} CLOCK_WRONG, STORE_CONFLICT, LEASE_LOST */
  publishComplete(notedSeq: number): Promise<void>;
  /** @param ledgerSeq what the changes reach up to. @throws {KeylineError} CLOCK_WRONG, STORE_CONFLICT, LEASE_LOST */
  publishDelta(ledgerSeq: number): Promise<void>;
  /** Reads those in force again when the one that was published is not its own. */
  heard(number: number): Promise<void>;
  /** Begins anew with what is in the store: another service may have published since. */
  reload(): Promise<void>;
}

/** Publishing complete CRLs, and publishing deltas, may take this share of the time at most, however many revocations come. */
const mostShare = { complete: 0.05, delta: 0.1 };
/** Up to here (some 100,000 entries, milliseconds) a complete CRL is made of the one before it; a larger one in slices from the database. */
const mostMergedBytes = 4 << 20;

export async function openListPublisher(
  list: CrlList,
  options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly schedule: CrlSchedule;
    /** What each CRL is published under. @throws {KeylineError} LEASE_LOST */
    readonly condition: () => Write;
    readonly onPublished: ((crl: Crl) => void) | undefined;
  },
): Promise<ListPublisher> {
  const { name, authority, shard, certificate, distributionPoint } = list;
  const { store, clock, schedule, condition, onPublished } = options;
  let complete = await store.findLatestCrl(name, 'complete');
  let delta = await store.findLatestCrl(name, 'delta');
  /** Numbers up to this one may have been published by a later state of this database than it is. */
  let floor = await store.findCrlFloor(name);
  /** What changed since the complete CRL: the entries of the next delta. */
  const changes = new Map<string, DeltaCrlEntry>();
  /** `performance.now()` from which on the next may be published. */
  const mayFrom = { complete: 0, delta: 0 };
  /** Epoch milliseconds from which on the next complete CRL is made anew from the database, not of the one before. */
  let anewFrom = 0;

  /** The number of the one that this service is publishing, or published last. */
  let inserting = 0;

  async function readLatest(): Promise<void> {
    complete = await store.findLatestCrl(name, 'complete');
    delta = await store.findLatestCrl(name, 'delta');
    floor = await store.findCrlFloor(name);
    anewFrom = 0;
  }

  let judged: { readonly crl: Crl; readonly covers: boolean } | undefined;
  function saysWhatItCovers(crl: Crl): boolean {
    if (judged?.crl !== crl) judged = { crl, covers: coversAs(crl.der, { distributionPoint }) };
    return judged.covers;
  }

  const nextNumber = (): number => Math.max(complete?.number ?? 0, delta?.number ?? 0, floor) + 1;

  function restAfter(begun: number, kind: Crl['kind']): void {
    const ended = performance.now();
    mayFrom[kind] = ended + (ended - begun) * (1 / mostShare[kind] - 1);
  }

  async function insert(crl: Crl): Promise<void> {
    const { number } = crl;
    const held = condition();
    inserting = number;
    const committed = store.commit({
      writes: [held, { op: 'insert-crl', crl }],
      entries: [
        {
          at: clock.now(),
          actor: 'keyline',
          data: { kind: 'crl-published', authority: authority.id, list: name, number },
        },
      ],
    });
    // What was not put in is not taken for its own when another publishes it.
    const result = await committed.catch((error: unknown) => {
      inserting = 0;
      throw error;
    });
    if (result.ok) {
      onPublished?.(crl);
      return;
    }
    inserting = 0;
    // Numbers go on from those in the store. The changes stay: more of them than the base lacks is no fault, less would be.
    await readLatest();
    if (result.code === 'LEASE_LOST') throw leaseLost('crl');
    throw new KeylineError(
      'STORE_CONFLICT',
      `CRL number ${String(number)} of ${name} was published by somebody else; trying again with the next.`,
    );
  }

  /** All that is revoked, from the database, and how far that reaches at least. */
  async function readEntries(now: number): Promise<{ entries: CrlEntries; ledgerSeq: number }> {
    const ledgerSeq = await store.lastSeq();
    const entries = revokedPages(store, {
      authority: authority.id,
      shard,
      // An entry stays until it has been in one CRL that came after its certificate's end (RFC 5280 §3.3).
      endsFrom: Math.min(now, complete?.thisUpdate ?? 0),
    });
    return { entries, ledgerSeq };
  }

  /**
   * The same, made of the CRL before and what changed since: what the database has of thousands of others is not read again. Whose
   * certificate ended meanwhile stays in it until it is made anew. Undefined where that is not known to be the same.
   */
  function mergeEntries(
    now: number,
    notedSeq: number,
  ): { entries: CrlEntries; ledgerSeq: number } | undefined {
    // A clock that was set back does not put off the turn of the database.
    if (now >= anewFrom || now < anewFrom - schedule.interval) return undefined;
    if (complete === undefined || complete.der.length > mostMergedBytes) return undefined;
    if (notedSeq < complete.ledgerSeq) return undefined;
    const entries = mergeCrlEntries(complete.der, changes.values());
    return entries && { entries, ledgerSeq: notedSeq };
  }

  async function publishComplete(notedSeq: number): Promise<void> {
    const begun = performance.now();
    const now = clock.now();
    assertClock(certificate, now);
    const merged = mergeEntries(now, notedSeq);
    const { entries, ledgerSeq } = merged ?? (await readEntries(now));
    const { thisUpdate, nextUpdate } = timesOf(now, schedule);
    const number = nextNumber();
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
    const next: Crl = { ...crl, kind: 'complete', baseNumber: null };
    await insert(next);
    // The delta before stays to be had until the next is there: it adds to an older base and so to this one too (RFC 5280 §5.2.4).
    complete = next;
    changes.clear();
    if (merged === undefined) anewFrom = now + schedule.interval;
    restAfter(begun, 'complete');
    // Who follows FreshestCRL must find one, also when nothing has changed yet.
    await publishDelta(ledgerSeq);
  }

  async function publishDelta(ledgerSeq: number): Promise<void> {
    const base = complete;
    if (base === undefined) return;
    assertClock(certificate, clock.now());
    const begun = performance.now();
    const { thisUpdate, nextUpdate } = timesOf(clock.now(), schedule);
    const number = nextNumber();
    const der = await createDeltaCrl({
      authority,
      number,
      baseNumber: base.number,
      thisUpdate,
      nextUpdate,
      entries: [...changes.values()].toSorted((a, b) => (a.serial < b.serial ? -1 : 1)),
      scope: 'user',
      distributionPoint,
    });
    const next: Crl = {
      list: name,
      kind: 'delta',
      number,
      baseNumber: base.number,
      der,
      thisUpdate,
      nextUpdate,
      ledgerSeq,
    };
    await insert(next);
    delta = next;
    restAfter(begun, 'delta');
  }

  return {
    latest: (kind) => (kind === 'complete' ? complete : delta),
    note(change, seq) {
      if (seq <= (complete?.ledgerSeq ?? -1)) return false;
      changes.set(change.serial, change);
      return true;
    },
    hasChanges: () => changes.size > 0,
    restBefore: (kind) => Math.max(0, mayFrom[kind] - performance.now()),
    isDue() {
      const now = clock.now();
      return (
        complete === undefined ||
        // What was published since says more, under a higher number.
        complete.number <= floor ||
        // The service moved: what it issues now names a list that this one does not say it is.
        !saysWhatItCovers(complete) ||
        now >= complete.thisUpdate + schedule.interval ||
        // The clock was set back: to relying parties with the right time these are not valid yet.
        now < complete.thisUpdate ||
        now < (delta?.thisUpdate ?? 0)
      );
    },
    publishComplete,
    publishDelta,
    async heard(number) {
      if (number !== inserting) await readLatest();
    },
    async reload() {
      changes.clear();
      await readLatest();
    },
  };
}

function timesOf(
  now: number,
  { validity }: CrlSchedule,
): { readonly thisUpdate: number; readonly nextUpdate: number } {
  const thisUpdate = Math.floor(now / 1000) * 1000;
  return { thisUpdate, nextUpdate: thisUpdate + validity };
}
