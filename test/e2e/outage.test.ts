/** The upstream is away, the gateway is killed: what was committed arrives, in order, none twice. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  freePort,
  godwit,
  Running,
  received,
  runningGateway,
  runningMosquitto,
  scratch,
  subscribed,
} from '../support/process.js';

const POINTS = 10;
let folder: string;
let remove: () => void;
let running: Running[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  running.push(child);
  return child;
}

/** Ten ramps at 50 polls a second: 500 readings a second, all of them for the upstream. */
function configuration(upstream: number, local: number, qos: number): string {
  const points = Array.from(
    { length: POINTS },
    (_, index) =>
      `      p${index}: { simulate: { wave: ramp, min: 0, max: 1000000, period: 1h, decimals: 4 } }`,
  );
  const file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    [
      'gateway: { id: mast-1 }',
      'journal: { path: state/journal.db }',
      `broker: { listeners: [ { url: "mqtt://127.0.0.1:${local}" } ] }`,
      'buses: { demo: { driver: simulator } }',
      'devices:',
      '  ramp:',
      '    bus: demo',
      '    poll: 20ms',
      '    points:',
      ...points,
      'mappings: [ { from: "*/*", topic: "site/{device}/{point}", qos: 2 } ]',
      'bridges:',
      '  cloud:',
      `    servers: [ "mqtt://127.0.0.1:${upstream}" ]`,
      '    backoff: { min: 100ms, max: 500ms }',
      `    forward: [ { filter: "site/#", qos: ${qos} } ]`,
      '',
    ].join('\n'),
  );
  return file;
}

interface Status {
  readonly journal: { readonly records: number };
  readonly bridges: {
    readonly cloud: {
      readonly state: string;
      readonly waiting: number;
      readonly inFlight: number;
      readonly delivered: number;
    };
  };
}

async function status(file: string): Promise<Status> {
  const asked = godwit(['status', '--json', '-c', file]);
  expect(await asked.exit(), asked.errors).toBe(0);
  return JSON.parse(asked.lines.join('\n')) as Status;
}

/** Asks again until it holds; each question is a process of its own, so there is no busy loop. */
async function untilStatus(file: string, holds: (status: Status) => boolean): Promise<Status> {
  for (let question = 0; question < 150; question++) {
    const answer = await status(file);
    if (holds(answer)) return answer;
  }
  throw new Error(`status never came to hold: ${JSON.stringify((await status(file)).bridges)}`);
}

/**
 * The `seq` User Property of each message that mosquitto_sub printed, in order. What is retained comes again when
 * mosquitto_sub subscribes again after the outage: RETAIN 1 tells those apart.
 */
function sequences(subscriber: Running, topics = ''): number[] {
  return subscriber.lines.flatMap((line) => {
    const match = /^~ (\S+) \d 0 .*\bseq:(\d+)/.exec(line);
    return match?.[1]?.startsWith(topics) ? [Number(match[2])] : [];
  });
}

async function subscriberOf(upstream: number): Promise<Running> {
  const filters = ['-t', 'site/#', '-t', 'godwit/mast-1/devices/#'];
  const session = ['-V', '5', '-c', '-i', 'oracle', '-x', '3600', '-q', '2'];
  // mosquitto 2.0.11 sends more than its own client's default of 20 and is then disconnected by it.
  session.push('-D', 'CONNECT', 'receive-maximum', '65535');
  return keep(await subscribed(upstream, [...session, ...filters, '-F', '~ %t %q %r %P']));
}

test('5,000 readings that wait out an upstream outage and two SIGKILLs arrive in order, once, at QoS 2', async () => {
  const [upstream, local] = [await freePort(), await freePort()];
  const file = configuration(upstream, local, 2);
  const mosquitto = keep(await runningMosquitto(folder, upstream));
  const subscriber = await subscriberOf(upstream);
  let gateway = keep(await runningGateway(file));
  await subscriber.until(() => sequences(subscriber).length > 100);

  expect(await mosquitto.kill('SIGTERM')).toBe(0);
  for (const backlog of [1500, 3000]) {
    await untilStatus(file, ({ bridges: { cloud } }) => cloud.waiting + cloud.inFlight > backlog);
    await gateway.kill('SIGKILL');
    gateway = keep(await runningGateway(file));
  }
  await untilStatus(file, ({ bridges: { cloud } }) => cloud.waiting + cloud.inFlight > 5000);
  // No new readings from here on, so that the end can be counted.
  writeFileSync(file, readFileSync(file, 'utf8').replace('poll: 20ms', 'poll: 1h'));
  expect(await gateway.kill('SIGTERM')).toBe(0);
  gateway = keep(await runningGateway(file));

  keep(await runningMosquitto(folder, upstream));
  const { bridges, journal } = await untilStatus(
    file,
    ({ bridges: { cloud } }) => cloud.state === 'connected' && cloud.waiting + cloud.inFlight === 0,
  );
  await subscriber.until(() => sequences(subscriber).length >= bridges.cloud.delivered);
  // Every Record of this journal belongs to this bridge, so its sequence numbers have neither gap nor double.
  expect(journal.records).toBe(bridges.cloud.delivered);
  expect(sequences(subscriber).sort((a, b) => a - b)).toEqual(
    Array.from({ length: bridges.cloud.delivered }, (_, index) => index + 1),
  );
  // Device states go at QoS 1 and may overtake readings at QoS 2; the readings keep their order among themselves.
  const readings = sequences(subscriber, 'site/');
  expect(readings).toEqual([...readings].sort((a, b) => a - b));
}, 120_000);

test('SIGKILL makes the upstream publish the Will, a clean stop does not', async () => {
  const [upstream, local] = [await freePort(), await freePort()];
  const file = configuration(upstream, local, 1);
  keep(await runningMosquitto(folder, upstream));
  const subscriber = keep(await subscribed(upstream, ['-t', 'godwit/mast-1/status', '-q', '1']));
  const states = (): unknown[] => received(subscriber).map(({ payload }) => JSON.parse(payload));

  const first = keep(await runningGateway(file));
  await subscriber.until(() => states().length === 1);
  expect(states()[0]).toMatchObject({
    state: 'online',
    since: expect.any(Number),
    version: expect.any(String),
  });
  await first.kill('SIGKILL');
  await subscriber.until(() => states().length === 2);
  expect(states()[1]).toEqual({ state: 'offline', reason: 'connection-lost' });

  const second = keep(await runningGateway(file));
  await subscriber.until(() => states().length === 3);
  expect(await second.kill('SIGTERM')).toBe(0);
  await subscriber.until(() => states().length === 4);
  expect(states()[3]).toEqual({ state: 'offline', reason: 'shutdown' });
  // Something published afterwards overtakes nothing: had a Will followed, it would stand before it.
  const marker = new Running('mosquitto_pub', 'mosquitto_pub', [
    '-p',
    String(upstream),
    '-t',
    'godwit/mast-1/status',
    '-m',
    '"end"',
  ]);
  expect(await marker.exit()).toBe(0);
  await subscriber.until(() => states().includes('end'));
  expect(states()).toHaveLength(5);
}, 60_000);
