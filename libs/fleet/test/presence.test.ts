// Whether somebody is online, of what brokers have told and how long ago: what is not known is unknown, and never offline.
import { describe, expect, it } from 'vitest';
import { onlineSources, presenceOf, type PresenceRow, type PresenceSource } from '../src/index.ts';

const now = 10_000_000;
const source = (id: number, target: string, asOf: number | null): PresenceSource => ({
  ...{ id, target, start: String(id), last: 1, asOf },
});
const row = (changes: Partial<PresenceRow> = {}): PresenceRow => ({
  ...{ identity: 'pump', target: 'a', source: 1, online: true, at: now - 500_000 },
  ...{ clientId: 'pump', protocol: 5, address: '192.0.2.7', ...changes },
});
const judge = (rows: PresenceRow[], sources: PresenceSource[], ...targets: string[]) =>
  presenceOf(rows, { sources, targets, now });

describe('presence', () => {
  it('is online by the last source of a broker that was heard of within the minute', () => {
    expect(judge([row()], [source(1, 'a', now - 5000)], 'a')).toEqual({
      ...{ status: 'online', since: now - 500_000, lastSeen: now - 5000 },
      seen: row(),
    });
  });

  it.each([
    ['a broker that was not heard of for more than a minute', [source(1, 'a', now - 61_000)]],
    ['a broker that has begun to tell, and not come to the end', [source(1, 'a', null)]],
    ['a broker that never told', []],
  ])('is unknown, online or not, by %s', (_what, sources) => {
    expect(judge([row()], sources, 'a').status).toBe('unknown');
    expect(judge([row({ online: false })], sources, 'a').status).toBe('unknown');
    expect(judge([], sources, 'a').status).toBe('unknown');
  });

  it('is unknown where there is no broker', () => {
    expect(judge([], [])).toEqual({ status: 'unknown', lastSeen: null, since: null, seen: null });
  });

  it('is offline only where every broker tells, and unknown beside one that tells nothing', () => {
    const sources = [source(1, 'a', now - 5000)];
    const gone = row({ online: false, at: now - 70_000 });
    expect(judge([gone], sources, 'a')).toMatchObject({
      ...{ status: 'offline', since: null, lastSeen: now - 70_000 },
    });
    expect(judge([gone], sources, 'a', 'mosquitto')).toMatchObject({
      ...{ status: 'unknown', lastSeen: now - 70_000 },
    });
    expect(judge([row()], sources, 'a', 'mosquitto').status).toBe('online');
  });

  it('ends with the broker that told it: last seen is when that was last heard of', () => {
    const sources = [source(1, 'a', now - 300_000), source(2, 'a', now - 1000)];
    expect(judge([row()], sources, 'a')).toMatchObject({
      ...{ status: 'offline', since: null, lastSeen: now - 300_000 },
    });
    // Of a source that is forgotten by now it is known when it came.
    expect(judge([row()], [source(2, 'a', now)], 'a').lastSeen).toBe(now - 500_000);
  });

  it('of one that is on several brokers is that of the one where it is', () => {
    const sources = [source(1, 'a', now), source(2, 'b', now)];
    const rows = [
      row({ online: false, at: now - 1 }),
      row({ target: 'b', source: 2, at: now - 900_000, clientId: 'pump:b' }),
    ];
    expect(judge(rows, sources, 'a', 'b')).toMatchObject({
      ...{ status: 'online', seen: { target: 'b', clientId: 'pump:b' } },
    });
  });

  it('of a broker that is not configured any more says when it was last seen there, and no more', () => {
    const sources = [source(1, 'old', now), source(2, 'b', now)];
    expect(judge([row({ target: 'old' })], sources, 'b')).toMatchObject({
      ...{ status: 'offline', lastSeen: now },
    });
    expect(onlineSources(sources, { targets: ['b'], now })).toEqual([2]);
  });

  it('is not known by a clock that was set back for more than a minute', () => {
    expect(judge([row()], [source(1, 'a', now + 120_000)], 'a').status).toBe('unknown');
  });
});
