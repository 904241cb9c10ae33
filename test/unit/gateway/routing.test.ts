import { expect, test } from 'vitest';
import type { Route } from '../../../src/core/route.js';
import { RoutingTable } from '../../../src/gateway/routing.js';

function routeTo(bridge: string): Route {
  return { bridge, lane: 'normal', qos: 1, retain: 'keep', strip: '', prefix: '', properties: 'all' };
}

function table(record: 'readings' | 'none' | string[]): { table: RoutingTable; asked: string[] } {
  const numbers = new Map<string, number>();
  const asked: string[] = [];
  const routing = new RoutingTable(record, (route) => {
    if (!numbers.has(route.bridge)) numbers.set(route.bridge, numbers.size + 1);
    return numbers.get(route.bridge) as number;
  });
  routing.use([
    {
      bridge: 'cloud',
      routeFor: (topic) => {
        asked.push(topic);
        return topic.startsWith('site/') ? routeTo('cloud') : undefined;
      },
    },
    { bridge: 'spare', routeFor: () => routeTo('spare') },
  ]);
  return { table: routing, asked };
}

test('each bridge whose rules select a topic gets its route', () => {
  const { table: routing } = table('none');
  expect(routing.of('site/a', 'message', undefined)).toEqual({ routes: [1, 2], record: false });
  expect(routing.of('other', 'message', undefined)).toEqual({ routes: [2], record: false });
});

test('what came in over a bridge never goes back over the same bridge', () => {
  const { table: routing } = table('none');
  expect(routing.of('site/a', 'message', 'cloud').routes).toEqual([2]);
  expect(routing.of('site/a', 'message', 'spare').routes).toEqual([1]);
});

test('readings are kept for replay by default, messages of clients are not', () => {
  const { table: routing } = table('readings');
  expect(routing.of('x', 'samples', undefined).record).toBe(true);
  expect(routing.of('x', 'message', undefined).record).toBe(false);
});

test('a list of filters says what is kept, whoever published it', () => {
  const { table: routing } = table(['alarm/#']);
  expect(routing.of('alarm/high', 'message', undefined).record).toBe(true);
  expect(routing.of('site/a', 'samples', undefined).record).toBe(false);
});

test('the rules are asked once per topic, and again when they change', () => {
  const { table: routing, asked } = table('none');
  for (let time = 0; time < 5; time++) routing.of('site/a', 'message', undefined);
  expect(asked).toEqual(['site/a']);
  routing.use([]);
  expect(routing.of('site/a', 'message', undefined).routes).toEqual([]);
});

test('a client that invents topics does not make the memory grow: the answers stay right', () => {
  const { table: routing, asked } = table('none');
  for (let topic = 0; topic < 45_000; topic++) routing.of(`site/${topic}`, 'message', undefined);
  expect(routing.of('site/0', 'message', undefined).routes).toEqual([1, 2]);
  // Asked again: the first answer had been let go.
  expect(asked.filter((topic) => topic === 'site/0')).toHaveLength(2);
});
