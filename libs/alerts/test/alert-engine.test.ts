import { Duration, FakeClock } from '@keyline/kernel';
import { beforeEach, describe, expect, it } from 'vitest';
import { AlertEngine } from '../src/alert-engine.ts';
import { evaluateAlerts } from '../src/evaluate-alerts.ts';
import type { WatchedAuthority } from '../src/index.ts';
import type { WatchedCrl } from '../src/things.ts';
import { ending, MemoryStore, rules, start } from './memory-store.ts';

let store: MemoryStore;
let clock: FakeClock;
let authorities: WatchedAuthority[];
let crls: WatchedCrl[];
let engine: AlertEngine;

beforeEach(() => {
  store = new MemoryStore();
  clock = new FakeClock(start);
  authorities = [];
  crls = [];
  engine = new AlertEngine({
    store,
    clock,
    rules,
    authorities: () => authorities,
    crls: () => Promise.resolve(crls),
  });
});

const find = () => evaluateAlerts({ now: clock.now(), reader: store, rules, authorities, crls });
const keys = async () => (await find()).map(({ key }) => key);

describe('certificates that live long', () => {
  it.each([
    [31, []],
    [29, ['expiry:device:sensor:30d']],
    [13, ['expiry:device:sensor:14d']],
    [6, ['expiry:device:sensor:7d']],
    [-1, ['expiry:device:sensor:expired']],
  ])('with %d days left: %j', async (days, expected) => {
    store.certificates = [ending('d1', days)];
    expect(await keys()).toEqual(expected);
  });

  it('make one alert of a whole fleet', async () => {
    store.certificates = Array.from({ length: 10_000 }, (_, n) => ending(`d${String(n)}`, 20));
    expect(await find()).toEqual([
      {
        key: 'expiry:device:sensor:30d',
        subject: 'device',
        group: 'sensor',
        severity: 'info',
        summary:
          '10000 devices of type "sensor" expire within 30d (the first at 2026-01-21T00:00:00Z).',
        count: 10_000,
        examples: ['d0', 'd1', 'd2', 'd3', 'd4'],
      },
    ]);
  });

  it('count each at the narrowest threshold it has reached, and once', async () => {
    store.certificates = [
      ending('dead', -3),
      ending('a', 5),
      ending('b', 6),
      ending('c', 20),
      ending('g', 20, { group: 'gateway' }),
    ];
    const found = await find();
    expect(found.map(({ key, count, examples }) => [key, count, examples])).toEqual([
      ['expiry:device:sensor:30d', 1, ['c']],
      ['expiry:device:gateway:30d', 1, ['g']],
      ['expiry:device:sensor:7d', 2, ['a', 'b']],
      ['expiry:device:sensor:expired', 1, ['dead']],
    ]);
  });

  it('name a server, a service or an OCSP signer by its owner', async () => {
    store.certificates = [
      ending('broker@keyline', 6, { kind: 'server', group: 'broker@keyline' }),
      ending('ocsp', 0.1, { kind: 'ocsp', group: 'ocsp', lifetimeDays: 7 }),
    ];
    const found = await find();
    expect(found.map(({ summary }) => summary)).toEqual([
      'The server certificate of "broker@keyline" expires within 7d (at 2026-01-07T00:00:00Z).',
      'The OCSP signer certificate of "ocsp" expires soon: less than 7% of the lifetime is left (at 2026-01-01T02:24:00Z).',
    ]);
  });
});

describe('certificates that live shortly', () => {
  it.each([
    [0.5, []],
    [0.29, ['expiry:device:sensor:30%']],
    [0.14, ['expiry:device:sensor:15%']],
    [0.06, ['expiry:device:sensor:7%']],
    [-0.01, ['expiry:device:sensor:expired']],
  ])('with %d of a day left: %j, whatever the days say', async (left, expected) => {
    store.certificates = [ending('d1', left, { lifetimeDays: 1 })];
    expect(await keys()).toEqual(expected);
  });

  it('alert at once when most of the lifetime lies in the past (2 minutes, backdated 5)', async () => {
    const lifetimeDays = Duration.minutes(7) / Duration.days(1);
    store.certificates = [ending('d1', Duration.minutes(2) / Duration.days(1), { lifetimeDays })];
    expect(await keys()).toEqual(['expiry:device:sensor:30%']);
  });

  it('are one alert with the long-lived ones once they have expired', async () => {
    store.certificates = [ending('d1', -1), ending('d2', -1, { lifetimeDays: 1 })];
    expect(await find()).toMatchObject([
      {
        key: 'expiry:device:sensor:expired',
        count: 2,
        examples: ['d1', 'd2'],
        summary: expect.stringContaining('2 devices of type "sensor" have expired') as string,
      },
    ]);
  });
});

