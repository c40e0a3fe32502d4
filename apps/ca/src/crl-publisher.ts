// CRLs as a follower of the ledger: each authority's is published when one of its certificates was revoked, and on schedule well
// before it ends.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Crl, LedgerEntry, Store } from '@keyline/fleet';
import { KeylineError, type Clock, type SerialHex } from '@keyline/kernel';
import { createCrl, type Authority } from '@keyline/pki';

export interface CrlSchedule {
  /** Milliseconds from thisUpdate to nextUpdate. */
  readonly validity: number;
  /** Published anew after this long even when nothing was revoked; well below validity. */
  readonly interval: number;
}

export interface CrlPublisher {
  readonly name: 'crl';
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** Publishes for every authority that has no CRL yet or whose schedule says so. */
  tick(): Promise<void>;
  /** The CRL in force; from memory. */
  latest(authority: string): Crl | undefined;
  /** The CRL in force if it holds everything up to a ledger position. */
  coverage(authority: string, seq: number): Crl | undefined;
}

/** Publishing may take this share of the time at most, however many revocations come. */
const mostShare = 0.1;

export async function createCrlPublisher(options: {
  store: Store;
  clock: Clock;
  /** Those in force now, retired ones too. */
  authorities: () => readonly Authority[];
  schedule: CrlSchedule;
}): Promise<CrlPublisher> {
  const { store, clock, schedule } = options;
  const latest = new Map<string, Crl>();
  let chain: Promise<void> = Promise.resolve();
  let restUntil = 0;

  /** Authorities come while the service runs; their last CRL is read when they are first met. */
  async function latestOf(authority: string): Promise<Crl | undefined> {
    const known = latest.get(authority) ?? (await store.findLatestCrl(authority));
    if (known !== undefined) latest.set(authority, known);
    return known;
  }

  async function publish(authority: Authority): Promise<void> {
    const begun = performance.now();
    const { id } = authority;
    const now = clock.now();
    const thisUpdate = Math.floor(now / 1000) * 1000;
    const ledgerSeq = await store.lastSeq();
    const number = ((await latestOf(id))?.number ?? 0) + 1;
    const nextUpdate = thisUpdate + schedule.validity;
    const der = await createCrl({
      authority,
      number,
      thisUpdate,
      nextUpdate,
      entries: await store.listRevoked(id, now),
      scope: 'user',
      distributionPoint: authority.urls.crl,
    });
    const crl: Crl = { authority: id, number, der, thisUpdate, nextUpdate, ledgerSeq };
    const result = await store.commit({
      writes: [{ op: 'insert-crl', crl }],
      entries: [
        { at: now, actor: 'keyline', data: { kind: 'crl-published', authority: id, number } },
      ],
    });
    if (!result.ok) {
      latest.delete(id);
      throw new KeylineError(
        'STORE_CONFLICT',
        `CRL number ${String(number)} of ${id} was published by somebody else; trying again with the next.`,
      );
    }
    latest.set(id, crl);
    const ended = performance.now();
    restUntil = ended + (ended - begun) * (1 / mostShare - 1);
  }

  /** One at a time, so that numbers stay in order whoever asks. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = chain.then(work);
    chain = turn.catch(() => undefined);
    return turn;
  }

  /** Authority → the last entry that changes its CRL. */
  async function changedBy(entries: readonly LedgerEntry[]): Promise<Map<string, number>> {
    const changed = new Map<string, number>();
    for (const { seq, data } of entries) {
      for (const serial of serialsOf(data)) {
        const certificate = await store.findCertificate(serial as SerialHex);
        if (certificate !== undefined) changed.set(certificate.authority, seq);
      }
    }
    return changed;
  }

  await Promise.all(options.authorities().map(({ id }) => latestOf(id)));
  return {
    name: 'crl',
    latest: (authority) => latest.get(authority),
    coverage(authority, seq) {
      const crl = latest.get(authority);
      return crl !== undefined && crl.ledgerSeq >= seq ? crl : undefined;
    },
    apply: (entries) =>
      inTurn(async () => {
        const changed = await changedBy(entries);
        for (const authority of options.authorities()) {
          const seq = changed.get(authority.id);
          if (seq === undefined || ((await latestOf(authority.id))?.ledgerSeq ?? 0) >= seq)
            continue;
          // Revocations that come meanwhile are in the same CRL: one by one, a large one would be written for each.
          const rest = restUntil - performance.now();
          if (rest > 0) await sleep(rest);
          await publish(authority);
        }
      }),
    tick: () =>
      inTurn(async () => {
        for (const authority of options.authorities()) {
          const crl = await latestOf(authority.id);
          if (crl === undefined || clock.now() >= crl.thisUpdate + schedule.interval) {
            await publish(authority);
          }
        }
      }),
  };
}

function serialsOf(data: LedgerEntry['data']): readonly string[] {
  if ('serials' in data) return data.serials;
  return data.kind === 'certificate-revoked' ? [data.serial] : [];
}
