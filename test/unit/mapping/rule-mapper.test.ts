import { describe, expect, test } from 'vitest';
import { type Config, configSchema } from '../../../src/config/schema.js';
import type { Reading } from '../../../src/core/reading.js';
import type { SampleSet } from '../../../src/core/sample.js';
import type { Stamp } from '../../../src/core/stamp.js';
import type { Value } from '../../../src/core/value.js';
import { encodePayload } from '../../../src/mapping/payload.js';
import { Mapper } from '../../../src/mapping/rule-mapper.js';

const simulate = {};

function mapper(mappings: readonly unknown[], devices: object = tank): Mapper {
  const config: Config = configSchema.parse({
    gateway: { id: 'well-17', tags: { site: 'north' } },
    buses: { demo: { driver: 'simulator' } },
    devices,
    mappings,
  });
  return new Mapper({
    gatewayId: config.gateway.id,
    tags: config.gateway.tags,
    devices: config.devices,
    mappings: config.mappings,
  });
}

const tank = {
  tank: {
    bus: 'demo',
    poll: '1s',
    points: {
      level: { simulate, unit: '%' },
      pressure: { simulate, scale: 0.01, offset: -1, unit: 'bar', poll: '10s' },
      high: { simulate },
    },
  },
};

function stamp(atMs: number): Stamp {
  return { wallMs: 1_000_000 + atMs, monotonicMs: atMs, bootId: 'boot', trusted: true };
}

function reading(point: string, value: Value | null, atMs: number, reason?: string): Reading {
  return {
    device: 'tank',
    point,
    stamp: stamp(atMs),
    value,
    quality: value === null ? 'bad' : 'good',
    reason,
  };
}

function shown(sets: readonly SampleSet[]): string[] {
  return sets.map((set) => `${set.topic} ${Buffer.from(encodePayload(set)).toString()}`);
}

/** Calls `tick` whenever it is due until `untilMs`; answers with what was told, and when. */
function ticks(mapping: Mapper, untilMs: number): string[] {
  const told: string[] = [];
  let calls = 0;
  while (mapping.deadlineMs <= untilMs) {
    const atMs = mapping.deadlineMs;
    told.push(...shown(mapping.tick(stamp(atMs))).map((line) => `@${atMs} ${line}`));
    calls += 1;
    expect(calls).toBeLessThan(1000);
  }
  return told;
}

const all = { from: '*/*', topic: 'site/{tags.site}/{device}/{point}' };

describe('a reading', () => {
  test('is scaled, named and published with the rule’s qos and retain', () => {
    const sets = mapper([{ ...all, qos: 2, retain: true }]).readings(
      'tank',
      [reading('pressure', 1234, 0)],
      0,
    );
    expect(sets).toHaveLength(1);
    expect(sets[0]).toMatchObject({
      topic: 'site/north/tank/pressure',
      qos: 2,
      retain: true,
      grouped: false,
    });
    expect(shown(sets)).toEqual(['site/north/tank/pressure {"ts":1000000,"value":11.34,"unit":"bar"}']);
  });

  test('is published by every rule that matches, in their order, and by no other', () => {
    const mapping = mapper([
      all,
      { from: 'tank/lev*', topic: '{gateway}/level', payload: 'value' },
      { from: 'other/*', topic: 'never' },
    ]);
    expect(shown(mapping.readings('tank', [reading('level', 5, 0)], 0))).toEqual([
      'site/north/tank/level {"ts":1000000,"value":5,"unit":"%"}',
      'well-17/level 5',
    ]);
  });

  test('that no rule matches is still the latest for status', () => {
    const mapping = mapper([]);
    expect(mapping.readings('tank', [reading('high', true, 0)], 0)).toEqual([]);
    expect(mapping.latest('tank').get('high')).toMatchObject({ value: true, quality: 'good' });
    expect(mapping.latest('nobody').size).toBe(0);
  });

  test('of a device or point that is not configured is counted, not published', () => {
    const mapping = mapper([all]);
    expect(mapping.readings('nobody', [reading('level', 1, 0)], 0)).toEqual([]);
    expect(mapping.readings('tank', [reading('nothing', 1, 0), reading('high', true, 0)], 0)).toHaveLength(1);
    expect(mapping.unknown).toBe(2);
  });

  test.each([
    [Number.NaN, 'not a number'],
    [Infinity, 'infinite'],
    [1e308, 'infinite'],
  ])('that scales to no number is bad: %d', (value, reason) => {
    const mapping = mapper([all], { tank: { bus: 'demo', points: { x: { simulate, scale: 1000 } } } });
    expect(shown(mapping.readings('tank', [reading('x', value, 0)], 0))).toEqual([
      `site/north/tank/x {"ts":1000000,"value":null,"quality":"bad","reason":"${reason}"}`,
    ]);
  });

  test('keeps an integer beyond 2^53 exact and gives a small one as a number', () => {
    const mapping = mapper([all]);
    const sets = mapping.readings('tank', [reading('level', 2n ** 64n - 1n, 0), reading('high', 7n, 0)], 0);
    expect(shown(sets)[0]).toContain('"value":18446744073709551615');
    expect(sets[1]?.samples[0]?.value).toBe(7);
  });

  test('that is bad is published once, and good again at once', () => {
    const mapping = mapper([{ ...all, report: { on: 'change' } }]);
    const lines = [5, null, null, 5, 5].flatMap((value, second) =>
      shown(mapping.readings('tank', [reading('level', value, second, 'timeout')], second * 1000)),
    );
    expect(lines).toEqual([
      'site/north/tank/level {"ts":1000000,"value":5,"unit":"%"}',
      'site/north/tank/level {"ts":1000001,"value":null,"quality":"bad","reason":"timeout"}',
      'site/north/tank/level {"ts":1000003,"value":5,"unit":"%"}',
    ]);
  });

  test('is held to each rule’s own report', () => {
    const mapping = mapper([
      { ...all, report: { on: 'change', deadband: 1 } },
      { from: 'tank/level', topic: 'fine', report: { on: 'change', deadband: '1%' } },
    ]);
    const topics = [100, 100.9, 101.5, 101.5, 102.6].map((value, second) =>
      mapping.readings('tank', [reading('level', value, second)], second * 1000).map((set) => set.topic),
    );
    const level = 'site/north/tank/level';
    expect(topics).toEqual([[level, 'fine'], [], [level, 'fine'], [], [level, 'fine']]);
  });
});

