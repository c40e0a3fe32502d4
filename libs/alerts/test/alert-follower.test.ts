import type { EntryData, LedgerEntry, NewEntry } from '@keyline/ledger';
import { Duration, FakeClock } from '@keyline/kernel';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createAlertFollower,
  type AlertChange,
  type AlertChannel,
  type AlertFollower,
} from '../src/index.ts';
import { createLogChannel } from '../src/log-channel.ts';
import { ending, MemoryStore, rules, start } from './memory-store.ts';

class MemoryChannel implements AlertChannel {
  readonly name: string;
  readonly changes: AlertChange[] = [];
  down = false;
  constructor(name: string) {
    this.name = name;
  }
  probe(): Promise<void> {
    return Promise.resolve();
  }

  deliver(changes: readonly AlertChange[]): Promise<void> {
    if (this.down) return Promise.reject(new Error('down'));
    this.changes.push(...changes);
    return Promise.resolve();
  }
  get told(): string[] {
    return this.changes.map(({ status, alert }) => `${status} ${alert.key}`);
  }
}

let store: MemoryStore;
let clock: FakeClock;
let channel: MemoryChannel;
let other: MemoryChannel;
let follower: AlertFollower;
let cursors: Map<string, number>;

beforeEach(() => {
  store = new MemoryStore();
  clock = new FakeClock(start);
  channel = new MemoryChannel('memory');
  other = new MemoryChannel('other');
  follower = createAlertFollower({
    store,
    feed: store.feed,
    rules,
    clock,
    channels: [channel, other],
  });
  cursors = new Map();
});
afterEach(async () => {
  await follower.close();
});

/** What the follower loops do. @throws the first failure, after each had its turn */
async function follow(): Promise<void> {
  const turns = await Promise.allSettled(
    follower.deliveries.map(async (delivery) => {
      const { name } = delivery;
      const entries: LedgerEntry[] = store.ledger.slice(cursors.get(name) ?? 0);
      await delivery.apply(entries);
      cursors.set(name, (cursors.get(name) ?? 0) + entries.length);
    }),
  );
  for (const turn of turns) if (turn.status === 'rejected') throw turn.reason;
}

function entry(data: EntryData): NewEntry {
  return { at: clock.now(), actor: 'test', data };
}

function device(kind: 'device-enrolled' | 'device-renewed', left: number): NewEntry {
  return entry({
    kind,
    device: 'd1',
    type: 'sensor',
    state: 'active',
    role: 'device',
    serial: '01',
    notAfter: clock.now() + left,
  });
}

describe('delivery', () => {
  it('tells every channel what the ledger says, and only once', async () => {
    store.certificates = [ending('d1', 6)];
    await follower.tick();
    await follow();
    await follow();
    for (const each of [channel, other]) {
      expect(each.told).toEqual(['firing expiry:device:sensor:7d']);
    }
    expect(channel.changes[0]).toMatchObject({
      seq: 1,
      at: start,
      alert: { severity: 'critical', count: 1, examples: ['d1'], firstAt: start },
    });
  });

  it('tells what was recorded before a crash', async () => {
    store.certificates = [ending('d1', 6)];
    await follower.tick();
    await follower.close();
    const next = createAlertFollower({
      store,
      feed: store.feed,
      rules,
      clock,
      channels: [channel],
    });
    await next.deliveries[0]?.apply(store.ledger);
    expect(channel.told).toEqual(['firing expiry:device:sensor:7d']);
    await next.close();
  });

  it('has a place in the ledger for each channel: the others are told while one is down, and what comes later too', async () => {
    store.certificates = [ending('d1', 6)];
    channel.down = true;
    await follower.tick();
    await expect(follow()).rejects.toThrow('down');
    expect(other.told).toEqual(['firing expiry:device:sensor:7d']);
    store.certificates = [];
    await follower.tick();
    await expect(follow()).rejects.toThrow('down');
    const both = ['firing expiry:device:sensor:7d', 'resolved expiry:device:sensor:7d'];
    expect(other.told).toEqual(both);
    channel.down = false;
    await follow();
    expect(channel.told).toEqual(both.slice(1));
  });

  it('is given up when the service stops', async () => {
    const never: AlertChannel = {
      probe: () => Promise.resolve(),
      name: 'never',
      deliver: (_changes, stop) =>
        new Promise((_done, fail) => {
          stop?.addEventListener('abort', () => fail(new Error('given up')));
        }),
    };
    const stuck = createAlertFollower({ store, feed: store.feed, rules, clock, channels: [never] });
    store.certificates = [ending('d1', 6)];
    await stuck.tick();
    const work = stuck.deliveries[0]?.apply(store.ledger);
    const failed = expect(work).rejects.toThrow('given up');
    await sleep(1);
    await stuck.close();
    await failed;
  });

  it('tells the last change of an alert when several are waiting', async () => {
    store.certificates = [ending('d1', 6)];
    await follower.tick();
    store.certificates = [];
    clock.advance(60_000);
    await follower.tick();
    await follow();
    expect(channel.told).toEqual(['resolved expiry:device:sensor:7d']);
    expect(channel.changes[0]?.at).toBe(start + 60_000);
  });
});

describe('evaluation', () => {
  it('resolves an alert soon after the renewal that fixes it', async () => {
    store.certificates = [ending('d1', 6)];
    await follower.tick();
    store.certificates = [ending('d1', 90)];
    store.add(device('device-renewed', Duration.days(90)));
    await vi.waitFor(() => {
      expect(store.open).toEqual([]);
    });
  });

  it('goes on while a channel is down', async () => {
    channel.down = true;
    store.certificates = [ending('d1', 6)];
    await follower.tick();
    await expect(follow()).rejects.toThrow();
    store.certificates = [];
    store.add(device('device-renewed', Duration.days(90)));
    await vi.waitFor(() => {
      expect(store.open).toEqual([]);
    });
  });

  it('fires at once for a certificate that is near its end on its first day', async () => {
    await follower.tick();
    store.certificates = [ending('d1', 0.001, { lifetimeDays: 0.004 })];
    store.add(device('device-enrolled', Duration.minutes(2)));
    await vi.waitFor(() => {
      expect(store.open).toEqual(['expiry:device:sensor:30%']);
    });
  });

  it('does not look at the whole fleet because a device enrolled', async () => {
    await follower.tick();
    for (let n = 0; n < 100; n++) {
      store.add(device('device-enrolled', Duration.days(90)));
      store.add(device('device-renewed', Duration.hours(24)));
    }
    await sleep(30);
    expect(store.evaluations).toBe(1);
  });

  it('looks once at changes that come together', async () => {
    for (let n = 0; n < 100; n++) store.add(device('device-enrolled', Duration.minutes(2)));
    await sleep(30);
    expect(store.evaluations).toBe(1);
  });
});

it('writes alerts to the log with their severity as level', async () => {
  const lines: unknown[][] = [];
  const at =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push([level, fields['alert'], message]);
    };
  const log = createLogChannel({ info: at('info'), warn: at('warn'), error: at('error') });
  store.certificates = [ending('d1', 6)];
  await follower.tick();
  await follow();
  const [change] = channel.changes;
  if (change === undefined) throw new Error('nothing was told');
  await log.deliver([change, { ...change, status: 'resolved' }]);
  expect(lines).toEqual([
    ['error', 'expiry:device:sensor:7d', change.alert.summary],
    ['info', 'expiry:device:sensor:7d', `Resolved: ${change.alert.summary}`],
  ]);
});
