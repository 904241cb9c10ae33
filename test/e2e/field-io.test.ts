/** The real process on a board that is made of files: GPIO through the tools of libgpiod, 1-Wire, IIO, the board itself. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeGpiod } from '../support/fake-gpiod.js';
import { FakeTree } from '../support/fake-tree.js';
import {
  freePort,
  godwit,
  type Running,
  received,
  runningGateway,
  scratch,
  subscribed,
} from '../support/process.js';

let folder: string;
let remove: () => void;
let ends: (() => Promise<unknown>)[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  ends = [];
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

function latest(subscriber: Running, topic: string): Record<string, unknown> | undefined {
  const payload = received(subscriber).findLast((message) => message.topic === topic)?.payload;
  return payload === undefined ? undefined : (JSON.parse(payload) as Record<string, unknown>);
}

async function configured(
  lines: readonly string[],
): Promise<{ readonly file: string; readonly port: number }> {
  const port = await freePort();
  const file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    [
      'gateway: { id: well-17 }',
      'journal: { path: state/journal.db }',
      `broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }`,
      ...lines,
      'mappings: [ { from: "*/*", topic: "{device}/{point}", retain: true } ]',
      '',
    ].join('\n'),
  );
  return { file, port };
}

/** Processes of this machine whose command line names the folder. */
function running(named: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(named) ? [command] : [];
      } catch {
        // It has just ended.
        return [];
      }
    });
}

test.each([1, 2] as const)(
  'a door, a flow meter and a relay through libgpiod %s: the total survives SIGKILL, no tool outlives the gateway, the relay ends safe',
  async (generation) => {
    const gpiod = new FakeGpiod(generation);
    const tree = new FakeTree({ 'nothing/here': '' });
    ends.push(async () => {
      gpiod.remove();
      tree.remove();
    });
    gpiod.level(17, 1);
    gpiod.level(27, 0);
    const { file, port } = await configured([
      `buses: { header: { driver: gpio, root: ${tree.root} } }`,
      'devices:',
      '  door:',
      '    bus: header',
      '    points:',
      '      open:  { gpio: 17, direction: in, active_low: true, debounce: 20ms }',
      '      flow:  { gpio: 27, direction: in, count: rising, scale: 0.0025, unit: L, poll: 200ms }',
      '      relay: { gpio: 22, direction: out, writable: true, initial: true, safe: false }',
    ]);
    const env = { PATH: gpiod.path };
    const first = keep(await runningGateway(file, env));
    const subscriber = keep(await subscribed(port, ['-t', 'door/#']));
    await subscriber.until(
      () => latest(subscriber, 'door/open')?.value === false && latest(subscriber, 'door/flow')?.value === 0,
    );
    expect(gpiod.set).toEqual(['22=1']);
    expect(latest(subscriber, 'door/relay')).toMatchObject({ value: true });
    const written = keep(godwit(['write', 'door/relay', 'off', '-c', file], env));
    expect(await written.exit(), written.errors).toBe(0);
    expect(gpiod.set.at(-1)).toBe('22=0');
    await subscriber.until(() => latest(subscriber, 'door/relay')?.value === false);
    gpiod.edge(17, 0);
    for (let pulse = 0; pulse < 40; pulse += 1) {
      gpiod.edge(27, 1);
      gpiod.edge(27, 0);
    }
    await subscriber.until(
      () => latest(subscriber, 'door/open')?.value === true && latest(subscriber, 'door/flow')?.value === 0.1,
    );
    expect(latest(subscriber, 'door/flow')).toMatchObject({ unit: 'L' });

    // One commit interval may be lost: the last pulse is older than that.
    const countedAt = Number(latest(subscriber, 'door/flow')?.ts);
    await subscriber.until(() => Number(latest(subscriber, 'door/flow')?.ts) > countedAt + 500);
    await first.kill('SIGKILL');
    while (running(gpiod.folder).length > 0) await wait(20);

    const second = keep(await runningGateway(file, env));
    const again = keep(await subscribed(port, ['-t', 'door/#']));
    await again.until(() => latest(again, 'door/flow')?.value === 0.1);
    // What was retained is there before the line is.
    const pulses = setInterval(() => {
      gpiod.edge(27, 1);
      gpiod.edge(27, 0);
    }, 100);
    ends.push(async () => clearInterval(pulses));
    await again.until(() => Number(latest(again, 'door/flow')?.value) > 0.1);
    clearInterval(pulses);
    expect(latest(again, 'door/flow')?.value).toBeLessThan(0.2);
    expect(await second.kill('SIGTERM')).toBe(0);
    expect(gpiod.set.at(-1)).toBe('22=0');
    expect(running(gpiod.folder)).toEqual([]);
  },
  60_000,
);

