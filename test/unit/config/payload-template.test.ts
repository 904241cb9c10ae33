import { expect, test } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import { fillFixed } from '../../../src/config/payload-template.js';
import { BASE, configOf, errorLines } from './fixtures.js';

const rule = (keys: string): string => `${BASE}mappings: [ { from: "meter/power", topic: t, ${keys} } ]\n`;

test('a template knows what a sample says, the gateway and its tags; another name is a slip', () => {
  expect(errorLines(rule('payload: { template: "{valeu}" }'))).toEqual([
    '13:67: mappings[0].payload.template: found {valeu}, did you mean {value}? allowed: {value}, {unit}, {ts}, {quality}, {reason}, {device}, {point}, {gateway}, {tags.site}',
  ]);
  expect(errorLines(rule('payload: { template: "{value}" }, group: device'))).toEqual([
    '13:46: mappings[0].payload: found a template with group, allowed: json, since there are several values',
  ]);
  expect(errorLines(rule('payload: xml'))).toEqual([
    '13:55: mappings[0].payload: found xml, allowed: json, value or { template: "…" }',
  ]);
  const config = configOf(rule('payload: { template: \'{"v":{value},"site":"{tags.site}"}\' }'));
  expect(describeConfig(config).devices[0]?.points[0]?.publishes[0]?.payload).toBe(
    '{"v":21.5,"site":"north"}',
  );
});

test('gateway and tags are filled in once, and only those that are there', () => {
  expect(fillFixed('{gateway} {tags.site} {tags.constructor} {value}', 'g', { site: 'north' })).toBe(
    'g north {tags.constructor} {value}',
  );
});
