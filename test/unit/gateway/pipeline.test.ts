import { expect, test } from 'vitest';
import type { Reading } from '../../../src/core/reading.js';
import type { Content } from '../../../src/core/record.js';
import type { Sample, SampleSet } from '../../../src/core/sample.js';
import type { Stamp } from '../../../src/core/stamp.js';
import { Pipeline } from '../../../src/gateway/pipeline.js';
import type { Mapping } from '../../../src/mapping/mapper.js';
import { FakeClock } from '../../support/fake-clock.js';

const set = (topic: string): SampleSet => ({
  topic,
  qos: 1,
  retain: false,
  format: { kind: 'json' },
  grouped: false,
  samples: [],
});

/** Publishes one set per reading, and one more when its deadline comes. */
class OneToOne implements Mapping {
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly ticks: number[] = [];

  readings(device: string, readings: readonly Reading[], monotonicMs: number): SampleSet[] {
    this.deadlineMs = monotonicMs + 3000;
    return readings.map(({ point }) => set(`${device}/${point}`));
  }

  begin(): SampleSet[] {
    return [];
  }

  acknowledge(alarmId: string): SampleSet[] | undefined {
    return alarmId === 'tank/level/high' ? [set('alarm')] : undefined;
  }

  alarms(): [] {
    return [];
  }

  tick(now: Stamp): SampleSet[] {
    this.ticks.push(now.monotonicMs);
    this.deadlineMs = Number.POSITIVE_INFINITY;
    return [set('stale')];
  }

  latest(): ReadonlyMap<string, Sample> {
    return new Map();
  }
}

function build(ok = true): {
  pipeline: Pipeline;
  clock: FakeClock;
  mapping: OneToOne;
  published: Content[];
  refused: string[];
} {
  const clock = new FakeClock();
  const mapping = new OneToOne();
  const published: Content[] = [];
  const refused: string[] = [];
  const pipeline = new Pipeline({
    gatewayId: 'well-17',
    mapping,
    clock,
    stamp: () => stampOf(clock),
    publish: (content, accepted) => {
      published.push(content);
      accepted(ok);
    },
    refused: (topic) => refused.push(topic),
  });
  return { pipeline, clock, mapping, published, refused };
}

const reading = (clock: FakeClock): Reading => ({
  device: 'tank',
  point: 'level',
  stamp: stampOf(clock),
  value: 1,
  quality: 'good',
});

function stampOf(clock: FakeClock): Stamp {
  return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), bootId: 'boot', trusted: true };
}

function topics(published: readonly Content[]): string[] {
  return published.map((content) => (content.kind === 'samples' ? content.set.topic : content.message.topic));
}

test('readings leave through the publish door, and the mapper is called again when it asked for it', async () => {
  const { pipeline, clock, mapping, published } = build();
  await pipeline.start();
  pipeline.readings('tank', [reading(clock)]);
  expect(topics(published)).toEqual(['tank/level']);
  clock.advance(2999);
  expect(mapping.ticks).toHaveLength(0);
  clock.advance(1);
  expect(mapping.ticks).toHaveLength(1);
  expect(topics(published)).toEqual(['tank/level', 'stale']);
});

test('a device state is a retained QoS 1 message on its own topic, removed when the device leaves', async () => {
  const { pipeline, published } = build();
  await pipeline.start();
  pipeline.device('tank', { state: 'offline', reason: 'timeout', since: 5 });
  pipeline.forget('tank');
  expect(published.map((content) => content.kind === 'message' && content.message)).toMatchObject([
    { topic: 'godwit/well-17/devices/tank/status', qos: 1, retain: true },
    { topic: 'godwit/well-17/devices/tank/status', qos: 1, retain: true, payload: new Uint8Array(0) },
  ]);
  expect(pipeline.state('tank')).toBeUndefined();
});

test('what the journal cannot take is reported by topic, never dropped in silence', async () => {
  const { pipeline, clock, refused } = build(false);
  await pipeline.start();
  pipeline.readings('tank', [reading(clock)]);
  expect(refused).toEqual(['tank/level']);
});

test('an alarm is acknowledged by its name, and nothing else is', async () => {
  const { pipeline, published } = build();
  await pipeline.start();
  expect(pipeline.acknowledge('tank/level/low')).toBe(false);
  expect(pipeline.acknowledge('tank/level/high')).toBe(true);
  expect(topics(published)).toEqual(['alarm']);
});

test('after stop nothing is published and no timer is left', async () => {
  const { pipeline, clock, mapping, published } = build();
  await pipeline.start();
  pipeline.readings('tank', [reading(clock)]);
  await pipeline.stop();
  await pipeline.stop();
  pipeline.readings('tank', [reading(clock)]);
  clock.advance(10_000);
  expect(published).toHaveLength(1);
  expect(mapping.ticks).toHaveLength(0);
});
