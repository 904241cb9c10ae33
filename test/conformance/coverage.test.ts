/** Every statement that binds a server is in the name of a test, or stands in uncovered.json with a reason. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Statement {
  readonly side: 'S' | 'C' | 'B';
  readonly text: string;
}

const here = import.meta.dirname;
const json = (name: string): unknown => JSON.parse(readFileSync(join(here, name), 'utf8'));
const statements = new Map(Object.entries(json('statements.json') as Record<string, Statement>));
const uncovered = new Map(Object.entries(json('uncovered.json') as Record<string, string>));

/** Ids as test files write them: literally, in brackets. */
const tested = new Set(
  readdirSync(here)
    .filter((name) => name.endsWith('.test.ts'))
    .flatMap((name) => {
      const code = readFileSync(join(here, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
      return [...code.matchAll(/\[(MQTT(?:311|5)-[\d.]+-\d+)\]/g)].map(([, id]) => id as string);
    }),
);

test('both versions have all their statements in the list', () => {
  const ids = [...statements.keys()];
  expect(ids.filter((id) => id.startsWith('MQTT311-'))).toHaveLength(141);
  expect(ids.filter((id) => id.startsWith('MQTT5-'))).toHaveLength(251);
});

test('tests name only statements that exist', () => {
  expect([...tested].filter((id) => !statements.has(id))).toEqual([]);
});

test('every statement that binds a server is tested, or has a reason why it is not', () => {
  const binding = [...statements].filter(([, { side }]) => side !== 'C').map(([id]) => id);
  expect(binding.filter((id) => !tested.has(id) && !uncovered.has(id))).toEqual([]);
});

test('a reason stands only beside what binds a server and is not tested', () => {
  const stale = [...uncovered.keys()].filter(
    (id) => tested.has(id) || (statements.get(id)?.side ?? 'C') === 'C',
  );
  expect(stale).toEqual([]);
  expect([...uncovered].filter(([, reason]) => reason.length < 10)).toEqual([]);
});
