import { matchesTopic } from '@keyline/mqtt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Account } from '../src/engine/account.ts';
import { FilterTree } from '../src/engine/filter-tree.ts';
import { Retained } from '../src/engine/retained.ts';
import { Session } from '../src/engine/session.ts';
import { SharedGroup } from '../src/engine/shared-group.ts';
import { SubscriptionIndex } from '../src/engine/subscription-index.ts';

const level = fc.constantFrom('', 'a', 'b', 'sport', '$SYS', '__proto__', 'constructor');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));
const options = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  identifier: undefined,
} as const;

const matching = (filter: string, topic: string): string[] => {
  const tree = new FilterTree<string>();
  tree.add(filter, 'it');
  const found: string[] = [];
  tree.match(topic, (value) => found.push(value));
  return found;
};

describe('a topic filter', () => {
  it.each([
    ['sport/#', 'sport', true],
    ['sport/#', 'sport/tennis/player', true],
    ['#', 'sport', true],
    ['#', '$SYS/broker', false],
    ['+/broker', '$SYS/broker', false],
    ['$SYS/#', '$SYS/broker', true],
    ['$SYS/+', '$SYS/broker', true],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['sport/tennis', 'sport/tennis/player', false],
  ])('%s on %s: %s (MQTT 5.0 §4.7)', (filter, topic, expected) => {
    expect(matchesTopic(filter, topic)).toBe(expected);
    expect(matching(filter, topic)).toEqual(expected ? ['it'] : []);
  });

  it('matches in the index what it matches alone, and is gone when it is removed', () => {
    fc.assert(
      fc.property(fc.array(filters, { maxLength: 12 }), topics, fc.nat(), (all, topic, drop) => {
        const index = new SubscriptionIndex();
        const sessions = all.map((_, at) => new Session(String(at), new Account('it')));
        for (const [at, filter] of all.entries()) index.set(sessions[at]!, filter, options);
        const kept = new Set(all.keys());
        if (all.length > 0) {
          const at = drop % all.length;
          expect(index.delete(sessions[at]!, all[at]!)?.filter).toBe(all[at]);
          kept.delete(at);
        }
        expect(index.size).toBe(kept.size);
        const found: number[] = [];
        index.match(topic, (target) => {
          if (!(target instanceof SharedGroup)) found.push(Number(target.session.clientId));
        });
        const expected = [...kept].filter((at) => matchesTopic(all[at]!, topic));
        expect(found.sort((a, b) => a - b)).toEqual(expected);
      }),
    );
  });

  it('leaves nothing behind in the tree', () => {
    fc.assert(
      fc.property(fc.uniqueArray(filters, { maxLength: 12 }), topics, (all, topic) => {
        const tree = new FilterTree<string>();
        for (const filter of all) tree.add(filter, filter);
        for (const filter of all) tree.remove(filter, filter);
        // An empty tree is not even looked at.
        expect(tree.match(topic, () => expect.fail())).toBe(0);
      }),
    );
  });

  it('finds the retained messages whose topics it matches', () => {
    fc.assert(
      fc.property(fc.uniqueArray(topics, { maxLength: 12 }), filters, (all, filter) => {
        const retained = new Retained();
        for (const topic of all) {
          retained.set({
            ...{ bytes: 1, account: undefined },
            message: {
              ...{ topic, payload: Buffer.from('x'), qos: 1, retain: true },
              ...{ properties: undefined, expiresAt: undefined },
            },
          });
        }
        expect([...retained.all()].length).toBe(all.length);
        const found = [...retained.matching(filter)].map(({ topic }) => topic);
        expect(found.sort()).toEqual(all.filter((topic) => matchesTopic(filter, topic)).sort());
        for (const topic of all) expect(retained.delete(topic)).toBe(true);
        expect(retained.size).toBe(0);
        expect([...retained.matching('#')]).toEqual([]);
      }),
    );
  });
});

describe('a tree of filters and topics', () => {
  // The wire allows 100 levels; what was stored before that limit, or comes by another way, must not end the process.
  it('is walked without recursion: 30,000 levels', () => {
    const deep = Array.from({ length: 30_000 }, () => 'a').join('/');
    const tree = new FilterTree<string>();
    tree.add(`${deep}/+`, 'deep');
    const found: string[] = [];
    tree.match(`${deep}/x`, (value) => found.push(value));
    expect(found).toEqual(['deep']);
    tree.remove(`${deep}/+`, 'deep');
    expect(tree.match(`${deep}/x`, () => undefined)).toBe(0);
  });
});

describe('a shared subscription', () => {
  it('gives each message to one member in turn, the connected first', () => {
    const index = new SubscriptionIndex();
    const members = ['a', 'b', 'c'].map((id) => new Session(id, new Account(id)));
    for (const session of members) index.set(session, '$share/g/x/+', options);
    const groups: SharedGroup[] = [];
    index.match('x/1', (target) => {
      if (target instanceof SharedGroup) groups.push(target);
    });
    expect(groups).toHaveLength(1);
    const chosen = (mayTake: (session: Session) => boolean = () => true) =>
      groups[0]!.choose(mayTake)?.session.clientId;
    expect([chosen(), chosen(), chosen(), chosen()]).toEqual(['a', 'b', 'c', 'a']);
    members[2]!.connection = {} as never;
    expect([chosen(), chosen()]).toEqual(['c', 'c']);
    expect(chosen(({ clientId }) => clientId === 'b')).toBe('b');
    expect(chosen(() => false)).toBeUndefined();
    for (const session of members) index.delete(session, '$share/g/x/+');
    index.match('x/1', () => expect.fail());
  });
});
