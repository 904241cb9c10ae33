import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXPRESSION_LENGTH_MAX, parseExpression, pointsOf } from '../../../src/config/expression.js';
import type { Value } from '../../../src/core/value.js';
import { compile, Muddle } from '../../../src/mapping/evaluation.js';

function evaluate(text: string, points: Readonly<Record<string, Value>> = {}): unknown {
  const parsed = parseExpression(text);
  if (parsed.kind === 'mistake') throw new Error(`${parsed.at}: ${parsed.message}`);
  const names = pointsOf(parsed.expression).map(({ device, point }) => `${device}/${point}`);
  try {
    return compile(parsed.expression, names)(names.map((name) => points[name] as Value));
  } catch (fault) {
    if (fault instanceof Muddle) return fault;
    throw fault;
  }
}

function mistake(text: string): string {
  const parsed = parseExpression(text);
  return parsed.kind === 'mistake' ? `${parsed.at}: ${parsed.message}` : 'none';
}

describe('an expression', () => {
  test.each<[string, Value]>([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 4 - 3', 3],
    ['2 ^ 3 ^ 2', 512],
    ['-2 ^ 2', -4],
    ['7 % 4', 3],
    ['1.5e3 + .5', 1500.5],
    ['0.1 + 0.2', 0.3],
    ['0.1 + 0.2 == 0.3', true],
    ['1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3', true],
    ['1 == 2 || 1 != 2', true],
    ['!true', false],
    ['true ? 1 : 2', 1],
    ['false ? 1 : true ? 2 : 3', 2],
    ['1 + (2 > 1 ? 10 : 20)', 11],
    ['\'auto\' == "auto"', true],
    ['min(3, 1, 2) + max(1, 2)', 3],
    ['sum(1, 2, 3) / mean(2, 4)', 2],
    ['round(2.345, 0.01)', 2.35],
    ['round(-2.5)', -3],
    ['clamp(120, 0, 100)', 100],
    ['sqrt(16) + abs(-3) + floor(1.9) + ceil(1.1)', 10],
    ['ln(e) + log10(1000) + exp(0) + pow(2, 10)', 1029],
    ['sin(pi / 2) + cos(0) + atan2(0, 1)', 2],
    ['true + true', 2],
  ])('%s is %s', (text, value) => {
    expect(evaluate(text)).toBe(value);
  });

  test('takes points by DEVICE/POINT, and a division where there are blanks', () => {
    const points = { 'meter/voltage': 230, 'meter/current': 2.5, 'pump-3/on': true, '1st/2.5': 8 };
    expect(evaluate('meter/voltage * meter/current / 1000', points)).toBe(0.575);
    expect(evaluate('meter/voltage / meter/current', points)).toBe(92);
    expect(evaluate('meter/voltage - meter/current', points)).toBe(227.5);
    expect(evaluate('pump-3/on * 5', points)).toBe(5);
    expect(evaluate('[1st/2.5] / 4', points)).toBe(2);
  });

  test('names each point once, in the order of the text', () => {
    const parsed = parseExpression('b/x + a/y * b/x');
    expect(parsed.kind === 'expression' && pointsOf(parsed.expression)).toMatchObject([
      { device: 'b', point: 'x', at: 0 },
      { device: 'a', point: 'y', at: 6 },
    ]);
  });

  test('takes an integer beyond 2^53 as the nearest number, and keeps one that is only chosen exact', () => {
    expect(evaluate('a/x + 1', { 'a/x': 2n ** 60n })).toBe(2 ** 60);
    expect(evaluate('true ? a/x : 0', { 'a/x': 2n ** 60n + 1n })).toBe(2n ** 60n + 1n);
    expect(evaluate('a/x == a/y', { 'a/x': 2n ** 60n, 'a/y': 2n ** 60n + 1n })).toBe(false);
  });

  test('with a text where a number is needed has no value, and says why', () => {
    expect(evaluate('a/x * 2', { 'a/x': 'auto' })).toEqual(
      new Muddle('found "auto" where a number is needed'),
    );
    expect(evaluate('a/x && true', { 'a/x': 'on' })).toEqual(
      new Muddle('found "on" where true or false is needed'),
    );
    expect(evaluate('round(1, 0)')).toEqual(new Muddle('round to 0'));
  });

  test('divides by zero as numbers do: the point turns bad by that', () => {
    expect(evaluate('1 / 0')).toBe(Infinity);
    expect(evaluate('0 / 0')).toBeNaN();
  });
});

describe('a mistake in an expression has its place', () => {
  test.each([
    ['1 +', '3: found the end, needed: a number, a DEVICE/POINT, a function or ('],
    ['1 2', '2: found 2, needed: an operator such as + or *, or the end'],
    ['(1 + 2', '6: found the end, needed: )'],
    ['1 + $x', '4: found "$", which means nothing here'],
    [
      'voltage * 2',
      '0: found voltage, allowed: DEVICE/POINT, a function with its arguments, true, false, pi or e',
    ],
    ['2 * min()', '8: found ), needed: a number, a DEVICE/POINT, a function or ('],
    ['1 + sqrt(1, 2)', '4: found 2 arguments of sqrt, needed: 1'],
    ['round(1, 2, 3)', '0: found 3 arguments of round, needed: 1 to 2'],
    ['true ? 1', '8: found the end, needed: :'],
    ['[meter]', '0: found [[meter]], needed: [DEVICE/POINT]'],
    ["'open", '0: found "\'", which means nothing here'],
  ])('%s', (text, message) => {
    expect(mistake(text).replace('[[meter]]', '[[meter]]')).toBe(message.replace('[[meter]]', '[meter]'));
  });

  test('and functions are only those that are listed', () => {
    for (const name of ['eval', 'constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect(mistake(`${name}(1)`)).toMatch(/^0: found no function/);
      expect(mistake(name)).not.toBe('none');
    }
  });

  test('and what is too long or too deep is refused, not tried', () => {
    expect(mistake('1'.repeat(EXPRESSION_LENGTH_MAX + 1))).toMatch(/more than 4096 characters/);
    expect(mistake(`${'('.repeat(100)}1${')'.repeat(100)}`)).toMatch(/nested too deeply/);
    expect(mistake(`${'-'.repeat(4000)}1`)).toMatch(/nested too deeply/);
    expect(evaluate(`1${'+1'.repeat(2000)}`)).toBe(2001);
  });

  test('whatever the text: an expression or a mistake within it, never a crash', () => {
    const piece = fc.constantFrom(
      ...'0 1 . e a/b [x/y] + - * / ^ ( ) ? : , && || ! == < min round true "s" \' $'.split(' '),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join(' ');
        const parsed = parseExpression(text);
        if (parsed.kind === 'mistake') {
          expect(parsed.at).toBeLessThanOrEqual(text.length);
          expect(parsed.message).not.toBe('');
        } else {
          evaluate(text, { 'a/b': 1, 'x/y': 2 });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
