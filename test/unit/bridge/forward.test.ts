import { describe, expect, test } from 'vitest';
import { routeFor, topicUpstream } from '../../../src/bridge/forward.js';
import { bridgeConfig } from '../../support/bridge-bench.js';

const gateway = { id: 'well-17' };

describe('a message is carried by the first rule whose filter matches', () => {
  const config = bridgeConfig({
    forward: [
      { filter: 'site/+/alarm/#', qos: 2 },
      { filter: 'site/#', strip: 'site/', prefix: 'fleet/{gateway}/', retain: 'clear', properties: 'none' },
      { filter: 'local/{gateway}/#', qos: 0 },
    ],
  });

  test.each([
    ['site/pump/alarm/high', { qos: 2, strip: '', prefix: '', retain: 'keep', properties: 'all' }],
    [
      'site/pump/level',
      { qos: 1, strip: 'site/', prefix: 'fleet/well-17/', retain: 'clear', properties: 'none' },
    ],
    ['local/well-17/x', { qos: 0 }],
  ])('%s', (topic, expected) => {
    expect(routeFor('cloud', config, gateway, topic)).toMatchObject({
      bridge: 'cloud',
      lane: 'normal',
      ...expected,
    });
  });

  test('what no rule matches stays here', () => {
    expect(routeFor('cloud', config, gateway, 'other/topic')).toBeUndefined();
    expect(routeFor('cloud', config, gateway, 'local/other-gateway/x')).toBeUndefined();
  });
});

describe('the gateway’s own news go to every bridge whatever its rules', () => {
  const config = bridgeConfig({ forward: [{ filter: '#', qos: 0, prefix: 'all/', retain: 'clear' }] });

  test.each(['godwit/well-17/devices/tank/status', 'godwit/well-17/losses'])('%s', (topic) => {
    expect(routeFor('cloud', config, gateway, topic)).toMatchObject({
      qos: 1,
      retain: 'keep',
      strip: '',
      prefix: '',
    });
    expect(routeFor('cloud', bridgeConfig({ forward: [] }), gateway, topic)).toBeDefined();
  });

  test('another gateway’s news are like any other topic', () => {
    expect(routeFor('cloud', config, gateway, 'godwit/other/losses')?.prefix).toBe('all/');
  });

  test('the gateway’s own status is not journalled for the server: it would arrive late and lie', () => {
    expect(routeFor('cloud', config, gateway, 'godwit/well-17/status')).toBeUndefined();
    expect(routeFor('cloud', config, { id: 'well-17', statusTopic: 'a/b' }, 'a/b')).toBeUndefined();
  });
});

test('strip is taken from the front only, then the prefix is put before what is left', () => {
  const route = routeFor(
    'cloud',
    bridgeConfig({ forward: [{ filter: '#', strip: 'site/', prefix: 'fleet/' }] }),
    gateway,
    'x',
  );
  if (route === undefined) throw new Error('a rule matches everything');
  expect(topicUpstream(route, 'site/pump')).toBe('fleet/pump');
  expect(topicUpstream(route, 'a/site/pump')).toBe('fleet/a/site/pump');
});