describe('authorities and CRLs', () => {
  const authority = (days: number): WatchedAuthority => ({
    id: 'issuing-1',
    kind: 'issuing',
    notBefore: start - Duration.days(1000),
    notAfter: start + Duration.days(days),
  });

  it.each([
    [200, []],
    [100, ['expiry:authority:issuing-1:180d']],
    [20, ['expiry:authority:issuing-1:30d']],
    [0, ['expiry:authority:issuing-1:expired']],
  ])('an authority with %d days left: %j', async (days, expected) => {
    authorities = [authority(days)];
    expect(await keys()).toEqual(expected);
  });

  it.each([
    [24, []],
    // Due after 1 day, ends after 7: half of the 6 days between is gone after 4.
    [24 * 4 + 1, ['expiry:crl:issuing-1:late']],
    [24 * 7, ['expiry:crl:issuing-1:overdue']],
  ])('a CRL that is published daily, %d hours old: %j', async (hours, expected) => {
    const thisUpdate = start - Duration.hours(hours);
    crls = [
      {
        authority: 'issuing-1',
        thisUpdate,
        nextUpdate: thisUpdate + Duration.days(7),
        interval: Duration.days(1),
      },
    ];
    expect(await keys()).toEqual(expected);
  });

  it('a CRL that is made by hand goes by the time that is left', async () => {
    crls = [
      {
        authority: 'root',
        thisUpdate: start - Duration.days(170),
        nextUpdate: start + Duration.days(10),
      },
    ];
    expect(await keys()).toEqual(['expiry:crl:root:14d']);
  });
});

describe('AlertEngine', () => {
  it('fires once, keeps quiet while nothing changes, and resolves when fixed', async () => {
    store.certificates = [ending('d1', 20)];
    expect(await engine.evaluate()).toEqual({ fired: ['expiry:device:sensor:30d'], resolved: [] });
    for (let n = 0; n < 10; n++) {
      clock.advance(Duration.minutes(1));
      expect(await engine.evaluate()).toEqual({ fired: [], resolved: [] });
    }
    expect(store.commits).toBe(1);
    store.certificates = [ending('d1', 90)];
    expect(await engine.evaluate()).toEqual({ fired: [], resolved: ['expiry:device:sensor:30d'] });
    expect(store.ledger.map(({ data }) => data.kind)).toEqual(['alert-fired', 'alert-resolved']);
    expect(store.alerts.get('expiry:device:sensor:30d')).toMatchObject({
      firstAt: start,
      resolvedAt: clock.now(),
      count: 1,
    });
    expect(engine.openAlerts).toBe(0);
  });

  it('replaces an alert by the next threshold as time goes by', async () => {
    store.certificates = [ending('d1', 20)];
    await engine.evaluate();
    clock.advance(Duration.days(7));
    expect(await engine.evaluate()).toEqual({
      fired: ['expiry:device:sensor:14d'],
      resolved: ['expiry:device:sensor:30d'],
    });
    expect(store.alerts.get('expiry:device:sensor:30d')?.summary).toContain(
      'Replaced by expiry:device:sensor:14d.',
    );
    expect(store.open).toEqual(['expiry:device:sensor:14d']);
  });

  it('keeps the count up to date, and speaks again when the fleet follows one device', async () => {
    store.certificates = [ending('d0', 20)];
    await engine.evaluate();
    store.certificates.push(ending('d1', 20));
    expect((await engine.evaluate()).fired).toEqual([]);
    expect(store.alerts.get('expiry:device:sensor:30d')?.count).toBe(2);
    for (let n = 2; n < 500; n++) store.certificates.push(ending(`d${String(n)}`, 20));
    expect((await engine.evaluate()).fired).toEqual(['expiry:device:sensor:30d']);
    expect(store.alerts.get('expiry:device:sensor:30d')).toMatchObject({
      count: 500,
      firstAt: start,
    });
  });

  it('goes on from the stored alerts after a restart', async () => {
    store.certificates = [ending('d1', 20)];
    await engine.evaluate();
    const restarted = new AlertEngine({ store, clock, rules });
    expect(await restarted.evaluate()).toEqual({ fired: [], resolved: [] });
  });

  it('fires anew, with a new beginning, what comes back after it was resolved', async () => {
    store.certificates = [ending('d1', 20)];
    await engine.evaluate();
    store.certificates = [];
    await engine.evaluate();
    clock.advance(1000);
    store.certificates = [ending('d1', 20)];
    await engine.evaluate();
    expect(store.alerts.get('expiry:device:sensor:30d')).toMatchObject({
      firstAt: start + 1000,
      resolvedAt: null,
    });
  });

  it("leaves other people's alerts alone", async () => {
    const other = {
      key: 'target:broker:unreachable',
      severity: 'warning',
      summary: 's',
      count: 1,
      examples: [],
      firstAt: 1,
      lastAt: 1,
      resolvedAt: null,
    } as const;
    store.alerts.set(other.key, other);
    await engine.evaluate();
    expect(store.alerts.get(other.key)).toEqual(other);
  });
});
