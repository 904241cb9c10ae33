import { expect, test } from 'vitest';
import { brokerWithin } from '../../../src/config/check-journal.js';
import { parseConfig } from '../../../src/config/parse.js';

function parse(maxSize: string, limits: string) {
  const text = `gateway: { id: a }\njournal: { max_size: ${maxSize} }\nbroker: { limits: { ${limits} } }\n`;
  return parseConfig(text, 'g.yaml', {});
}

test('limits that leave the journal no room are refused, with the share that is allowed', () => {
  const { errors } = parse('64MiB', 'max_retained_bytes: 17MiB, max_packet_size: 9MiB');
  expect(errors.map(({ line }) => line)).toEqual([
    expect.stringMatching(
      /^g\.yaml:3:\d+: broker\.limits\.max_retained_bytes: found 17MiB .* a quarter of it at most$/,
    ),
    expect.stringMatching(
      /^g\.yaml:3:\d+: broker\.limits\.max_packet_size: found 9MiB .* an eighth of it at most$/,
    ),
  ]);
  expect(parse('64MiB', 'max_retained_bytes: 16MiB, max_packet_size: 8MiB').errors).toEqual([]);
});

test('defaults give way to a small journal instead', () => {
  const { config, errors } = parse('4MiB', '');
  expect(errors).toEqual([]);
  expect(brokerWithin(config!).limits).toMatchObject({
    max_retained_bytes: 2 ** 20,
    max_packet_size: 2 ** 19,
  });
});
