import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SubscriptionTree } from '../../../src/broker/subscription-tree.js';
import { matches, validTopicFilter, validTopicName } from '../../../src/mqtt/topic.js';

function found(tree: SubscriptionTree<string, string>, topicName: string): string[] {
  const entries: string[] = [];
  tree.match(topicName, entries);
  return entries.sort();
}

function treeOf(...filters: string[]): SubscriptionTree<string, string> {
  const tree = new SubscriptionTree<string, string>();
  for (const filter of filters) tree.add(filter, 'one', filter);
  return tree;
}

test('exact, + and # filters are found by their topic, and # includes its parent', () => {
  const tree = treeOf('sport/tennis', 'sport/+', 'sport/#', '#', '+/tennis', 'sport', '+');
  expect(found(tree, 'sport/tennis')).toEqual(['#', '+/tennis', 'sport/#', 'sport/+', 'sport/tennis']);
  expect(found(tree, 'sport')).toEqual(['#', '+', 'sport', 'sport/#']);
});

test('empty levels are levels', () => {
  const tree = treeOf('+', '/+', '+/+', '/finance');
  expect(found(tree, '/finance')).toEqual(['+/+', '/+', '/finance']);
});

test('a filter that begins with a wildcard does not see topics that begin with $ [MQTT311-4.7.2-1] [MQTT5-4.7.2-1]', () => {
  const tree = treeOf('#', '+/monitor/Clients', '$SYS/#', '$SYS/monitor/+');
  expect(found(tree, '$SYS/monitor/Clients')).toEqual(['$SYS/#', '$SYS/monitor/+']);
  expect(found(tree, '$SYS')).toEqual(['$SYS/#']);
});

test('the same filter by the same key replaces, by another key joins [MQTT5-3.8.4-3]', () => {
  const tree = new SubscriptionTree<string, string>();
  expect(tree.add('a/+', 'one', 'first')).toBeUndefined();
  expect(tree.add('a/+', 'one', 'second')).toBe('first');
  tree.add('a/+', 'two', 'other');
  expect(found(tree, 'a/b')).toEqual(['other', 'second']);
  expect(tree.size).toBe(2);
  expect(tree.get('a/+', 'one')).toBe('second');
});

test('matching agrees with the definition of topic matching, before and after removals', () => {
  const level = fc.constantFrom('a', 'b', '', '$x', 'ä');
  const name = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
  const filter = fc
    .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 })
    .chain((levels) => fc.boolean().map((below) => (below ? [...levels, '#'] : levels).join('/')));
  fc.assert(
    fc.property(fc.array(filter, { maxLength: 30 }), fc.array(name, { maxLength: 10 }), (filters, names) => {
      const valid = [...new Set(filters.filter((each) => validTopicFilter(each)))];
      const tree = treeOf(...valid);
      const kept = valid.filter((_, at) => at % 2 === 0);
      const check = (expected: string[]): void => {
        for (const topicName of names.filter(validTopicName)) {
          expect(found(tree, topicName)).toEqual(expected.filter((each) => matches(each, topicName)).sort());
        }
      };
      check(valid);
      for (const each of valid) if (!kept.includes(each)) expect(tree.remove(each, 'one')).toBe(each);
      check(kept);
      for (const each of kept) tree.remove(each, 'one');
      expect(tree.size).toBe(0);
      check([]);
    }),
  );
});

test('removing what is not there changes nothing', () => {
  const tree = treeOf('a/b');
  expect(tree.remove('a', 'one')).toBeUndefined();
  expect(tree.remove('a/b', 'two')).toBeUndefined();
  expect(tree.remove('a/b/#', 'one')).toBeUndefined();
  expect(tree.size).toBe(1);
});
