import { beforeEach, describe, expect, test } from 'vitest';
import { ADDRESSES_MAX, AddressGuard, addressKey, type Span } from '../../../src/broker/address-guard.js';

let spans: Span[];
let guard: AddressGuard;
beforeEach(() => {
  spans = [];
  guard = new AddressGuard({ connectsPerSecond: 5, failuresPerMinute: 3 }, (span) => spans.push(span));
});

const arrive = (times: number, nowMs: number, address = '10.0.0.1'): string[] =>
  [...Array(times)].map(() => guard.arrived(address, nowMs));
const fail = (times: number, nowMs: number, address = '10.0.0.1'): void => {
  for (let time = 0; time < times; time += 1) guard.failed(address, nowMs);
};

describe('how often an address connects', () => {
  test('ten seconds of its rate may come at once, more are refused, and time heals it', () => {
    expect(new Set(arrive(50, 0))).toEqual(new Set(['welcome']));
    expect(arrive(3, 0)).toEqual(['too often', 'too often', 'too often']);
    expect(arrive(6, 1000)).toEqual([...Array(5).fill('welcome'), 'too often']);
  });

  test('is told once when it begins and once when it ends, with its length and count', () => {
    arrive(53, 0);
    expect(spans).toEqual([{ address: '10.0.0.1', why: 'too often' }]);
    arrive(1, 2000);
    expect(spans[1]).toEqual({ address: '10.0.0.1', why: 'too often', ended: { ms: 2000, refused: 3 } });
    expect(spans).toHaveLength(2);
  });

  test('another address is not concerned', () => {
    arrive(60, 0);
    expect(guard.arrived('10.0.0.2', 0)).toBe('welcome');
  });
});

describe('failed logins', () => {
  test('more than a minute may have block the address for ten seconds, then twice as long, up to an hour', () => {
    let nowMs = 0;
    const blocks: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      fail(4, nowMs);
      const beganMs = nowMs;
      expect(guard.arrived('10.0.0.1', nowMs)).toBe('blocked');
      while (guard.arrived('10.0.0.1', nowMs) === 'blocked') nowMs += 10_000;
      blocks.push((nowMs - beganMs) / 1000);
    }
    expect(blocks).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
  });

  test('as many as a minute may have, minute after minute, do not', () => {
    for (let second = 0; second < 600; second += 20) {
      fail(1, second * 1000);
      expect(guard.arrived('10.0.0.1', second * 1000)).toBe('welcome');
    }
    expect(spans).toEqual([]);
  });

  test('after an hour of peace the next block is a short one', () => {
    fail(4, 0);
    fail(4, 20_000);
    const laterMs = 40_000 + 3_600_000;
    fail(4, laterMs);
    expect(guard.arrived('10.0.0.1', laterMs + 9_999)).toBe('blocked');
    expect(guard.arrived('10.0.0.1', laterMs + 10_000)).toBe('welcome');
  });

  test('those under way when the block begins do not lengthen it', () => {
    fail(20, 0);
    expect(guard.arrived('10.0.0.1', 10_000)).toBe('welcome');
    expect(spans.map(({ ended }) => ended === undefined)).toEqual([true, false]);
  });
});

describe('what counts as one address', () => {
  test.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::2', '0:0:0:0::/64'],
    ['127.0.0.1', undefined],
    ['127.8.0.1', undefined],
    ['::ffff:127.0.0.1', undefined],
    ['::1', undefined],
    ['', undefined],
  ])('%s is %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test('this machine itself is never refused', () => {
    fail(100, 0, '127.0.0.1');
    expect(new Set(arrive(1000, 0, '::1'))).toEqual(new Set(['welcome']));
    expect(guard.size).toBe(0);
  });
});

test('a million addresses cost no more than the table holds, and a span that is forgotten is ended', () => {
  fail(4, 0, '10.9.9.9');
  for (let address = 0; address < 2 * ADDRESSES_MAX; address += 1) {
    guard.arrived(`10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`, 1000);
  }
  expect(guard.size).toBe(ADDRESSES_MAX);
  expect(spans).toEqual([
    { address: '10.9.9.9', why: 'blocked' },
    { address: '10.9.9.9', why: 'blocked', ended: { ms: 1000, refused: 0 } },
  ]);
});
