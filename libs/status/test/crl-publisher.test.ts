// The publisher of CRLs alone: the clock, failures between steps, and what a restart finds.
import { crlListsOf } from '@keyline/authorities';
import type { Crl, Store } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';
import { Duration, FakeClock } from '@keyline/kernel';
import { parseCrl } from '@keyline/x509';
import { beforeEach, describe, expect, it } from 'vitest';
import { createHierarchy, now } from '../../pki/test/hierarchy.ts';
import { createCrlPublisher, type CrlPublisher } from '../src/crl-publisher.ts';

const hierarchy = createHierarchy({ at: now });
let clock: FakeClock;
let crls: Crl[];
let entries: LedgerEntry[];
/** Names of lists whose next CRL the store refuses. */
let refused: Set<string>;
let revoked: Map<string, number>;
/** Numbers up to this one are used up. */
let floor: number;
/** How often the database was asked for all that is revoked. */
let reads: number;

const latest = (list: string, kind: Crl['kind']): Crl | undefined =>
  crls.findLast((crl) => crl.list === list && crl.kind === kind);

const store = {
  findLatestCrl: (list: string, kind: Crl['kind']) => Promise.resolve(latest(list, kind)),
  findCrlFloor: () => Promise.resolve(floor),
  lastSeq: () => Promise.resolve(entries.length),
  readEntries: (after: number) => Promise.resolve(entries.slice(after)),
  findCertificate: (serial: string) =>
    Promise.resolve({
      serial,
      authority: 'issuing-1',
      crlShard: null,
      state: 'revoked',
      revokedAt: revoked.get(serial) ?? null,
      reason: 'keyCompromise',
    }),
  listRevoked() {
    reads++;
    return Promise.resolve(
      [...revoked]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([serial, revokedAt]) => ({ serial, revokedAt, reason: 'keyCompromise' })),
    );
  },
  commit({ writes }: { writes: readonly { op: string; crl?: Crl }[] }) {
    for (const { crl } of writes) {
      if (crl === undefined) continue;
      if (refused.has(`${crl.list} ${crl.kind}`)) return Promise.reject(new Error('disk full'));
      crls.push(crl);
    }
    return Promise.resolve({ ok: true, entries: [] });
  },
} as unknown as Store;

async function open(shards: readonly number[] = []): Promise<CrlPublisher> {
  const { issuing } = await hierarchy;
  const lists = crlListsOf({ ...issuing, id: 'issuing-1' }, shards);
  const publisher = await createCrlPublisher({
    store,
    feed: {
      join: ({ name, state }) => ({
        ...{ name, state },
        isFresh: () => true,
        refresh: () => Promise.resolve(),
      }),
    },
    clock,
    lists: () => lists,
    brought: () => [],
    schedule: { validity: Duration.days(7), interval: Duration.days(1) },
  });
  const condition = () => ({ op: 'hold-lease', name: 'crl', epoch: 1 }) as const;
  await publisher.begin({ name: 'crl', epoch: 1, isHeld: () => true, condition });
  return publisher;
}

function revoke(serial: string): LedgerEntry {
  revoked.set(serial, clock.now());
  const entry: LedgerEntry = {
    seq: entries.length + 1,
    at: clock.now(),
    actor: 'test',
    data: { kind: 'certificate-revoked', owner: 'x', serial, reason: 'keyCompromise' },
  };
  entries.push(entry);
  return entry;
}

beforeEach(() => {
  clock = new FakeClock(now);
  crls = [];
  entries = [];
  refused = new Set();
  revoked = new Map();
  reads = 0;
  floor = 0;
});

