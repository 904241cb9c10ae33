import { describe, expect, test } from 'vitest';
import type { Message } from '../../../../src/core/message.js';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

type Deliver = (message: Message) => void;

async function started(devices: Record<string, object>, bus: object = {}) {
  const clock = new FakeClock();
  const bench = new DriverBench({ driver: 'mqtt', ...bus }, devices, clock);
  const subscribers = new Map<string, Deliver>();
  const driver = await openDriver({
    ...bench.context,
    subscribe: (filter, deliver) => {
      subscribers.set(filter, deliver);
      return () => void subscribers.delete(filter);
    },
  });
  await driver.start();
  const publish = (filter: string, payload: string | Uint8Array): void => {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    subscribers.get(filter)?.({ topic: filter, payload: bytes, qos: 0, retain: false });
  };
  return { clock, bench, driver, subscribers, publish };
}

/** What the sink was told, a line for each call. */
function told(bench: DriverBench): string[] {
  return bench.polls.map(
    ({ device, readings }) =>
      `${device} ${readings.map(({ point, value, reason }) => `${point}=${reason ?? value}`).join(' ')}`,
  );
}

const esp = {
  poll: '10s',
  points: {
    temperature: { topic: 'tele/esp/SENSOR', json: 'AM2301.Temperature' },
    humidity: { topic: 'tele/esp/SENSOR', json: 'AM2301.Humidity' },
    state: { topic: 'tele/esp/LWT', type: 'string' },
  },
};

describe('a message', () => {
  test('becomes the points that it has something for, in one call', async () => {
    const { bench, publish } = await started({ esp });
    publish('tele/esp/SENSOR', '{"AM2301":{"Temperature":21.5,"Humidity":60},"Time":"x"}');
    publish('tele/esp/SENSOR', '{"AM2301":{"Temperature":21.6}}');
    publish('tele/esp/LWT', 'Online');
    expect(told(bench)).toEqual([
      'esp temperature=21.5 humidity=60',
      'esp temperature=21.6',
      'esp state=Online',
    ]);
    expect(bench.states).toMatchObject([{ device: 'esp', state: { state: 'online' } }]);
  });

  test.each<[object, string, string]>([
    [{}, '21.5', '21.5'],
    [{}, ' 7 ', '7'],
    [{}, 'open', 'open'],
    [{ type: 'bool' }, 'ON', 'true'],
    [{ type: 'number' }, 'open', 'no number: "open"'],
    [{ type: 'hex' }, '0x1f', '31'],
    [{ texts: { open: true, closed: false } }, 'closed', 'false'],
    [{}, '', 'no value'],
    [{ pattern: 'T=([-.0-9]+)' }, 'T=-3.5;H=40', '-3.5'],
    [{ pattern: 'T=([-.0-9]+)' }, 'nothing', 'payload does not match the pattern'],
    [{ json: 'a' }, 'no json', 'payload is not JSON'],
    [{ json: 'a' }, '{"a":null}', 'value is null'],
    [{ json: 'a' }, '{"a":[1]}', 'value is no scalar'],
    [{ json: 'a' }, '{"a":true}', 'true'],
    [{ json: 'a' }, '{"a":"21.5"}', '21.5'],
    [{ json: 'a', type: 'bool' }, '{"a":1}', 'true'],
    [{ json: '$.list[1]["odd key"]' }, '{"list":[0,{"odd key":5}]}', '5'],
    [{ json: '[0].v' }, '[{"v":1.25}]', '1.25'],
    [{ json: 'constructor.name', type: 'string' }, '{}', 'nothing'],
    [{ json: 'a', type: 'string' }, `{"a":"${'x'.repeat(2000)}"}`, 'value is too long'],
  ])('%j of %s is %s', async (keys, payload, value) => {
    const { bench, publish } = await started({ d: { points: { p: { topic: 't', ...keys } } } });
    publish('t', payload);
    expect(told(bench)).toEqual(value === 'nothing' ? [] : [`d p=${value}`]);
  });

  test('that cannot be read is bad once, counted each time, and good again with the next one', async () => {
    const { bench, driver, publish } = await started({ d: { points: { p: { topic: 't', json: 'a' } } } });
    for (const payload of ['{"a":1}', 'oops', 'oops', '{"b":1}', '{"a":2}']) publish('t', payload);
    expect(told(bench)).toEqual(['d p=1', 'd p=payload is not JSON', 'd p=2']);
    expect(driver.snapshot()).toMatchObject({ driver: 'mqtt', state: 'up', requests: 5, errors: 3 });
  });

  test('that is too large is not even read', async () => {
    const { bench, publish } = await started({ d: { points: { p: { topic: 't', json: 'a' } } } });
    publish('t', Buffer.concat([Buffer.from('{"a":1}'), Buffer.alloc(256 * 1024, ' ')]));
    expect(told(bench)).toEqual(['d p=payload is too large']);
  });

  test('can be for several devices', async () => {
    const point = { p: { topic: 't' } };
    const { bench, publish } = await started({ a: { points: point }, b: { points: point } });
    publish('t', '5');
    expect(told(bench)).toEqual(['a p=5', 'b p=5']);
  });
});

