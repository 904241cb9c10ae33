/** Commands by MQTT to a Modbus slave that is not ours, from clients here and from a real server upstream. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type IClientPublishOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ModbusSlave } from '../support/modbus-slave.js';
import {
  freePort,
  godwit,
  type Running,
  runningGateway,
  runningMosquitto,
  scratch,
} from '../support/process.js';

interface Result {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: string;
  readonly fault?: string;
  readonly repeated?: boolean;
}

let slave: ModbusSlave;
let folder: string;
let remove: () => void;
let file: string;
let port: number;
let upstreamPort: number;
let running: Running[];
let clients: MqttClient[];

beforeAll(async () => {
  slave = await ModbusSlave.tcp([1]);
});
afterAll(() => slave.stop());

beforeEach(async () => {
  ({ folder, remove } = scratch());
  [running, clients] = [[], []];
  [port, upstreamPort] = [await freePort(), await freePort()];
  file = join(folder, 'godwit.yaml');
  writeFileSync(
    file,
    `gateway: { id: g }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }
buses: { line: { driver: modbus-tcp, host: 127.0.0.1, port: ${slave.port} } }
devices:
  tank:
    bus: line
    unit: 1
    poll: 1h
    points:
      setpoint: { register: holding/200, scale: 0.1, writable: true, min: 0, max: 80 }
      mode: { register: holding/201, enum: { 0: "off", 1: auto, 2: manual }, writable: true }
      pump: { register: coil/7, writable: true }
      level: { register: holding/202 }
bridges:
  cloud: { servers: [ "mqtt://127.0.0.1:${upstreamPort}" ], forward: [], receive: [ { filter: "cmd/{gateway}/#", qos: 1 } ] }
`,
  );
  await slave.set('holding', 200, [0, 0, 7]);
  await slave.set('coil', 7, [0]);
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.endAsync(true)));
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

async function startGateway(): Promise<Running> {
  const gateway = await runningGateway(file);
  running.push(gateway);
  return gateway;
}

async function connect(to = port): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${to}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
  clients.push(client);
  return client;
}

/** Publishes, and resolves with the first result on `topic`. */
async function ask(
  client: MqttClient,
  point: string,
  payload: string,
  options: IClientPublishOptions = {},
  topic = `cmd/g/${point}/result`,
): Promise<Result & { readonly correlationData?: Buffer | undefined }> {
  await client.subscribeAsync(topic, { qos: 1 });
  const result = new Promise<Result>((resolve) => {
    const heard: Parameters<typeof client.on<'message'>>[1] = (name, body, packet) => {
      if (name !== topic) return;
      client.off('message', heard);
      resolve({ ...(JSON.parse(body.toString()) as Result), ...packet.properties });
    };
    client.on('message', heard);
  });
  await client.publishAsync(`cmd/g/${point}`, payload, { qos: 1, ...options });
  return result;
}

test('a value is written in each of its forms, and the result says what the device holds', async () => {
  await startGateway();
  const client = await connect();
  expect(await ask(client, 'tank/setpoint', '{"value":21.5}')).toMatchObject({ ok: true, value: 21.5 });
  expect(await slave.get('holding', 200)).toEqual([215]);
  expect(await ask(client, 'tank/setpoint', '30')).toMatchObject({ ok: true, value: 30 });
  expect(await slave.get('holding', 200)).toEqual([300]);
  expect(await ask(client, 'tank/mode', 'auto')).toMatchObject({ ok: true, value: 'auto' });
  expect(await ask(client, 'tank/mode', '"manual"')).toMatchObject({ ok: true, value: 'manual' });
  expect(await slave.get('holding', 201)).toEqual([2]);
  expect(await ask(client, 'tank/pump', 'on')).toMatchObject({ ok: true, value: true });
  expect(await slave.get('coil', 7)).toEqual([1]);
  expect(await ask(client, 'tank/pump', '{"value":false}')).toMatchObject({ ok: true, value: false });
});

