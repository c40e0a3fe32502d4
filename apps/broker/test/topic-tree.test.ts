import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../src/engine/message.ts';
import { Retained } from '../src/engine/retained.ts';
import { hideShared, parseShared, showShared } from '../src/engine/shared-name.ts';
import { matches, TopicTree } from '../src/engine/topic-tree.ts';

const level = fc.constantFrom('', 'a', 'b', 'sport', '$SYS');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));

const matching = (filter: string, topic: string): string[] => {
  const tree = new TopicTree<string>();
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
    expect(matches(filter, topic)).toBe(expected);
    expect(matching(filter, topic)).toEqual(expected ? ['it'] : []);
  });

  it('matches in the tree what it matches alone, and is gone when it is removed', () => {
    fc.assert(
      fc.property(fc.array(filters, { maxLength: 12 }), topics, fc.nat(), (all, topic, drop) => {
        const tree = new TopicTree<number>();
        for (const [index, filter] of all.entries()) tree.add(filter, index);
        const kept = new Set(all.keys());
        if (all.length > 0) {
          const index = drop % all.length;
          tree.remove(all[index]!, index);
          kept.delete(index);
        }
        const found: number[] = [];
        tree.match(topic, (index) => found.push(index));
        const expected = [...kept].filter((index) => matches(all[index]!, topic));
        expect(found.sort((a, b) => a - b)).toEqual(expected);
      }),
    );
  });

  it('finds the retained messages whose topics it matches', () => {
    fc.assert(
      fc.property(fc.uniqueArray(topics, { maxLength: 12 }), filters, (all, filter) => {
        const retained = new Retained();
        const payload = Buffer.from('x');
        for (const topic of all) {
          retained.set({ topic, payload, qos: 1, retain: true } satisfies Message);
        }
        const found = retained.matching(filter).map(({ topic }) => topic);
        expect(found.sort()).toEqual(all.filter((topic) => matches(filter, topic)).sort());
        for (const topic of all) expect(retained.delete(topic)).toBe(true);
        expect(retained.size).toBe(0);
      }),
    );
  });
});

describe('a shared subscription', () => {
  it('has a name of its own and shows the one it was given', () => {
    const name = hideShared('$share/group/a/+/#');
    expect(name).not.toContain('$share');
    expect(parseShared(name)).toEqual({ group: 'group', filter: 'a/+/#' });
    expect(showShared(name)).toBe('$share/group/a/+/#');
  });

  it.each([
    '$share',
    '$share/',
    '$share/group',
    '$share/group/',
    '$share/+/a',
    '$shared/g/a',
    'a/b',
  ])('%s is none', (filter) => {
    expect(hideShared(filter)).toBe(filter);
  });
});