describe('the CRL publisher', () => {
  it('publishes at once, and above all numbers that an older copy may have lost (RFC 5280 §5.2.3)', async () => {
    const publisher = await open();
    await publisher.tick();
    const before = publisher.latest('issuing-1', 'complete');
    expect(before?.number).toBe(1);
    floor = 1000;
    const restored = await open();
    await restored.tick();
    expect(restored.latest('issuing-1', 'complete')?.number).toBe(1001);
    expect(restored.latest('issuing-1', 'delta')?.number).toBe(1002);
  });

  it('publishes anew when the clock was set back, with a higher number', async () => {
    clock.advance(Duration.days(300));
    const publisher = await open();
    await publisher.tick();
    const ahead = publisher.latest('issuing-1', 'complete');
    clock.advance(-Duration.days(299));
    await publisher.tick();
    const corrected = publisher.latest('issuing-1', 'complete');
    expect(corrected?.thisUpdate).toBeLessThanOrEqual(clock.now());
    expect(corrected?.number).toBeGreaterThan(ahead?.number ?? Infinity);
    expect(publisher.latest('issuing-1', 'delta')?.thisUpdate).toBe(corrected?.thisUpdate);
  });

  it('publishes the other lists when one can not be', async () => {
    const publisher = await open([2]);
    refused.add('issuing-1 complete');
    await expect(publisher.tick()).rejects.toThrow('disk full');
    expect(publisher.latest('issuing-1-0of2', 'complete')).toBeDefined();
    expect(publisher.latest('issuing-1-1of2', 'complete')).toBeDefined();
  });

  it('goes on serving a delta while the next can not be written, and makes up for it', async () => {
    const publisher = await open();
    await publisher.tick();
    refused.add('issuing-1 delta');
    clock.advance(Duration.days(1));
    await expect(publisher.tick()).rejects.toThrow('disk full');
    expect(publisher.latest('issuing-1', 'delta')).toBeDefined();
    refused.clear();
    await publisher.tick();
    const complete = publisher.latest('issuing-1', 'complete');
    expect(publisher.latest('issuing-1', 'delta')?.baseNumber).toBe(complete?.number);
  });

  it('makes the delta that a stop in between left out', async () => {
    await (await open()).tick();
    refused.add('issuing-1 delta');
    clock.advance(Duration.days(1));
    await (await open()).tick().catch(() => undefined);
    refused.clear();
    const publisher = await open();
    await publisher.tick();
    expect(publisher.latest('issuing-1', 'delta')?.baseNumber).toBe(
      publisher.latest('issuing-1', 'complete')?.number,
    );
  });

  it('holds every change since the base in each delta, also after one that failed', async () => {
    const publisher = await open();
    await publisher.tick();
    await publisher.apply([revoke('01')]);
    refused.add('issuing-1 delta').add('issuing-1 complete');
    const second = revoke('02');
    await expect(publisher.apply([second])).rejects.toThrow('disk full');
    refused.clear();
    await publisher.apply([second, revoke('03')]);
    const [base, delta] = (['complete', 'delta'] as const).map((kind) =>
      parseCrl(publisher.latest('issuing-1', kind)?.der ?? new Uint8Array()),
    );
    const held = new Set(
      [...(base?.entries ?? []), ...(delta?.entries ?? [])].map((e) => e.serial),
    );
    expect([...held].toSorted()).toEqual(['01', '02', '03']);
  });

  it('makes a complete CRL of the one before and the changes, and once in an interval of the database', async () => {
    const publisher = await open();
    await publisher.tick();
    expect(reads).toBe(1);
    const serialsInForce = (): string[] =>
      parseCrl(publisher.latest('issuing-1', 'complete')!.der).entries.map(({ serial }) => serial);
    for (const serial of ['05', '02', '09']) {
      const entry = revoke(serial);
      await publisher.apply([entry]);
      await publisher.waitForComplete('issuing-1', entries.length, 10_000);
      expect(serialsInForce()).toEqual([...revoked.keys()].toSorted());
      expect(publisher.latest('issuing-1', 'complete')?.ledgerSeq).toBe(entry.seq);
    }
    expect(reads).toBe(1);
    // Its certificate has ended: the database has it no more, and the list until it is made anew.
    revoked.delete('02');
    clock.advance(Duration.hours(23));
    await publisher.apply([revoke('07')]);
    await publisher.waitForComplete('issuing-1', entries.length, 10_000);
    expect(serialsInForce()).toEqual(['02', '05', '07', '09']);
    clock.advance(Duration.hours(1));
    await publisher.apply([revoke('08')]);
    await publisher.waitForComplete('issuing-1', entries.length, 10_000);
    expect(serialsInForce()).toEqual(['05', '07', '08', '09']);
    expect(reads).toBe(2);
  });

  it('asks the database first when it was started again, whatever CRL it finds', async () => {
    const before = await open();
    await before.tick();
    await before.apply([revoke('01')]);
    await before.waitForComplete('issuing-1', entries.length, 10_000);
    revoked.set('03', clock.now());
    const publisher = await open();
    await publisher.apply([revoke('04')]);
    const { entries: held } = parseCrl(publisher.latest('issuing-1', 'complete')!.der);
    expect(held.map(({ serial }) => serial)).toEqual(['01', '03', '04']);
  });
});
