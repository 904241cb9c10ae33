/** A scale and a GPS on serial lines of socat, the real process, mosquitto_sub as the one who listens. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort, type Running, received, runningGateway, scratch, subscribed } from '../support/process.js';
import { SerialDevice } from '../support/serial-device.js';
import { SerialPair } from '../support/serial-pair.js';

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

async function line(): Promise<SerialPair> {
  const pair = await SerialPair.start();
  ends.push(() => pair.stop());
  return pair;
}

async function device(
  pair: SerialPair,
  answer?: (line: string) => string | undefined,
): Promise<SerialDevice> {
  const end = await SerialDevice.on(pair.theirs, answer);
  ends.push(() => end.stop());
  return end;
}

function values(subscriber: Running, topic: string): unknown[] {
  return received(subscriber)
    .filter((message) => message.topic === topic)
    .map((message) => (JSON.parse(message.payload) as { value: unknown }).value);
}

function latest(subscriber: Running, topic: string): Record<string, unknown> | undefined {
  const payload = received(subscriber).findLast((message) => message.topic === topic)?.payload;
  return payload === undefined ? undefined : (JSON.parse(payload) as Record<string, unknown>);
}

async function started(lines: readonly string[]): Promise<{ gateway: Running; subscriber: Running }> {
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
  const gateway = keep(await runningGateway(file));
  const subscriber = keep(await subscribed(port, ['-t', '#']));
  return { gateway, subscriber };
}

test('a scale that talks by itself and answers requests is read, is pulled out, and comes back', async () => {
  const pair = await line();
  const scale = await device(pair, (request) => (request === 'T\r\n' ? 'T,250\r\n' : undefined));
  const { gateway, subscriber } = await started([
    'buses:',
    '  scale:',
    '    driver: serial',
    `    path: ${pair.ours}`,
    '    baud_rate: 9600',
    '    frame: { delimiter: "\\r\\n" }',
    'devices:',
    '  hopper:',
    '    bus: scale',
    '    points:',
    "      weight: { match: '^ST,GS,\\s*([-+0-9.]+)kg', type: number, unit: kg }",
    '      tare:   { match: \'^T,(\\d+)\', request: "T\\r\\n", poll: 1s }',
  ]);
  await subscriber.until(() => values(subscriber, 'hopper/tare').includes(250));
  await scale.say('ST,GS, +12.50kg\r\nUS,GS,  13.00kg\r\n\xff\xfegarbage\r\nST,GS, ');
  await scale.say('-0.05kg\r\n');
  await subscriber.until(() => values(subscriber, 'hopper/weight').includes(-0.05));
  expect(values(subscriber, 'hopper/weight').filter((value) => value !== null)).toEqual([12.5, -0.05]);
  expect(latest(subscriber, 'hopper/weight')).toMatchObject({ unit: 'kg' });

  await pair.unplug();
  await subscriber.until(
    () => latest(subscriber, 'godwit/well-17/devices/hopper/status')?.state === 'offline',
  );
  expect(latest(subscriber, 'godwit/well-17/devices/hopper/status')?.reason).toMatch(
    /^bus down: .*(missing|unplugged)/,
  );
  expect(latest(subscriber, 'hopper/weight')).toMatchObject({ value: null, quality: 'bad' });

  await pair.plug();
  const again = await device(pair, () => 'T,300\r\n');
  await subscriber.until(() => values(subscriber, 'hopper/tare').includes(300), 40_000);
  await again.say('ST,GS, 7kg\r\n');
  await subscriber.until(() => values(subscriber, 'hopper/weight').includes(7));
  expect(latest(subscriber, 'godwit/well-17/devices/hopper/status')).toMatchObject({ state: 'online' });
  expect(await gateway.kill('SIGTERM')).toBe(0);
}, 60_000);

test('a GPS is read by the names of what it says, and noise on its line is left out', async () => {
  const pair = await line();
  const gps = await device(pair);
  const { subscriber } = await started([
    `buses: { gps: { driver: serial, path: ${pair.ours}, baud_rate: 4800, protocol: nmea-0183 } }`,
    'devices:',
    '  boat:',
    '    bus: gps',
    '    points:',
    '      latitude: { nmea: latitude, unit: "°" }',
    '      fix: { nmea: fix }',
    '      satellites: { nmea: satellites }',
    '      speed: { nmea: speed, unit: kn }',
    '      utc: { nmea: utc }',
  ]);
  const sentences = [
    '\x00\xff$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n',
    '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n',
    '$GPRMC,123519,A,4907.038,N,01131.000,E,999.9,084.4,230394,003.1,W*6A\r\n',
  ];
  const talks = setInterval(() => void gps.say(sentences.join('')), 100);
  ends.push(async () => clearInterval(talks));
  await subscriber.until(() =>
    ['latitude', 'fix', 'satellites', 'speed', 'utc'].every(
      (point) => values(subscriber, `boat/${point}`).length > 1,
    ),
  );
  expect(latest(subscriber, 'boat/latitude')).toMatchObject({ value: 48.1173, unit: '°' });
  expect(latest(subscriber, 'boat/fix')).toMatchObject({ value: true });
  expect(latest(subscriber, 'boat/satellites')).toMatchObject({ value: 8 });
  expect(new Set(values(subscriber, 'boat/speed'))).toEqual(new Set([22.4]));
  expect(latest(subscriber, 'boat/utc')).toMatchObject({ value: '1994-03-23T12:35:19Z' });
}, 60_000);
