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
  ])('accepts %s', (filter) => {
    expect(() => {
      assertTopicFilter(filter);
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
    ['a shared subscription', '$share/g/a', 'broker'],
    ['more than 65,535 bytes (MQTT 5 §4.7.3)', 'ü'.repeat(32_768), 'longer'],
  ])('rejects %s', (_title, filter, word) => {
    try {
      assertTopicFilter(filter);
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
  expect(topicsFor(role, "$&$'")).toEqual({
    publish: ["d/$&$'/x"],
    subscribe: ["d/$&$'/#", 'news'],
  });
});