test('what does not fit is refused with a result, and no byte reaches the bus', async () => {
  await startGateway();
  const client = await connect();
  const trace = godwit(['trace', 'line', '--json', '-c', file]);
  running.push(trace);
  // The first frame shows that the trace is on.
  while (trace.lines.length === 0)
    expect(await ask(client, 'tank/setpoint', '1')).toMatchObject({ ok: true });
  for (const [point, payload, error] of [
    ['tank/setpoint', '81', 'out of range'],
    ['tank/setpoint', '{"value":-1}', 'out of range'],
    ['tank/setpoint', 'warm', 'does not fit'],
    ['tank/setpoint', '{"value":{}}', 'a value is'],
    ['tank/setpoint', '{"level":1}', 'no value'],
    ['tank/setpoint', '', 'empty'],
    ['tank/mode', 'turbo', 'does not fit'],
    ['tank/level', '1', 'not writable'],
    ['tank/nothing', '1', 'unknown'],
    ['nobody/setpoint', '1', 'unknown'],
    ['tank/setpoint', `{"value":1,"ts":${Date.now() - 3_600_000}}`, 'expired'],
  ] as const) {
    const result = await ask(client, point, payload);
    expect([point, payload, result.ok]).toEqual([point, payload, false]);
    expect(result.error).toContain(error);
  }
  expect(await ask(client, 'tank/setpoint', '2')).toMatchObject({ ok: true });
  // Function 6 to register 200: 1 while the trace came on, 2 at the end, and nothing between.
  const written = (): string[] =>
    trace.lines.flatMap(
      (line) => /"bytes":"[0-9a-f]{14}(0600c8[0-9a-f]{4}|10[0-9a-f]+)"/.exec(line)?.[1] ?? [],
    );
  await trace.until(() => written().includes('0600c80014'));
  expect(new Set(written())).toEqual(new Set(['0600c8000a', '0600c80014']));
  expect(await slave.get('holding', 200)).toEqual([20]);
});

test('the result goes to the Response Topic too, with its Correlation Data', async () => {
  await startGateway();
  const client = await connect();
  const properties = { responseTopic: 'answers/me', correlationData: Buffer.from('c-1') };
  const result = await ask(client, 'tank/setpoint', '5', { properties }, 'answers/me');
  expect(result).toMatchObject({ ok: true, value: 5 });
  expect(result.correlationData?.toString()).toBe('c-1');
});

test('a command with RETAIN set is refused and not stored', async () => {
  await startGateway();
  const client = await connect();
  const refused = await ask(client, 'tank/setpoint', '9', { retain: true });
  expect(refused).toMatchObject({ ok: false, fault: 'retained' });
  expect(await slave.get('holding', 200)).toEqual([0]);
  const other = await connect();
  const heard: string[] = [];
  other.on('message', (topic) => heard.push(topic));
  await other.subscribeAsync('cmd/#', { qos: 1 });
  // Retained messages come before the answer to what follows.
  expect(await ask(other, 'tank/setpoint', '3')).toMatchObject({ ok: true });
  expect(heard.filter((topic) => topic === 'cmd/g/tank/setpoint')).toHaveLength(1);
});

test('a repeat is answered and not written again, also after SIGKILL', async () => {
  const gateway = await startGateway();
  const properties = { correlationData: Buffer.from('once') };
  expect(await ask(await connect(), 'tank/setpoint', '10', { properties })).toMatchObject({
    ok: true,
    value: 10,
  });
  await slave.set('holding', 200, [999]);
  const client = await connect();
  expect(await ask(client, 'tank/setpoint', '10', { properties })).toMatchObject({
    ok: true,
    value: 10,
    repeated: true,
  });
  await gateway.kill('SIGKILL');
  await startGateway();
  expect(await ask(await connect(), 'tank/setpoint', '10', { properties })).toMatchObject({
    value: 10,
    repeated: true,
  });
  expect(await slave.get('holding', 200)).toEqual([999]);
  const listed = godwit(['commands', '--json', '-c', file]);
  running.push(listed);
  await listed.exit();
  expect(JSON.parse(listed.lines.join('\n'))).toMatchObject([
    { device: 'tank', point: 'setpoint', value: 10, result: { ok: true, value: 10 } },
  ]);
});

test('a command from upstream is carried out and answered there', async () => {
  running.push(await runningMosquitto(folder, upstreamPort));
  await startGateway();
  const remote = await connect(upstreamPort);
  const subscribed = new Promise<void>((resolve) =>
    remote.on('message', (topic) => topic === 'godwit/g/status' && resolve()),
  );
  await remote.subscribeAsync('godwit/g/status', { qos: 1 });
  await subscribed;
  // The bridge subscribes after it is online: QoS 1 commands before that are not for it, so ask until one is heard.
  let result: Result | undefined;
  for (let attempt = 0; result === undefined && attempt < 50; attempt += 1) {
    result = await Promise.race([
      ask(remote, 'tank/setpoint', '44', { properties: { correlationData: Buffer.from(`r${attempt}`) } }),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 500)),
    ]);
  }
  expect(result).toMatchObject({ ok: true, value: 44 });
  expect(await slave.get('holding', 200)).toEqual([440]);
});