describe('a device that is silent', () => {
  test('is offline after so many of the times that it was expected, and online with its next message', async () => {
    const { bench, clock, driver, publish } = await started({ esp }, { offline_after: 3 });
    publish('tele/esp/LWT', 'Online');
    clock.advance(25_000);
    publish('tele/esp/SENSOR', '{"AM2301":{"Temperature":1,"Humidity":2}}');
    clock.advance(29_000);
    expect(bench.states).toHaveLength(1);
    clock.advance(10_000);
    expect(bench.states.at(-1)).toMatchObject({ state: { state: 'offline', reason: 'silent' } });
    expect(told(bench).at(-1)).toBe('esp temperature=silent humidity=silent state=silent');
    clock.advance(600_000);
    expect(bench.states).toHaveLength(2);
    publish('tele/esp/LWT', 'Online');
    expect(bench.states.at(-1)).toMatchObject({ state: { state: 'online' } });
    expect(driver.counters('esp').failures).toBeGreaterThan(0);
  });

  test('that was never heard is offline too', async () => {
    const { bench, clock } = await started({ esp }, { offline_after: 3 });
    clock.advance(40_000);
    expect(bench.states).toMatchObject([{ state: { state: 'offline', reason: 'silent' } }]);
  });
});

test('a device out of service is not listened to', async () => {
  const { bench, driver, publish } = await started({ esp });
  driver.setInService('esp', false);
  bench.polls.length = 0;
  publish('tele/esp/LWT', 'Online');
  expect(told(bench)).toEqual([]);
  driver.setInService('esp', true);
  publish('tele/esp/LWT', 'Online');
  expect(told(bench)).toEqual(['esp state=Online']);
});

test('a raw read shows what was heard last, and a write is refused', async () => {
  const { driver, publish } = await started({ esp });
  publish('tele/esp/LWT', 'Online');
  expect(await driver.readRaw('esp', ['state', 'humidity'])).toEqual([
    {
      point: 'state',
      source: 'topic tele/esp/LWT',
      value: 'Online',
      quality: 'good',
      raw: new Uint8Array(Buffer.from('Online')),
    },
    {
      point: 'humidity',
      source: 'topic tele/esp/SENSOR',
      value: null,
      quality: 'bad',
      reason: 'nothing heard yet',
    },
  ]);
  expect(await driver.write('esp', 'state', 1)).toMatchObject({ ok: false, fault: 'not writable' });
  expect(await driver.write('esp', 'none', 1)).toMatchObject({ ok: false, fault: 'unknown' });
});

test('after stop nobody listens and no timer is left', async () => {
  const { clock, driver, subscribers } = await started({ esp });
  await driver.stop();
  await driver.stop();
  expect(subscribers.size).toBe(0);
  expect(clock.waiting).toBe(0);
});
