import { expect, test } from 'vitest';
import type { Audience } from '../../../src/broker/audience.js';
import { ResolvedTopics } from '../../../src/broker/resolved-topics.js';
import { NOBODY, Topic } from '../../../src/broker/topic.js';

function resolved(topics: ResolvedTopics, name: string, receivers: number): Topic {
  const topic = new Topic(name);
  topic.generation = 1;
  if (receivers > 0) {
    const locals = Array.from({ length: receivers }, () => () => {});
    topic.audience = { targets: [], groups: [], locals } satisfies Audience;
  }
  topics.note(topic);
  return topic;
}

function known(topics: readonly Topic[]): number {
  return topics.filter(({ generation }) => generation === 1).length;
}

test('too many topics with receivers are forgotten, but for the one that a message is on its way to', () => {
  const topics = new ResolvedTopics();
  const all = Array.from({ length: 40_000 }, (_, number) => resolved(topics, `t/${number}`, 1));
  expect(known(all)).toBe(40_000 - 32_768);
  expect(all[32_768]?.audience.locals).toHaveLength(1);
  expect(all[0]?.audience).toBe(NOBODY);
});

test('those that nobody receives hold nothing and are left alone', () => {
  const topics = new ResolvedTopics();
  const all = Array.from({ length: 40_000 }, (_, number) => resolved(topics, `t/${number}`, 0));
  expect(known(all)).toBe(40_000);
});

test('many receivers count as such, and one that is resolved again counts once', () => {
  const topics = new ResolvedTopics();
  const wide = resolved(topics, 'wide', 10_000);
  for (let again = 0; again < 1000; again += 1) topics.note(wide);
  expect(wide.generation).toBe(1);
  const more = Array.from({ length: 400 }, (_, number) => resolved(topics, `t/${number}`, 10_000));
  expect(wide.generation).toBe(-1);
  expect(known(more)).toBe(1);
});

test('sessions that ended are not held for ever', () => {
  const topics = new ResolvedTopics();
  const topic = resolved(topics, 't', 3);
  for (let ended = 0; ended <= 5000; ended += 1) topics.sessionEnded(5001);
  expect(topic.generation).toBe(1);
  topics.sessionEnded(5000);
  expect(topic.generation).toBe(-1);
});
