import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Publication } from '../../../src/broker/publication.js';
import { Retained } from '../../../src/broker/retained.js';
import { matches, validTopicFilter, validTopicName } from '../../../src/mqtt/topic.js';

function publication(topic: string, payload = 'x', messageExpiryInterval?: number, nowMs = 0): Publication {
  const properties = messageExpiryInterval === undefined ? undefined : { messageExpiryInterval };
  return new Publication(topic, Buffer.from(payload), 1, true, properties, nowMs);
}

function topics(retained: Retained, filter: string, nowMs = 0): string[] {
  const found: Publication[] = [];
  retained.match(filter, nowMs, found);
  return found.map(({ topic }) => topic).sort();
}

const roomy = { messages: 1000, bytes: 1_000_000 };

test('the newest message of a topic replaces the older one [MQTT311-3.3.1-5] [MQTT5-3.3.1-5]', () => {
  const retained = new Retained(roomy);
  const first = publication('a', '1');
  retained.set(first, 0);
  retained.set(publication('a', '2'), 0);
  expect(Buffer.from(retained.get('a', 0)!.payload).toString()).toBe('2');
  expect(first.superseded).toBe(true);
  expect(retained.size).toBe(1);
});

test('an empty payload removes and is not kept [MQTT5-3.3.1-6] [MQTT5-3.3.1-7]', () => {
  const retained = new Retained(roomy);
  retained.set(publication('a/b'), 0);
  retained.set(publication('a/b', ''), 0);
  retained.set(publication('c', ''), 0);
  expect(retained.size).toBe(0);
  expect(retained.bytes).toBe(0);
  expect(topics(retained, '#')).toEqual([]);
});

test('a message is gone when its expiry has passed, and whoever keeps it on disk is told [MQTT5-3.3.2-5]', () => {
  const forgotten: string[] = [];
  const retained = new Retained(roomy, (topic) => forgotten.push(topic));
  retained.set(publication('a', 'x', 10), 0);
  retained.set(publication('b', 'x', 10), 0);
  retained.set(publication('b', 'x'), 5000);
  expect(topics(retained, '#', 9999)).toEqual(['a', 'b']);
  expect(topics(retained, '#', 10_000)).toEqual(['b']);
  expect(forgotten).toEqual(['a']);
});

test('count and bytes are limited; replacing within the limit still fits', () => {
  const retained = new Retained({ messages: 2, bytes: 2000 });
  retained.set(publication('a'), 0);
  retained.set(publication('b'), 0);
  expect(retained.fits(publication('c'), 0)).toBe(false);
  expect(retained.fits(publication('b', 'new'), 0)).toBe(true);
  expect(retained.fits(publication('b', 'x'.repeat(2000)), 0)).toBe(false);
  expect(retained.fits(publication('c', ''), 0)).toBe(true);
});

test('a kept payload does not hold on to the chunk it came in', () => {
  const chunk = Buffer.alloc(65_536, 'x');
  const kept = new Publication('a', chunk.subarray(10, 20), 1, true, undefined, 0);
  new Retained(roomy).set(kept, 0);
  expect(kept.payload.buffer.byteLength).toBeLessThan(2048);
  expect(Buffer.from(kept.payload).toString()).toBe('x'.repeat(10));
});

test('a filter finds exactly the topics that it matches', () => {
  const level = fc.constantFrom('a', 'b', '', '$x');
  const name = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
  const filter = fc
    .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 })
    .chain((levels) => fc.boolean().map((below) => (below ? [...levels, '#'] : levels).join('/')));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 20 }), filter, fc.nat(20), (names, topicFilter, removed) => {
      fc.pre(validTopicFilter(topicFilter));
      const retained = new Retained(roomy);
      const valid = [...new Set(names.filter(validTopicName))];
      for (const topic of valid) retained.set(publication(topic), 0);
      for (const topic of valid.slice(0, removed)) retained.set(publication(topic, ''), 0);
      const expected = valid.slice(removed).filter((topic) => matches(topicFilter, topic));
      expect(topics(retained, topicFilter)).toEqual(expected.sort());
    }),
  );
});
