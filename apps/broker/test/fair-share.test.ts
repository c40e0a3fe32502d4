// Who gives way when there is no room.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairShare, shareOf } from '../src/fair-share.ts';

describe('A share', () => {
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
    ['', ''],
  ])('of %s is %s (RFC 4291 §2.5.4)', (address, share) => {
    expect(shareOf(address)).toBe(share);
  });

  it('is found for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4()), (text) => {
        expect(typeof shareOf(text)).toBe('string');
      }),
    );
  });
});

const create = (limit: number, idle: (peer: number) => boolean = () => false): FairShare<number> =>
  new FairShare({ limit, isIdle: idle, patience: 1000 });

describe('Room for strangers', () => {
  it('is never more than the limit, and nobody who holds less than another gives way to it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.record({ address: fc.nat(4), leaves: fc.boolean() }), { maxLength: 80 }),
        (limit, steps) => {
          const share = create(limit);
          const held = new Map<number, string>();
          const countOf = (address: string): number =>
            [...held.values()].filter((one) => one === address).length;
          for (const [peer, { address, leaves }] of steps.entries()) {
            const [first] = held.keys();
            if (leaves && first !== undefined) {
              expect(share.delete(first)).toBe(true);
              held.delete(first);
            }
            const own = countOf(String(address));
            const taken = share.add(peer, String(address), peer);
            if (taken !== 'refused') {
              if (taken !== 'taken') {
                const loser = held.get(taken.insteadOf);
                expect(loser).toBeDefined();
                expect(countOf(loser ?? '')).toBeGreaterThan(own + 1);
                held.delete(taken.insteadOf);
              }
              held.set(peer, String(address));
            } else {
              expect(held.size).toBe(limit);
              expect(Math.max(...[...held.values()].map(countOf))).toBeLessThanOrEqual(own + 1);
            }
            expect(share.size).toBe(held.size);
            expect(share.size).toBeLessThanOrEqual(limit);
          }
        },
      ),
    );
  });

  it('is given up by the oldest of the same address when that has said nothing for a second', () => {
    const share = create(2, (peer) => peer === 1);
    share.add(1, 'a', 0);
    share.add(2, 'a', 0);
    expect(share.add(3, 'a', 999)).toBe('refused');
    expect(share.add(3, 'a', 1000)).toEqual({ insteadOf: 1 });
    // The next has begun to speak.
    expect(share.add(4, 'a', 5000)).toBe('refused');
  });

  it('is for everybody as long as there is some: one address may hold all of it', () => {
    const share = create(1000);
    for (let peer = 0; peer < 1000; peer += 1) expect(share.add(peer, 'plant', 0)).toBe('taken');
    expect(share.add(1000, 'elsewhere', 0)).toEqual({ insteadOf: 0 });
  });
});
