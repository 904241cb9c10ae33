import { expect, test } from 'vitest';
import { type Config, configSchema } from '../../../src/config/schema.js';
import { anonymousUntilRestart, planChange } from '../../../src/gateway/plan.js';

function config(change: (raw: Record<string, unknown>) => void = () => {}): Config {
  const raw: Record<string, unknown> = {
    gateway: { id: 'well-17', tags: { site: 'north' } },
    buses: { a: { driver: 'simulator' }, b: { driver: 'simulator' } },
    devices: {
      tank: { bus: 'a', points: { level: { simulate: {} } } },
      door: { bus: 'b', points: { open: { simulate: {} } } },
    },
    mappings: [{ from: '*/*', topic: 'site/{device}/{point}' }],
    bridges: {
      cloud: { servers: ['mqtt://one:1883'] },
      spare: { servers: ['mqtt://two:1883'] },
    },
  };
  change(raw);
  return configSchema.parse(raw);
}

const none = new Set<string>();

test('the same configuration changes nothing', () => {
  expect(planChange(config(), config(), none)).toEqual({
    stopBuses: [],
    startBuses: [],
    stopBridges: [],
    startBridges: [],
    forgetDevices: [],
    remap: false,
    needsRestart: [],
  });
});

test('a device that changes restarts its own bus only, and the mapping is built again', () => {
  const after = config((raw) => {
    raw.devices = {
      ...(raw.devices as object),
      tank: { bus: 'a', poll: '5s', points: { level: { simulate: {} } } },
    };
  });
  expect(planChange(config(), after, none)).toMatchObject({
    stopBuses: ['a'],
    startBuses: ['a'],
    startBridges: [],
    remap: true,
  });
});

test('a device that leaves is forgotten, a bus that leaves is stopped and not started', () => {
  const after = config((raw) => {
    raw.buses = { a: { driver: 'simulator' } };
    raw.devices = { tank: { bus: 'a', points: { level: { simulate: {} } } } };
  });
  expect(planChange(config(), after, none)).toMatchObject({
    stopBuses: ['b'],
    startBuses: [],
    forgetDevices: ['door'],
  });
});

test('a bridge restarts when its section changes, and when only its certificate or password does', () => {
  const after = config((raw) => {
    raw.bridges = { ...(raw.bridges as object), cloud: { servers: ['mqtt://three:1883'] } };
  });
  expect(planChange(config(), after, none)).toMatchObject({
    stopBridges: ['cloud'],
    startBridges: ['cloud'],
  });
  expect(planChange(config(), config(), new Set(['spare']))).toMatchObject({
    stopBridges: ['spare'],
    startBridges: ['spare'],
  });
});

test('what cannot change under a running process is named', () => {
  const after = config((raw) => {
    raw.gateway = { id: 'well-18', tags: { site: 'north' } };
    raw.journal = { max_size: '1GiB' };
  });
  expect(planChange(config(), after, none).needsRestart).toEqual(['gateway', 'journal']);
});

function brokerOf(broker: object): Config {
  return config((raw) => {
    raw.broker = broker;
  });
}

test('files and rules of access are taken over at once; the rest of the broker waits for a restart', () => {
  const before = brokerOf({ password_file: 'a', allow_anonymous: false });
  const after = brokerOf({ password_file: 'b', acl_file: 'c', allow_anonymous: true });
  expect(planChange(before, after, none).needsRestart).toEqual([]);
  const limited = brokerOf({ password_file: 'a', limits: { max_connections: 5 } });
  expect(planChange(before, limited, none).needsRestart).toEqual(['broker']);
});

test('a default that was decided for listeners of after the restart may close the door, and opens it only then', () => {
  const open = { listeners: [{ url: 'mqtt://0.0.0.0' }], allow_anonymous: false };
  const loopback = { listeners: [{ url: 'mqtt://127.0.0.1' }], allow_anonymous: true };
  const broker = (part: object) => ({ ...config().broker, ...part });
  expect(anonymousUntilRestart(broker(open), broker(loopback))).toBe(false);
  expect(anonymousUntilRestart(broker(loopback), broker(open))).toBe(false);
  expect(anonymousUntilRestart(broker(loopback), broker(loopback))).toBe(true);
  expect(anonymousUntilRestart(broker(open), broker({ ...open, allow_anonymous: true }))).toBe(true);
});
