import { isKeylineError } from '@keyline/kernel';
import { describe, expect, it } from 'vitest';
import { assertTopicFilter, topicsFor } from '../src/index.ts';

describe('assertTopicFilter', () => {
  it.each([
    'devices/%u/telemetry',
    'devices/%u/events/#',
    '#',
    '+',
    '/',
    'a//b',
    'fleet/+/news',
    'a b/ü',
    'sites/%{label:site}/devices/%u',
    '%{type}/%{batch}/#',
    '$share/workers/jobs/#',
    '$share/+/jobs/%u',
  ])('accepts %s', (filter) => {
    expect(() => {
      assertTopicFilter(filter, 'subscribe');
    }).not.toThrow();
  });

  it.each([
    ['an empty filter (MQTT 5 §4.7.3)', '', 'empty'],
    ['"#" before the end (MQTT 5 §4.7.1.2)', 'a/#/b', 'last level'],
    ['"#" as a part of a level (MQTT 5 §4.7.1.2)', 'a/b#', 'last level'],
    ['"+" as a part of a level (MQTT 5 §4.7.1.3)', 'a/b+/c', 'whole level'],
    ['U+0000 (MQTT 5 §1.5.4)', 'a/\u0000', 'control character'],
    ['a lone surrogate (MQTT 5 §1.5.4)', 'a/\ud800', 'Unicode'],
    ['%u as a part of a level', 'devices/x%u', '%u'],
    ['another placeholder', 'devices/%c', '%u'],
    ['the admin topic', '$CONTROL/dynamic-security/v1', 'broker'],
    ['a shared subscription without a group (MQTT 5 §4.8.2)', '$share//a', 'GROUP'],
    ['a shared subscription without a filter (MQTT 5 §4.8.2)', '$share/g', 'FILTER'],
    ['a shared subscription to the admin topic', '$share/g/$CONTROL/#', 'broker'],
    ['a label without a name', 'a/%{label:}', '%{label:NAME}'],
    ['a placeholder as a part of a level', 'a/x%{type}', 'whole level'],
    ['a placeholder with more behind it', 'a/%{type}%u', 'whole level'],
    ['a placeholder that there is not', 'a/%{owner}', 'no other'],
    ['what a broker says of itself', '$SYS/#', 'broker'],
    ['more than 65,535 bytes (MQTT 5 §4.7.3)', 'ü'.repeat(32_768), 'longer'],
  ])('rejects %s', (_title, filter, word) => {
    try {
      assertTopicFilter(filter, 'subscribe');
    } catch (error) {
      expect(isKeylineError(error) && error.code).toBe('REQUEST_INVALID');
      expect(String(error)).toContain(word);
      return;
    }
    expect.fail('it was accepted');
  });
});

it('fills the device id into a role as plain text', () => {
  const role = { name: 'r', description: '', publish: ['d/%u/x'], subscribe: ['d/%u/#', 'news'] };
  expect(topicsFor(role, { id: "$&$'", type: 'default', batch: null, labels: {} })).toEqual({
    publish: ["d/$&$'/x"],
    subscribe: ["d/$&$'/#", 'news'],
  });
});

it('rejects a shared subscription to publish to (MQTT 5 §4.8.2)', () => {
  expect(() => {
    assertTopicFilter('$share/g/a', 'publish');
  }).toThrow(/nothing is published to "\$share"/);
});
