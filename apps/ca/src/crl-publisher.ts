// The CRL as a follower of the ledger: published when something was revoked, and on schedule well before it ends.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Crl, LedgerEntry, Store } from '@keyline/fleet';
import { KeylineError, type Clock } from '@keyline/kernel';
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
  /** Publishes when there is no CRL yet or the schedule says so. */
  tick(): Promise<void>;
  /** The CRL in force; from memory. */
  latest(): Crl | undefined;
  /** When the CRL that first held everything up to a ledger position was published. */
  coverage(seq: number): Crl | undefined;
}

/** Publishing may take this share of the time at most, however many revocations come. */
const mostShare = 0.1;

export async function createCrlPublisher(options: {
  store: Store;
  clock: Clock;
  authority: Authority;
  schedule: CrlSchedule;
}): Promise<CrlPublisher> {
  const { store, clock, authority, schedule } = options;
  let latest = await store.findLatestCrl(authority.id);
  let chain: Promise<void> = Promise.resolve();
  let restUntil = 0;

  async function publish(): Promise<void> {
    const begun = performance.now();
    const now = clock.now();
    const thisUpdate = Math.floor(now / 1000) * 1000;
    const ledgerSeq = await store.lastSeq();
    const number = (latest?.number ?? 0) + 1;
    const nextUpdate = thisUpdate + schedule.validity;
    const der = await createCrl({
      authority,
      number,
      thisUpdate,
      nextUpdate,
      entries: await store.listRevoked(authority.id, now),
      scope: 'user',
      distributionPoint: authority.urls.crl,
    });
    const crl: Crl = { authority: authority.id, number, der, thisUpdate, nextUpdate, ledgerSeq };
    const result = await store.commit({
      writes: [{ op: 'insert-crl', crl }],
      entries: [
        {
          at: now,
          actor: 'keyline',
          data: { kind: 'crl-published', authority: authority.id, number },
        },
      ],
    });
    if (!result.ok) {
      latest = await store.findLatestCrl(authority.id);
      throw new KeylineError(
        'STORE_CONFLICT',
        `CRL number ${String(number)} of ${authority.id} was published by somebody else; trying again with the next.`,
      );
    }
    latest = crl;
    const ended = performance.now();
    restUntil = ended + (ended - begun) * (1 / mostShare - 1);
  }

  /** One at a time, so that numbers stay in order whoever asks. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = chain.then(work);
    chain = turn.catch(() => undefined);
    return turn;
  }

  return {
    name: 'crl',
    latest: () => latest,
    coverage: (seq) => (latest !== undefined && latest.ledgerSeq >= seq ? latest : undefined),
    apply: (entries) =>
      inTurn(async () => {
        const revoking = entries.filter(changesCrl).at(-1);
        if (revoking === undefined || (latest?.ledgerSeq ?? 0) >= revoking.seq) return;
        // Revocations that come meanwhile are in the same CRL: one by one, a large one would be written for each.
        const rest = restUntil - performance.now();
        if (rest > 0) await sleep(rest);
        await publish();
      }),
    tick: () =>
      inTurn(async () => {
        if (latest === undefined || clock.now() >= latest.thisUpdate + schedule.interval) {
          await publish();
        }
      }),
  };
}

function changesCrl({ data }: LedgerEntry): boolean {
  return ('serials' in data && data.serials.length > 0) || data.kind === 'certificate-revoked';
}
