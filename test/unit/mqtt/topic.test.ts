import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  matches,
  overlap,
  parseSharedFilter,
  validTopicFilter,
  validTopicName,
} from '../../../src/mqtt/topic.js';

/** Filter, what it matches, what it does not. */
const MATCHES: readonly (readonly [filter: string, matching: readonly string[], other: readonly string[]])[] =
  [
    ['#', ['a', '/', 'a/b/c'], ['$SYS', '$SYS/a']],
    ['+', ['a'], ['/a', 'a/b', '$SYS']],
    ['a/#', ['a', 'a/', 'a/b/c'], ['ab', 'A/b', '/a']],
    ['a/+', ['a/', 'a/b'], ['a', 'a/b/c']],
    ['+/+', ['/a', 'a/b', '/'], ['a', 'a/b/c', '$SYS/a']],
    ['/+', ['/a', '/'], ['a', '/a/b']],
    ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c']],
    ['+/b/#', ['a/b', 'a/b/c/d', '/b'], ['a/c', '$x/b']],
    ['+/$x', ['a/$x', '/$x'], ['$a/$x']],
    ['$SYS/#', ['$SYS', '$SYS/a/b'], ['SYS/a', '$SYSTEM']],
    ['$SYS/+', ['$SYS/a'], ['$SYS', '$SYS/a/b']],
    ['a/b', ['a/b'], ['a/b/', 'a/bc', 'a', 'A/b', 'a//b']],
    ['+/#', ['a', '/', 'a/b'], ['$SYS/a']],
    ['/#', ['/', '/a', '/a/b'], ['a']],
    ['\u00e9', ['\u00e9'], ['e\u0301']],
  ];

const PAIRS = MATCHES.flatMap(([filter, matching, other]) => [
  ...matching.map((name) => ({ filter, name, expected: true })),
  ...other.map((name) => ({ filter, name, expected: false })),
]);

const level = fc.constantFrom('', 'a', 'b', '$x');
const name = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 0, maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  .filter((text) => text !== '');

/** The rules once more, level by level and slowly. */
function matchesByLevels(topicFilter: string, topicName: string): boolean {
  const filters = topicFilter.split('/');
  const names = topicName.split('/');
  if (topicName.startsWith('$') && /^[+#]/.test(topicFilter)) return false;
  const open = filters.at(-1) === '#';
  if (open) filters.pop();
  if (open ? names.length < filters.length : names.length !== filters.length) return false;
  return filters.every((wanted, index) => wanted === '+' || wanted === names[index]);
}

describe('matches', () => {
  test.each(PAIRS)(
    '$filter and $name: $expected [MQTT311-4.7.2-1] [MQTT5-4.7.2-1] [MQTT5-4.7.3-4]',
    ({ filter: topicFilter, name: topicName, expected }) => {
      expect(matches(topicFilter, topicName)).toBe(expected);
    },
  );

  test('agrees with the rules applied level by level', () => {
    fc.assert(
      fc.property(filter, name, (topicFilter, topicName) => {
        expect(matches(topicFilter, topicName)).toBe(matchesByLevels(topicFilter, topicName));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('overlap', () => {
  /** Every name of up to five levels over an alphabet that knows no more than the filters do. */
  const names: string[] = [];
  for (let depth = 1, grown: string[][] = [[]]; depth <= 5; depth += 1) {
    grown = grown.flatMap((levels) => ['', 'a', 'b', '$x'].map((next) => [...levels, next]));
    names.push(...grown.map((levels) => levels.join('/')).filter((text) => text !== ''));
  }

  test('is true exactly where some Topic Name matches both', () => {
    fc.assert(
      fc.property(filter, filter, (a, b) => {
        const expected = names.some((topicName) => matches(a, topicName) && matches(b, topicName));
        expect(overlap(a, b)).toBe(expected);
        expect(overlap(b, a)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['a/#', 'a', true],
    ['a/+', 'a', false],
    ['#', '$SYS/#', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/+', '$SYS/#', true],
    ['a/+/c', 'a/b/#', true],
    ['a/+/c', '+/b', false],
    ['/#', '+', false],
    ['+/#', '+', true],
  ])('of %s and %s is %s', (a, b, expected) => {
    expect(overlap(a, b)).toBe(expected);
  });
});

describe('Topic Names', () => {
  test.each(['a', '/', 'a b', '$SYS/a', '\ufeff', 'é', '😀', 'a'.repeat(65_535), 'é'.repeat(32_767)])(
    'may be like this (%#) [MQTT5-4.7.3-3]',
    (topicName) => {
      expect(validTopicName(topicName)).toBe(true);
    },
  );

  test.each(['', '#', 'a/+', 'a#', 'a\0', '\ud800', 'a\udc00b', 'a'.repeat(65_536), 'é'.repeat(32_768)])(
    'may not be like this (%#) [MQTT311-4.7.1-1] [MQTT311-4.7.3-1] [MQTT311-4.7.3-2] [MQTT311-4.7.3-3]',
    (topicName) => {
      expect(validTopicName(topicName)).toBe(false);
    },
  );
});

describe('Topic Filters', () => {
  test.each([
    '#',
    '+',
    '/',
    '+/a/#',
    'a/+/b',
    '/+',
    'a b',
    '+/+',
    '/#',
    '$SYS/#',
    '$shared/a',
    '$share/g//a',
    '$share/g/#',
  ])('%s is well-formed [MQTT5-4.7.1-1] [MQTT5-4.7.1-2]', (topicFilter) => {
    expect(validTopicFilter(topicFilter)).toBe(true);
  });

  test.each(['', 'a#', 'a/#/b', '##', 'a+', '+a', 'a/b+/c', '#/', '++', 'a\0b', '+#'])(
    '%j is ill-formed in both versions [MQTT311-4.7.1-2] [MQTT311-4.7.1-3]',
    (topicFilter) => {
      expect(validTopicFilter(topicFilter, 4)).toBe(false);
      expect(validTopicFilter(topicFilter, 5)).toBe(false);
    },
  );

  test.each(['$share', '$share/', '$share//a', '$share/g', '$share/g/'])(
    '%s is no shared subscription in 5.0 and a plain filter in 3.1.1 [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]',
    (topicFilter) => {
      expect(validTopicFilter(topicFilter, 5)).toBe(false);
      expect(validTopicFilter(topicFilter, 4)).toBe(true);
    },
  );

  test.each(['$share/g+/a', '$share/#/a', '$share/+/a', '$share/g/a#'])(
    '%s is no shared subscription',
    (text) => {
      expect(validTopicFilter(text, 5)).toBe(false);
    },
  );

  test('of a shared subscription is what follows the ShareName', () => {
    expect(parseSharedFilter('$share/g//a')).toEqual({ shareName: 'g', topicFilter: '/a' });
    expect(parseSharedFilter('$share/g/$SYS/#')).toEqual({ shareName: 'g', topicFilter: '$SYS/#' });
    expect(parseSharedFilter('a/b')).toBeUndefined();
  });
});
