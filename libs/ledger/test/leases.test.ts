// Two processes on one ledger, each with a monotonic clock that the test moves: who has a lease, who takes over, who is refused.
import { FakeClock } from '@keyline/kernel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLeases, type Hold, type Leases } from '../src/index.ts';
import { FakeLedger } from './fake-ledger.ts';

const duration = 600;

interface Process {
  readonly leases: Leases;
  readonly wall: FakeClock;
  /** Milliseconds by which its monotonic clock is ahead: as if it had been suspended. */
  ahead: number;
  began: Hold[];
  ended: number;
  contend(): Promise<{ hold(): Hold | undefined; stop(): Promise<void> }>;
}

let processes: Process[] = [];
afterEach(async () => {
  for (const one of processes) await one.leases.close();
  processes = [];
});

function start(ledger: FakeLedger, holder: string, alone = false): Process {
  const wall = new FakeClock(1_000_000);
  const one: Process = {
    wall,
    ahead: 0,
    began: [],
    ended: 0,
    leases: createLeases({
      store: ledger,
      holder,
      clock: wall,
      alone,
      duration,
      monotonic: () => performance.now() + one.ahead,
    }),
    contend: () =>
      one.leases.contend('crl', {
        begin: async (hold) => void one.began.push(hold),
        end: async () => {
          one.ended++;
        },
      }),
  };
  processes.push(one);
  return one;
}

const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 15_000, interval: 5 });

describe('a lease', () => {
  it('goes to the first, who keeps it by renewing; the other waits', async () => {
    const ledger = new FakeLedger();
    const [a, b] = [start(ledger, 'a'), start(ledger, 'b')];
    await a.contend();
    await b.contend();
    const beat = async () => (await ledger.findLease('crl'))?.beat ?? 0;
    let last = 0;
    const watch = setInterval(() => void beat().then((now) => (last = now)), 5);
    await until(() => last >= 3);
    clearInterval(watch);
    expect(a.began).toHaveLength(1);
    expect(b.began).toHaveLength(0);
    expect(a.began[0]?.isHeld()).toBe(true);
    expect(await ledger.findLease('crl')).toMatchObject({ holder: 'a', epoch: 1 });
  });

  it('goes over at once when it is given up, at the next epoch', async () => {
    const ledger = new FakeLedger();
    const [a, b] = [start(ledger, 'a'), start(ledger, 'b')];
    const first = await a.contend();
    await b.contend();
    await first.stop();
    expect(a.ended).toBe(1);
    await until(() => b.began.length === 1);
    expect(b.began[0]).toMatchObject({ epoch: 2 });
  });

  it('is taken from a holder that is not heard of, whose late unit is then refused', async () => {
    const ledger = new FakeLedger();
    const [a, b] = [start(ledger, 'a'), start(ledger, 'b')];
    await a.contend();
    const condition = a.began[0]!.condition();
    // As a process that is stopped: it renews nothing.
    ledger.refusing = 'a';
    await b.contend();
    await until(() => b.began.length === 1);
    expect(a.began[0]?.isHeld()).toBe(false);
    expect(() => a.began[0]?.condition()).toThrow('LEASE_LOST');
    const late = await ledger.commit({ writes: [condition], entries: [] });
    expect(late).toMatchObject({ ok: false, code: 'LEASE_LOST' });
    // It learns of it with its next renewal, and waits for its turn again.
    ledger.refusing = undefined;
    await until(() => a.ended === 1);
    expect(b.began[0]?.isHeld()).toBe(true);
  });

  it('is believed lost by a holder that was suspended beyond it, before anybody has told', async () => {
    const ledger = new FakeLedger();
    const a = start(ledger, 'a');
    await a.contend();
    ledger.refusing = 'a';
    a.ahead += duration;
    expect(a.began[0]?.isHeld()).toBe(false);
    expect(() => a.began[0]?.condition()).toThrow('LEASE_LOST');
    // Nobody took it meanwhile: renewed, it is the same one, at the same epoch.
    ledger.refusing = undefined;
    await until(() => a.began[0]?.isHeld() === true);
    expect(a.began).toHaveLength(1);
  });

  it('is no matter of wall clocks: one that is set by a day, forth or back, takes it from nobody', async () => {
    const ledger = new FakeLedger();
    const [a, b] = [start(ledger, 'a'), start(ledger, 'b')];
    await a.contend();
    await b.contend();
    b.wall.advance(86_400_000);
    a.wall.advance(-86_400_000);
    const { beat } = (await ledger.findLease('crl'))!;
    await until(() => (ledger.leaseNow('crl')?.beat ?? 0) > beat + 2);
    expect(b.began).toHaveLength(0);
    // And one that dies with its until far ahead is not waited for longer than others.
    a.wall.advance(10 * 86_400_000);
    const ahead = ledger.leaseNow('crl')!.beat;
    await until(() => ledger.leaseNow('crl')!.beat > ahead);
    ledger.refusing = 'a';
    await until(() => b.began.length === 1);
  });

  it('of a process that is gone is taken at once by one that is alone with the store', async () => {
    const ledger = new FakeLedger();
    const a = start(ledger, 'a');
    await a.contend();
    ledger.refusing = 'a';
    const b = start(ledger, 'b', true);
    await b.contend();
    expect(b.began).toMatchObject([{ epoch: 2 }]);
    b.ahead += 1e9;
    expect(b.began[0]?.isHeld()).toBe(true);
  });

  it('is given back when its turn can not begin, and the starter is told', async () => {
    const ledger = new FakeLedger();
    const { leases } = start(ledger, 'a');
    const turn = { begin: () => Promise.reject(new Error('no')), end: async () => undefined };
    await expect(leases.contend('crl', turn)).rejects.toThrow('no');
    expect(await ledger.findLease('crl')).toMatchObject({ holder: null });
  });

  it('that a store does not renew in time is held again once it does', async () => {
    const ledger = new FakeLedger();
    const a = start(ledger, 'a');
    await a.contend();
    ledger.refusing = 'a';
    await until(() => !a.began[0]!.isHeld());
    ledger.refusing = undefined;
    await until(() => a.began[0]!.isHeld());
    expect(a.ended).toBe(0);
  });
});
