// Two processes that follow under one name: one acts, the other watches and takes over where it ended.
import { systemClock } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createLeases,
  startLeasedFollower,
  type Leases,
  type RunningLeasedFollower,
} from '../src/index.ts';
import { FakeLedger } from './fake-ledger.ts';

const duration = 600;
let ledger: FakeLedger;
let all: Leases[];
beforeEach(() => {
  ledger = new FakeLedger();
  all = [];
});
afterEach(async () => {
  ledger.refusing = undefined;
  for (const leases of all) await leases.close();
});

interface Process {
  readonly applied: number[];
  readonly turns: string[];
  readonly leases: Leases;
  running: RunningLeasedFollower;
}

async function start(holder: string, apply?: (seqs: number[]) => Promise<void>): Promise<Process> {
  const leases = createLeases({
    store: ledger,
    holder,
    clock: systemClock,
    alone: false,
    duration,
  });
  all.push(leases);
  const applied: number[] = [];
  const turns: string[] = [];
  const running = await startLeasedFollower({
    store: ledger,
    leases,
    backoff: { first: 4, most: 20 },
    saveInterval: 5,
    follower: {
      name: 'f',
      begin: async ({ epoch }) => {
        turns.push(`begin ${String(epoch)}`);
      },
      end: async () => {
        turns.push('end');
      },
      async apply(entries) {
        const seqs = entries.map(({ seq }) => seq);
        await apply?.(seqs);
        applied.push(...seqs);
      },
    },
  });
  return { applied, turns, leases, running };
}

const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 15_000, interval: 5 });

describe('a follower with a lease', () => {
  it('applies in one process alone; the other sees how far that is, and can wait for it', async () => {
    const a = await start('a');
    const b = await start('b');
    ledger.add(3);
    expect(await b.running.waitFor(3, 5000)).toBe(true);
    expect(await b.running.waitFor(4, 30)).toBe(false);
    expect([a.applied, b.applied]).toEqual([[1, 2, 3], []]);
    expect(b.running).toMatchObject({ name: 'f' });
    expect([a.running.hold()?.epoch, b.running.hold()]).toEqual([1, undefined]);
    expect(b.running.position()).toBe(3);
    expect(b.running.lag()).toBe(0);
  });

  it('goes on in the other where it ended, when it is stopped', async () => {
    const a = await start('a');
    const b = await start('b');
    ledger.add(2);
    await a.running.waitFor(2, 5000);
    await a.running.stop();
    await until(() => b.turns.length > 0);
    ledger.add(2);
    expect(await b.running.waitFor(4, 5000)).toBe(true);
    expect([a.applied, b.applied]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect([a.turns, b.turns]).toEqual([['begin 1', 'end'], ['begin 2']]);
  });

  it('goes on in the other when it is not heard of; late, it applies no more and moves no cursor', async () => {
    let letGo: (() => void) | undefined;
    const a = await start('a', async ([first]) => {
      if (first === 2) await new Promise<void>((resolve) => (letGo = resolve));
    });
    const b = await start('b');
    ledger.add(1);
    await a.running.waitFor(1, 5000);
    ledger.add(1);
    await until(() => letGo !== undefined);
    ledger.refusing = 'a';
    ledger.add(1);
    await until(() => b.applied.includes(3));
    expect(b.applied).toEqual([2, 3]);
    await until(() => ledger.cursors.get('f') === 3);
    // It wakes within an application that began in time, and may end it; the next is not begun.
    letGo?.();
    ledger.add(1);
    await until(() => b.applied.includes(4));
    expect(a.applied.filter((seq) => seq > 2)).toEqual([]);
    ledger.refusing = undefined;
    await until(() => a.turns.includes('end'));
    expect(a.running.hold()).toBeUndefined();
    await until(() => a.running.position() === 4);
  });

  it('is waited for across a handover', async () => {
    const a = await start('a', () => new Promise(() => undefined));
    const b = await start('b');
    ledger.add(1);
    const reached = b.running.waitFor(1, 5000);
    ledger.refusing = 'a';
    expect(await reached).toBe(true);
    expect(b.applied).toEqual([1]);
    expect(a.applied).toEqual([]);
    // Its application never ends: closing must not wait for it here.
    all = all.filter((leases) => leases !== a.leases);
  });
});