test.each([
  ['*/*', true],
  ['tank/*', true],
  ['tan/*', false],
  ['tank-*/*', false],
  ['t*k/*', true],
  ['*ank/lev*', true],
  ['*/*el', true],
  ['*/level', true],
  ['*/levels', false],
  ['*/l*v*v*l', false],
  ['t.nk/level', false],
])('a rule from %s takes tank/level: %s', (from, takes) => {
  const sets = mapper([{ from, topic: 't' }]).readings('tank', [reading('level', 1, 0)], 0);
  expect(sets.length).toBe(takes ? 1 : 0);
});

describe('a good value three polls old', () => {
  test('is stale, told once with the time it was read at, and good again when read', () => {
    const mapping = mapper([all]);
    mapping.readings('tank', [reading('level', 5, 0)], 0);
    expect(ticks(mapping, 2999)).toEqual([]);
    expect(ticks(mapping, 60_000)).toEqual([
      '@3000 site/north/tank/level {"ts":1000000,"value":5,"unit":"%","quality":"stale"}',
    ]);
    expect(mapping.latest('tank').get('level')?.quality).toBe('stale');
    expect(mapping.deadlineMs).toBe(Infinity);
    expect(mapping.readings('tank', [reading('level', 5, 61_000)], 61_000)).toHaveLength(1);
    expect(mapping.latest('tank').get('level')?.quality).toBe('good');
  });

  test('goes by the poll of its own point', () => {
    const mapping = mapper([all]);
    mapping.readings('tank', [reading('level', 5, 0), reading('pressure', 100, 0)], 0);
    expect(ticks(mapping, 60_000).map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      '@3000 site/north/tank/level',
      '@30000 site/north/tank/pressure',
    ]);
  });

  test('is not stale while readings come, nor once it is bad', () => {
    const mapping = mapper([all]);
    for (let atMs = 0; atMs <= 20_000; atMs += 1000) {
      expect(ticks(mapping, atMs)).toEqual([]);
      mapping.readings('tank', [reading('level', 5, atMs)], atMs);
    }
    mapping.readings('tank', [reading('level', null, 21_000)], 21_000);
    expect(ticks(mapping, 60_000)).toEqual([]);
  });

  test('is not sent as a bare value, which could not say that it is stale', () => {
    const mapping = mapper([{ ...all, payload: 'value', report: { on: 'change', every: '2s' } }]);
    mapping.readings('tank', [reading('level', 5, 0)], 0);
    expect(ticks(mapping, 60_000)).toEqual(['@2500 site/north/tank/level 5']);
    expect(mapping.latest('tank').get('level')?.quality).toBe('stale');
    expect(shown(mapping.readings('tank', [reading('level', null, 61_000)], 61_000))).toEqual([
      'site/north/tank/level null',
    ]);
  });
});

