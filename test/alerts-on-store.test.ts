// Alerts with the parts they run on: the rules that ship, SQLite, the follower loop. Certificates are rows, so no key is made.
import {
  createAlertFollower,
  type AlertChange,
  type AlertChannel,
  type AlertFollower,
} from '@keyline/alerts';
import { loadConfig, type KeylineConfig } from '@keyline/config';
import type { NewDevice, Store, Write } from '@keyline/fleet';
import { Duration, parseDeviceId, parseSerialHex, systemClock, type Clock } from '@keyline/kernel';
import { openFeed, startFollower, type Feed, type RunningFollower } from '@keyline/ledger';
import { createSqliteStore, openSqliteStore } from '@keyline/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const shipped = join(import.meta.dirname, '..', 'ca-config');

class MemoryChannel implements AlertChannel {
  readonly name = 'memory';
  readonly changes: AlertChange[] = [];
  probe(): Promise<void> {
    return Promise.resolve();
  }

  deliver(changes: readonly AlertChange[]): Promise<void> {
    this.changes.push(...changes);
    return Promise.resolve();
  }
  get told(): string[] {
    return this.changes.map(({ status, alert }) => `${status} ${alert.key} ${String(alert.count)}`);
  }
}

let dir: string;
let config: KeylineConfig;
let store: Store;
let channel: MemoryChannel;
let feed: Feed;
let alerts: AlertFollower;
let running: RunningFollower;
let shift: number;
let serials: number;

const clock: Clock = { now: () => systemClock.now() + shift };

beforeEach(async () => {
  shift = 0;
  serials = 0;
  dir = await mkdtemp(join(tmpdir(), 'keyline-alerts-'));
  config = await loadConfig(shipped);
  createSqliteStore(join(dir, 'keyline.db'));
  channel = new MemoryChannel();
  await start();
});
afterEach(async () => {
  await stop();
  await rm(dir, { recursive: true });
});

async function start(): Promise<void> {
  store = await openSqliteStore({ path: join(dir, 'keyline.db') });
  feed = await openFeed({ store });
  alerts = createAlertFollower({ store, feed, rules: config.alerts, channels: [channel], clock });
  const [delivery] = alerts.deliveries;
  if (delivery === undefined) throw new Error('there is no channel');
  running = await startFollower({ store, follower: delivery });
}

async function stop(): Promise<void> {
  await running.stop();
  await alerts.close();
  feed.close();
  await store.close();
}

/** A new certificate for a device, new or known, as enrollment and renewal write it. */
async function issue(name: string, { left, backdate = 0 }: { left: number; backdate?: number }) {
  const id = parseDeviceId(name);
  const now = clock.now();
  const known = await store.findDevice(id);
  const serial = parseSerialHex(`5a${(++serials).toString(16).padStart(14, '0')}`);
  const notAfter = now + left;
  const device: NewDevice = {
    id,
    type: 'sensor',
    batch: null,
    labels: {},
    state: 'active',
    version: 1,
    createdAt: now,
    updatedAt: now,
    serial,
    notAfter,
    predecessor: null,
  };
  const write: Write =
    known === undefined
      ? { op: 'insert-device', device }
      : {
          op: 'update-device',
          id,
          expectVersion: known.version,
          at: now,
          state: 'active',
          serial,
          notAfter,
        };
  const result = await store.commit({
    writes: [
      write,
      {
        op: 'insert-certificate',
        certificate: {
          serial,
          kind: 'device',
          owner: id,
          profile: 'device-client',
          authority: 'issuing-1',
          notBefore: now - backdate,
          notAfter,
          spkiSha256: serial.padStart(64, '0'),
          der: new Uint8Array([0x30, 0x00]),
          crlShard: null,
          state: 'active',
          revokedAt: null,
          reason: null,
        },
      },
    ],
    entries: [
      {
        at: now,
        actor: 'test',
        data: {
          kind: known === undefined ? 'device-enrolled' : 'device-renewed',
          device: id,
          type: 'sensor',
          state: 'active',
          role: 'device',
          serial,
          notAfter,
        },
      },
    ],
  });
  if (!result.ok) throw new Error(result.code);
}

const soon = { timeout: 60_000, interval: 10 };

it('raises an alert for a certificate near its end within a second, and resolves it on renewal', async () => {
  await alerts.tick();
  await issue('d1', { left: Duration.minutes(2), backdate: Duration.minutes(5) });
  await vi.waitFor(() => {
    expect(channel.told).toEqual(['firing expiry:device:sensor:30% 1']);
  }, soon);
  expect(await store.listAlerts({ includeResolved: false })).toMatchObject([
    { key: 'expiry:device:sensor:30%', severity: 'info', count: 1, examples: ['d1'] },
  ]);
  await issue('d1', { left: Duration.days(90), backdate: Duration.minutes(5) });
  await vi.waitFor(() => {
    expect(channel.told).toEqual([
      'firing expiry:device:sensor:30% 1',
      'resolved expiry:device:sensor:30% 1',
    ]);
  }, soon);
});

it('tells of a fleet once per threshold on its way to the end, over a restart', async () => {
  for (let n = 0; n < 200; n++) await issue(`d${String(n)}`, { left: Duration.days(90) });
  await alerts.tick();
  expect(channel.told).toEqual([]);
  for (const [days, expected] of [
    [61, ['firing expiry:device:sensor:30d 200']],
    [77, ['firing expiry:device:sensor:14d 200', 'resolved expiry:device:sensor:30d 200']],
    [84, ['firing expiry:device:sensor:7d 200', 'resolved expiry:device:sensor:14d 200']],
    [91, ['firing expiry:device:sensor:expired 200', 'resolved expiry:device:sensor:7d 200']],
  ] as const) {
    shift = Duration.days(days);
    channel.changes.length = 0;
    await alerts.tick();
    await stop();
    await start();
    await alerts.tick();
    await vi.waitFor(() => {
      expect(channel.told).toEqual(expected);
    }, soon);
  }
});