test('a 1-Wire probe, an ADC and the board itself, and what becomes of them when they are pulled out', async () => {
  const adc = 'sys/bus/iio/devices/iio:device0';
  const tree = new FakeTree({
    'sys/bus/w1/devices/28-0316a2794ef1/w1_slave':
      '50 01 4b 46 7f ff 0c 10 f1 : crc=f1 YES\n50 01 4b 46 7f ff 0c 10 f1 t=21062',
    [`${adc}/name`]: 'ads1015',
    [`${adc}/in_voltage0_raw`]: '1234',
    [`${adc}/in_voltage_scale`]: '3.000000000',
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal',
    'sys/class/thermal/thermal_zone0/temp': '48312',
    'sys/devices/platform/soc/soc:firmware/get_throttled': '50005',
    'proc/loadavg': '0.52 0.58 0.59 1/467 12345',
  });
  ends.push(async () => tree.remove());
  const { file, port } = await configured([
    'buses:',
    `  probes: { driver: onewire, root: ${tree.root}/sys }`,
    `  adc: { driver: iio, root: ${tree.root}/sys }`,
    `  host: { driver: system, root: ${tree.root} }`,
    'devices:',
    '  room: { bus: probes, poll: 100ms, points: { warm: { probe: 28-0316a2794ef1, unit: "°C" } } }',
    '  level: { bus: adc, poll: 100ms, points: { volt: { channel: ads1015/voltage0, scale: 0.001, unit: V } } }',
    '  pi:',
    '    bus: host',
    '    poll: 100ms',
    '    points: { cpu: { metric: cpu_temperature }, load: { metric: load_1m }, weak: { metric: undervoltage }, link: { metric: link_quality } }',
  ]);
  const check = keep(godwit(['check', '-c', file]));
  expect(await check.exit()).toBe(0);
  expect(check.lines).toContainEqual(
    expect.stringMatching(/^room\/warm: probe 28-0316a2794ef1 on probes every 100ms; topic room\/warm /),
  );
  keep(await runningGateway(file));
  const subscriber = keep(await subscribed(port, ['-t', '#']));
  await subscriber.until(() =>
    ['room/warm', 'level/volt', 'pi/cpu'].every((topic) => latest(subscriber, topic) !== undefined),
  );
  expect(latest(subscriber, 'room/warm')).toMatchObject({ value: 21.062, unit: '°C' });
  expect(latest(subscriber, 'level/volt')).toMatchObject({ value: 3.702, unit: 'V' });
  expect(latest(subscriber, 'pi/cpu')).toMatchObject({ value: 48.312 });
  expect(latest(subscriber, 'pi/load')).toMatchObject({ value: 0.52 });
  expect(latest(subscriber, 'pi/weak')).toMatchObject({ value: true });
  await subscriber.until(() => latest(subscriber, 'pi/link') !== undefined);
  expect(latest(subscriber, 'pi/link')).toMatchObject({
    value: null,
    quality: 'bad',
    reason: 'no radio link',
  });

  tree.set({
    'sys/bus/w1/devices/28-0316a2794ef1/w1_slave':
      '50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000',
  });
  tree.remove(adc);
  await subscriber.until(() =>
    ['room/warm', 'level/volt'].every((topic) => latest(subscriber, topic)?.value === null),
  );
  expect(latest(subscriber, 'room/warm')?.reason).toContain('power-on value');
  expect(latest(subscriber, 'godwit/well-17/devices/level/status')).toMatchObject({
    state: 'offline',
    reason: expect.stringContaining('no IIO device'),
  });
  expect(received(subscriber).some(({ payload }) => payload.includes('"value":85'))).toBe(false);
}, 60_000);