describe('report.every', () => {
  test('tells an unchanged value by the poll that comes in time', () => {
    const mapping = mapper([{ ...all, report: { on: 'change', every: '5s' } }]);
    const toldAt: number[] = [];
    for (let atMs = 0; atMs <= 20_000; atMs += 1000) {
      expect(ticks(mapping, atMs)).toEqual([]);
      if (mapping.readings('tank', [reading('level', 5, atMs)], atMs).length > 0) toldAt.push(atMs);
    }
    expect(toldAt).toEqual([0, 5000, 10_000, 15_000, 20_000]);
  });

  test('repeats the last value with its own time where the poll is slower, until it is stale', () => {
    const mapping = mapper([{ ...all, report: { on: 'change', every: '4s' } }]);
    mapping.readings('tank', [reading('pressure', 100, 0)], 0);
    const told = ticks(mapping, 60_000);
    expect(told.map((line) => line.split(' ')[0])).toEqual([
      '@5000',
      '@10000',
      '@15000',
      '@20000',
      '@25000',
      '@30000',
    ]);
    expect(told.at(-1)).toContain('"ts":1000000,"value":0,"unit":"bar","quality":"stale"');
  });

  test('counts for a group too', () => {
    const mapping = mapper([
      { from: 'tank/*', topic: 't', group: 'device', report: { on: 'change', every: '1s' } },
    ]);
    mapping.readings('tank', [reading('pressure', 100, 0)], 0);
    expect(ticks(mapping, 2000)).toEqual(['@2000 t {"ts":1000000,"values":{"pressure":0}}']);
  });
});

describe('group: device', () => {
  const grouped = { from: 'tank/*', topic: 'site/{tags.site}/tank', group: 'device' };

  test('is one message per poll with the points of that poll alone', () => {
    const mapping = mapper([grouped]);
    expect(
      shown(
        mapping.readings(
          'tank',
          ['level', 'pressure', 'high'].map((point) => reading(point, 1, 0)),
          0,
        ),
      ),
    ).toEqual(['site/north/tank {"ts":1000000,"values":{"level":1,"pressure":-0.99,"high":1}}']);
    expect(
      shown(mapping.readings('tank', [reading('level', 2, 1000), reading('high', 2, 1000)], 1000)),
    ).toEqual(['site/north/tank {"ts":1001000,"values":{"level":2,"high":2}}']);
  });

  test('leaves whole where one point of it has changed, and not at all where none has', () => {
    const mapping = mapper([{ ...grouped, report: { on: 'change' } }]);
    const poll = (level: number, high: boolean, atMs: number): string[] =>
      shown(mapping.readings('tank', [reading('level', level, atMs), reading('high', high, atMs)], atMs));
    expect(poll(1, false, 0)).toHaveLength(1);
    expect(poll(1, false, 1000)).toEqual([]);
    expect(poll(1, true, 2000)).toEqual(['site/north/tank {"ts":1002000,"values":{"level":1,"high":true}}']);
  });

  test('says which point is bad while others are good, and is silent once all have been told bad', () => {
    const mapping = mapper([grouped]);
    const poll = (level: number | null, high: boolean | null, atMs: number): string[] =>
      shown(
        mapping.readings(
          'tank',
          [reading('level', level, atMs, 'timeout'), reading('high', high, atMs, 'timeout')],
          atMs,
        ),
      );
    const levelBad = '"quality":{"level":"bad"},"reason":{"level":"timeout"}';
    expect(poll(null, true, 0)).toEqual([
      `site/north/tank {"ts":1000000,"values":{"level":null,"high":true},${levelBad}}`,
    ]);
    expect(poll(null, true, 1000)).toEqual([
      `site/north/tank {"ts":1001000,"values":{"level":null,"high":true},${levelBad}}`,
    ]);
    expect(poll(null, null, 2000)).toHaveLength(1);
    expect(poll(null, null, 3000)).toEqual([]);
  });

  test('that goes stale is one message for each poll its values are from, the oldest first', () => {
    const mapping = mapper([grouped]);
    mapping.readings('tank', [reading('pressure', 100, 0)], 0);
    mapping.readings('tank', [reading('high', true, 100), reading('level', 1, 100)], 100);
    expect(shown(mapping.tick(stamp(40_000)))).toEqual([
      'site/north/tank {"ts":1000000,"values":{"pressure":0},"quality":{"pressure":"stale"}}',
      'site/north/tank {"ts":1000100,"values":{"level":1,"high":true},"quality":{"level":"stale","high":"stale"}}',
    ]);
  });

  test('makes a message of each where a point was read twice in one call', () => {
    const mapping = mapper([grouped]);
    const lines = shown(mapping.readings('tank', [reading('level', 1, 0), reading('level', 2, 5)], 5));
    expect(lines).toEqual([
      'site/north/tank {"ts":1000000,"values":{"level":1}}',
      'site/north/tank {"ts":1000005,"values":{"level":2}}',
    ]);
  });

  test('has one message per topic where its template tells points apart', () => {
    const mapping = mapper([{ ...grouped, topic: '{device}/{unit}' }]);
    const lines = shown(
      mapping.readings(
        'tank',
        ['level', 'high'].map((point) => reading(point, 1, 0)),
        0,
      ),
    );
    expect(lines).toEqual([
      'tank/% {"ts":1000000,"values":{"level":1}}',
      'tank/_ {"ts":1000000,"values":{"high":1}}',
    ]);
  });
});

test('nothing is due before the first reading', () => {
  const mapping = mapper([{ ...all, report: { on: 'change', every: '1s' } }]);
  expect(mapping.deadlineMs).toBe(Infinity);
  expect(mapping.tick(stamp(1e9))).toEqual([]);
});
