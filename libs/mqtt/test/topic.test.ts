import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMqttText, isTopicFilter, matchesTopic, parseSharedFilter } from '../src/index.ts';
import { isTopicName } from '../src/topic.ts';

describe('isTopicName', () => {
  it.each(['a', '/', '/a', 'a/', 'a//b', '$SYS/x', 'é/🌡', ' ', 'a'.repeat(65_535)])(
    'takes %.20s (MQTT 5 §4.7.3)',
    (topic) => {
      expect(isTopicName(topic)).toBe(true);
    },
  );

  it.each([
    ['an empty one', '', 'MQTT-4.7.3-1'],
    ['U+0000', 'a\u0000', 'MQTT-4.7.3-2'],
    ['more than 65,535 bytes', 'a'.repeat(65_536), 'MQTT-4.7.3-3'],
    ['more than 65,535 bytes in fewer characters', 'é'.repeat(32_768), 'MQTT-4.7.3-3'],
    ['"+"', 'a/+', 'MQTT-3.3.2-2'],
    ['"#"', 'a#', 'MQTT-3.3.2-2'],
    ['half a surrogate pair', 'a\ud800', 'MQTT-1.5.4-1'],
    ['a control character', 'a\n', 'MQTT 5 §1.5.4'],
    ['101 levels', '/'.repeat(100), 'limit'],
  ])('refuses %s', (_, topic) => {
    expect(isTopicName(topic)).toBe(false);
  });
});

describe('isTopicFilter', () => {
  it.each(['#', '+', '+/+', '/+', 'a/#', '+/a/#', 'a/+/b', '$SYS/#', '/'])(
    'takes %s (MQTT 5 §4.7.1)',
    (filter) => {
      expect(isTopicFilter(filter)).toBe(true);
    },
  );

  it.each(['', 'a#', 'a/#/b', '#/', '#a', 'a+', '+a', 'a/b+/c', '++', '##', '+#', 'a/\u0000'])(
    'refuses "%s" (MQTT-4.7.1-1, MQTT-4.7.1-2)',
    (filter) => {
      expect(isTopicFilter(filter)).toBe(false);
    },
  );
});

describe('matchesTopic', () => {
  it.each([
    // The examples of MQTT 5 §4.7.1.2, §4.7.1.3 and §4.7.2.
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'sport/tennis', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/monitor', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/monitor', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['a', 'A', false],
    ['a/b', 'a/bc', false],
    ['a/bc', 'a/b', false],
    ['a/b/c', 'a/b', false],
    ['a/b', 'a/b/c', false],
    ['a/+/c/#', 'a//c', true],
    ['a//#', 'a', false],
  ])('%s and %s: %s (MQTT 5 §4.7)', (filter, topic, expected) => {
    expect(matchesTopic(filter, topic)).toBe(expected);
  });

  it('says what comparing level by level says, for all short filters and topics', () => {
    const byLevels = (filter: readonly string[], topic: readonly string[]): boolean => {
      const [wanted, ...filterRest] = filter;
      const [given, ...topicRest] = topic;
      if (wanted === '#') return true;
      if (wanted === undefined || given === undefined) return wanted === given;
      return (wanted === '+' || wanted === given) && byLevels(filterRest, topicRest);
    };
    const level = fc.constantFrom('', 'a', 'b', 'ab');
    const filterLevel = fc.oneof(level, fc.constant('+'));
    fc.assert(
      fc.property(
        fc.array(filterLevel, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.array(level, { minLength: 1, maxLength: 5 }),
        (filterLevels, open, topicLevels) => {
          const filter = open ? [...filterLevels, '#'] : filterLevels;
          expect(matchesTopic(filter.join('/'), topicLevels.join('/'))).toBe(
            byLevels(filter, topicLevels),
          );
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('parseSharedFilter', () => {
  it('takes the name and the filter apart (MQTT 5 §4.8.2)', () => {
    expect(parseSharedFilter('$share/g/a/+/#')).toEqual({ group: 'g', filter: 'a/+/#' });
    expect(parseSharedFilter('$share/g//')).toEqual({ group: 'g', filter: '/' });
  });

  it.each(['$share', '$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a', '$share/#/a'])(
    'takes %s for no shared filter (MQTT-4.8.2-1, MQTT-4.8.2-2)',
    (filter) => {
      expect(parseSharedFilter(filter)).toBeUndefined();
    },
  );

  it('leaves other filters alone', () => {
    expect(parseSharedFilter('share/g/a')).toBeUndefined();
    expect(parseSharedFilter('$shared/g/a')).toBeUndefined();
  });
});

describe('isMqttText', () => {
  it('takes U+FEFF and everything that is a character (MQTT-1.5.4-3)', () => {
    expect(isMqttText('\ufeffé€🌡\u{10fffd}')).toBe(true);
  });

  it.each([0x00, 0x1f, 0x7f, 0x9f, 0xfdd0, 0xfdef, 0xfffe, 0xffff, 0x1fffe, 0x10ffff])(
    'refuses U+%s as Mosquitto does (MQTT 5 §1.5.4)',
    (codePoint) => {
      expect(isMqttText(`a${String.fromCodePoint(codePoint)}`)).toBe(false);
    },
  );
});
