import { describe, expect, test } from 'vitest';
import { type Config, configSchema } from '../../../src/config/schema.js';
import type { Reading } from '../../../src/core/reading.js';
import type { SampleSet } from '../../../src/core/sample.js';
import type { Stamp } from '../../../src/core/stamp.js';
import type { Value } from '../../../src/core/value.js';
import { encodePayload } from '../../../src/mapping/payload.js';
import { Mapper } from '../../../src/mapping/rule-mapper.js';

const simulate = {};

function mapper(
  derived: object,
  mappings: readonly object[] = [{ from: 'derived/*', topic: '{point}' }],
): Mapper {
  const config: Config = configSchema.parse({
    gateway: { id: 'g' },
    buses: { demo: { driver: 'simulator' } },
    devices: {
      meter: { bus: 'demo', points: { voltage: { simulate }, current: { simulate }, mode: { simulate } } },
      pump: { bus: 'demo', poll: '10s', points: { on: { simulate } } },
    },
    derived,
    mappings,
  });
  return new Mapper({ gatewayId: 'g', tags: {}, ...config });
}

function stamp(atMs: number): Stamp {
  return { wallMs: 1_000_000 + atMs, monotonicMs: atMs, bootId: 'boot', trusted: true };
}

function reading(device: string, point: string, value: Value | null, atMs: number): Reading {
  if (value === null) return { device, point, stamp: stamp(atMs), value, quality: 'bad', reason: 'timeout' };
  return { device, point, stamp: stamp(atMs), value, quality: 'good' };
}

/** Reads points of one device at one instant. */
function read(mapping: Mapper, device: string, values: Record<string, Value | null>, atMs: number): string[] {
  const readings = Object.entries(values).map(([point, value]) => reading(device, point, value, atMs));
  return shown(mapping.readings(device, readings, atMs));
}

function shown(sets: readonly SampleSet[]): string[] {
  return sets.map((set) => `${set.topic} ${Buffer.from(encodePayload(set)).toString()}`);
}

describe('a computed point', () => {
  test('is told once per poll, with the time of the newest input, once all inputs are known', () => {
    const mapping = mapper({ kw: { expr: 'meter/voltage * meter/current / 1000', unit: 'kW' } });
    expect(read(mapping, 'meter', { voltage: 230 }, 0)).toEqual([]);
    expect(read(mapping, 'meter', { voltage: 231, current: 2.5 }, 1000)).toEqual([
      'kw {"ts":1001000,"value":0.5775,"unit":"kW"}',
    ]);
    expect(read(mapping, 'meter', { current: 3 }, 2000)).toEqual([
      'kw {"ts":1002000,"value":0.693,"unit":"kW"}',
    ]);
    expect(mapping.latest('derived').get('kw')).toMatchObject({ unit: 'kW', quality: 'good' });
  });

  test('is of points of several devices, and of other computed points, the lower ones first', () => {
    const mapping = mapper({
      c: 'derived/b + 1',
      b: 'derived/a * pump/on',
      a: 'meter/voltage / 10',
    });
    read(mapping, 'pump', { on: true }, 0);
    expect(read(mapping, 'meter', { voltage: 230 }, 1000)).toEqual([
      'a {"ts":1001000,"value":23}',
      'b {"ts":1001000,"value":23}',
      'c {"ts":1001000,"value":24}',
    ]);
    expect(read(mapping, 'pump', { on: false }, 2000)).toEqual([
      'b {"ts":1002000,"value":0}',
      'c {"ts":1002000,"value":1}',
    ]);
  });

  test('is bad while an input is, with its reason, and good again with it', () => {
    const mapping = mapper({ a: 'meter/voltage + meter/current', b: 'derived/a * 2' });
    read(mapping, 'meter', { voltage: 1, current: 2 }, 0);
    expect(read(mapping, 'meter', { voltage: null, current: 2 }, 1000)).toEqual([
      'a {"ts":1001000,"value":null,"quality":"bad","reason":"meter/voltage: timeout"}',
      'b {"ts":1001000,"value":null,"quality":"bad","reason":"meter/voltage: timeout"}',
    ]);
    expect(read(mapping, 'meter', { current: 3 }, 2000)).toEqual([]);
    expect(read(mapping, 'meter', { voltage: 1 }, 3000)).toEqual([
      'a {"ts":1003000,"value":4}',
      'b {"ts":1003000,"value":8}',
    ]);
  });

  test('is bad where nothing can be reckoned: a text for a number, a division by zero', () => {
    const mapping = mapper({ a: 'meter/mode * 2', b: '1 / meter/voltage' });
    expect(read(mapping, 'meter', { mode: 'auto', voltage: 0 }, 0)).toEqual([
      'a {"ts":1000000,"value":null,"quality":"bad","reason":"found \\"auto\\" where a number is needed"}',
      'b {"ts":1000000,"value":null,"quality":"bad","reason":"infinite"}',
    ]);
  });

  test('is stale when one of its inputs is, and by nothing else', () => {
    const mapping = mapper({ a: 'meter/voltage + pump/on' });
    read(mapping, 'meter', { voltage: 1 }, 0);
    read(mapping, 'pump', { on: true }, 0);
    expect(mapping.deadlineMs).toBe(3000);
    expect(shown(mapping.tick(stamp(3000)))).toEqual(['a {"ts":1000000,"value":2,"quality":"stale"}']);
    expect(read(mapping, 'meter', { voltage: 2 }, 4000)).toEqual(['a {"ts":1004000,"value":3}']);
  });

  test('is held to report, group and its own transforms like any other', () => {
    const mapping = mapper({ a: { expr: 'meter/voltage / 3', resolution: 0.1 }, b: 'meter/voltage * 2' }, [
      { from: 'derived/a', topic: 'a', report: { on: 'change', deadband: 1 } },
      { from: 'derived/*', topic: 'all', group: 'device' },
    ]);
    expect(read(mapping, 'meter', { voltage: 10 }, 0)).toEqual([
      'a {"ts":1000000,"value":3.3}',
      'all {"ts":1000000,"values":{"a":3.3,"b":20}}',
    ]);
    expect(read(mapping, 'meter', { voltage: 11 }, 1000)).toEqual([
      'all {"ts":1001000,"values":{"a":3.7,"b":22}}',
    ]);
  });

  test('of a rate says nothing before there is one', () => {
    const mapping = mapper({ a: { expr: 'meter/voltage', rate: { per: 's' } }, b: 'derived/a * 2' });
    expect(read(mapping, 'meter', { voltage: 10 }, 0)).toEqual([]);
    expect(read(mapping, 'meter', { voltage: 13 }, 1000)).toEqual([
      'a {"ts":1001000,"value":3}',
      'b {"ts":1001000,"value":6}',
    ]);
  });
});
