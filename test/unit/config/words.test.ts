import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAnyAddress, isLoopback, parseEndpoint } from '../../../src/config/endpoint.js';
import { nearest } from '../../../src/config/nearest.js';
import { matcherOf, parsePattern } from '../../../src/config/pattern.js';
import { durationText, parseDuration, parseSize } from '../../../src/config/quantity.js';
import { substitute } from '../../../src/config/substitute.js';

describe('amounts', () => {
  test('are read with their unit, and not without', () => {
    expect(['250ms', '5s', '10m', '2h', '30d', '1.5s'].map(parseDuration)).toEqual([
      250, 5000, 600_000, 7_200_000, 2_592_000_000, 1500,
    ]);
    expect(['512B', '64KiB', '2GiB', '1.5KB'].map(parseSize)).toEqual([512, 65_536, 2 ** 31, 1500]);
    for (const text of ['', '5', '5 s', '-5s', '5S', '1e3s', 's', '5sec', '.5s']) {
      expect(parseDuration(text)).toBeUndefined();
      expect(parseSize(text)).toBeUndefined();
    }
  });

  test('a duration is told in the largest unit that keeps it whole', () => {
    expect([0, 1, 1500, 60_000, 90_000, 3_600_000, 86_400_000].map(durationText)).toEqual([
      '0ms',
      '1ms',
      '1500ms',
      '1m',
      '90s',
      '1h',
      '1d',
    ]);
    fc.assert(fc.property(fc.nat(), (ms) => parseDuration(durationText(ms)) === ms));
  });
});

describe('the nearest name', () => {
  test.each([
    ['baud', 'baud_rate', undefined],
    ['baud_rat', 'baud_rate', 'baud_rate'],
    ['baudRate', 'baud_rate', 'baud_rate'],
    ['Baud-Rate', 'baud_rate', 'baud_rate'],
    ['prot', 'port', 'port'],
    ['x', 'p', undefined],
    ['completely', 'different', undefined],
  ])('of %s among %s is %s', (wrong, known, meant) => {
    expect(nearest(wrong, [known])).toBe(meant);
  });
});

describe('patterns', () => {
  test.each([
    ['a/b', { device: 'a', point: 'b' }],
    ['*/*', { device: '*', point: '*' }],
    ['a', undefined],
    ['a/', undefined],
    ['a/b/c', undefined],
  ])('%s', (text, pattern) => {
    expect(parsePattern(text)).toEqual(pattern);
  });

  test('match what the same regular expression matches', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        glob,
        name,
        (one, other) => matcherOf(one)(other) === new RegExp(`^${one.replaceAll('*', '.*')}$`).test(other),
      ),
      { numRuns: 2000 },
    );
  });

  test('of many stars stay cheap', () => {
    expect(matcherOf(`${'*a'.repeat(30)}*b`)('a'.repeat(64))).toBe(false);
  });
});

describe('endpoints', () => {
  test.each([
    ['mqtt://h', { scheme: 'mqtt', host: 'h', port: 1883 }],
    ['mqtts://h/', { scheme: 'mqtts', host: 'h', port: 8883 }],
    ['MQTT://[::1]:0', { scheme: 'mqtt', host: '::1', port: 0 }],
    ['mqtt://10.0.0.1:65535', { scheme: 'mqtt', host: '10.0.0.1', port: 65_535 }],
  ])('%s', (text, endpoint) => {
    expect(parseEndpoint(text, ['mqtt', 'mqtts'])).toEqual(endpoint);
  });

  test.each([
    '',
    'h',
    'h:1883',
    'mqtt:h',
    'mqtt://',
    'mqtt://:1883',
    'mqtt://h:x',
    'mqtt://h:70000',
    'mqtt://h?x',
    'mqtt://h#x',
    'mqtt://a b',
    'mqtt://[::1',
    'mqtt://[:::1]',
    'mqtt://1.2.3.400',
    'ws://h',
  ])('%j is none', (text) => {
    expect(parseEndpoint(text, ['mqtt', 'mqtts'])).toHaveProperty('problem');
  });

  test('loopback and every address are known', () => {
    expect(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '10.0.0.1', '::', 'example.com', '127.0.0.1.example.com'].some(isLoopback)).toBe(
      false,
    );
    expect(['0.0.0.0', '::', '0:0:0:0:0:0:0:0'].every(isAnyAddress)).toBe(true);
    expect(['127.0.0.1', '::1'].some(isAnyAddress)).toBe(false);
  });
});

describe('substitution', () => {
  test('puts every value in its place and knows whether there was one', () => {
    expect(substitute(`a\${X}b\${Y}`, { X: '1', Y: '' })).toEqual({
      text: 'a1b',
      fromEnvironment: true,
      problems: [],
    });
    expect(substitute(`$\${X} $X $`, {})).toEqual({
      text: `\${X} $X $`,
      fromEnvironment: false,
      problems: [],
    });
  });

  test('leaves text without a dollar sign as it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const plain = text.replaceAll('$', '');
        return substitute(plain, {}).text === plain;
      }),
    );
  });

  test('never reads what came from the environment again', () => {
    fc.assert(fc.property(fc.string(), (value) => substitute(`\${X}`, { X: value }).text === value));
  });
});
