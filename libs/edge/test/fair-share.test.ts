// Who gives way when there is no room.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairShare, peerKeyOf } from '../src/index.ts';

describe('The key of a peer', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['', ''],
    [undefined, ''],
  ])('of %s is “%s” (RFC 4291 §2.5.4)', (address, share) => {
    expect(peerKeyOf(address)).toBe(share);
  });

  it('is found for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4()), (text) => {
        expect(typeof peerKeyOf(text)).toBe('string');
      }),
    );
  });
});

const build = (most: number, isIdle: (peer: unknown) => boolean = () => false) => {
  const ended: unknown[] = [];
  const clock = { now: 0 };
  const share = new FairShare<unknown>({
    most,
    end: (peer) => ended.push(peer),
    idle: { isIdle, patience: 1000 },
    now: () => clock.now,
  });
  return { share, ended, clock };
};

describe('A fair share', () => {
  it('is never more than there is, and nobody who holds less than another gives way to it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(
          fc.record({
            key: fc.nat(4),
            weight: fc.integer({ min: 1, max: 3 }),
            leaves: fc.boolean(),
          }),
          { maxLength: 80 },
        ),
        (most, steps) => {
          const { share, ended } = build(most);
          const held = new Map<unknown, { key: string; weight: number }>();
          const weightOf = (wanted: string): number =>
            [...held.values()].reduce(
              (sum, { key, weight }) => sum + (key === wanted ? weight : 0),
              0,
            );
          for (const [peer, { key: number, weight, leaves }] of steps.entries()) {
            const key = String(number);
            const [first] = held.keys();
            if (leaves && first !== undefined) {
              share.release(first);
              held.delete(first);
            }
            ended.length = 0;
            const taken = share.take(key, peer, weight);
            const own = weightOf(key);
            for (const loser of ended) {
              const heaviest = Math.max(...[...held.values()].map((one) => weightOf(one.key)));
              const losing = weightOf(held.get(loser)?.key ?? '');
              expect(losing).toBe(heaviest);
              expect(losing).toBeGreaterThan(own + weight);
              held.delete(loser);
            }
            if (taken) held.set(peer, { key, weight });
            else {
              const heaviest = Math.max(0, ...[...held.values()].map((one) => weightOf(one.key)));
              expect(heaviest).toBeLessThanOrEqual(own + weight);
            }
            const total = [...held.values()].reduce((sum, one) => sum + one.weight, 0);
            expect(share.total).toBe(total);
            expect(total).toBeLessThanOrEqual(most);
            expect([...share.holders()]).toEqual([...held.keys()]);
          }
        },
      ),
    );
  });

  it('gives one address everything while nobody else comes', () => {
    const { share, ended } = build(1000);
    for (let peer = 0; peer < 1000; peer += 1) expect(share.take('plant', peer)).toBe(true);
    expect(share.take('plant', 1000)).toBe(false);
    expect([share.total, ended]).toEqual([1000, []]);
    expect(share.take('elsewhere', 1001)).toBe(true);
    expect(ended).toEqual([0]);
  });

  it('takes the oldest from who has most, down to equal parts and no further', () => {
    const { share, ended } = build(10);
    for (let i = 0; i < 10; i++) share.take('flood', `f${String(i)}`);
    for (let i = 0; i < 5; i++) expect(share.take('device', `d${String(i)}`)).toBe(true);
    expect(ended).toEqual(['f0', 'f1', 'f2', 'f3', 'f4']);
    expect(share.take('device', 'd5')).toBe(false);
    expect(share.take('flood', 'f10')).toBe(false);
    expect(share.take('third', 't')).toBe(true);
  });

  it('is given up by the oldest of the same address when that has said nothing for a second', () => {
    const { share, ended, clock } = build(2, (peer) => peer === 1);
    share.take('a', 1);
    share.take('a', 2);
    clock.now = 999;
    expect(share.take('a', 3)).toBe(false);
    clock.now = 1000;
    expect(share.take('a', 3)).toBe(true);
    expect(ended).toEqual([1]);
    // The next has begun to speak.
    clock.now = 5000;
    expect(share.take('a', 4)).toBe(false);
    expect([...share.before(1000)]).toEqual([2]);
  });

  it('spares those who proved who they are while the same address has others', () => {
    const { share, ended } = build(3);
    for (const peer of ['station', 'a', 'b']) share.take('nat', peer);
    share.prove('station');
    share.take('x', 'x');
    expect(ended).toEqual(['a']);
  });

  it('counts weights, and gives back what was released, once', () => {
    const { share, ended } = build(100);
    expect(share.take('a', 'big', 90)).toBe(true);
    expect(share.take('b', 'small', 20)).toBe(true);
    expect(ended).toEqual(['big']);
    share.release('big');
    expect(share.total).toBe(20);
    expect(share.take('c', 'too big', 101)).toBe(false);
  });
});
