/** The bridge against a real mosquitto: both versions, TCP and TLS, restarts, cuts, and the Will. */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InlineStorage } from '../../src/storage/inline-storage.js';
import { BridgeBench } from '../support/bridge-bench.js';
import { freePort, type Running, runningMosquitto, scratch } from '../support/process.js';

let folder: string;
let port: number;
let ends: (() => Promise<unknown> | unknown)[];

beforeEach(async () => {
  const { folder: made, remove } = scratch();
  folder = made;
  port = await freePort();
  ends = [remove];
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

async function mosquitto(...extra: string[]): Promise<Running> {
  return keep(await runningMosquitto(folder, port, extra));
}

async function storage(file = 'journal.db'): Promise<InlineStorage> {
  const opened = new InlineStorage({ path: join(folder, file) });
  await opened.start();
  return opened;
}

async function bench(
  config: object,
  secrets: ConstructorParameters<typeof BridgeBench>[2] = {},
): Promise<BridgeBench> {
  const journal = await storage();
  const made = new BridgeBench(
    journal,
    { servers: [`mqtt://127.0.0.1:${port}`], backoff: { min: '50ms', max: '200ms' }, ...config },
    secrets,
  );
  ends.push(async () => {
    await made.bridge.stop();
    await journal.stop();
  });
  await made.bridge.start();
  return made;
}

async function until(isSo: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));
const text = (value: string): Uint8Array => Buffer.from(value);

/** What an independent client sees. */
class Watcher {
  readonly seen: IPublishPacket[] = [];
  readonly #client: MqttClient;

  constructor(options: IClientOptions = {}) {
    this.#client = connect(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
      ...options,
    });
    // Before it is connected: a resumed session delivers at once.
    this.#client.on('message', (_topic, _payload, packet) => this.seen.push(packet));
  }

  async start(topicFilter: string): Promise<this> {
    await new Promise<void>((resolve) => this.#client.once('connect', () => resolve()));
    await this.#client.subscribeAsync(topicFilter, { qos: 2 });
    ends.push(() => this.end());
    return this;
  }

  async publish(topic: string, payload: string): Promise<void> {
    await this.#client.publishAsync(topic, payload, { qos: 2 });
  }

  async end(): Promise<void> {
    await this.#client.endAsync(true);
  }

  get payloads(): string[] {
    return this.seen.map((packet) => packet.payload.toString());
  }
}

/** A link that can be cut. */
class Cable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  port = 0;
  /** While true, what connects is reset at once. */
  down = false;

  constructor(target: number) {
    this.#server = createServer((near) => {
      if (this.down) {
        near.on('error', () => near.destroy());
        near.resetAndDestroy();
        return;
      }
      const far = connectTcp(target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.port = address.port;
    ends.push(() => this.stop());
    return this;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }
}

describe.each([5, '3.1.1'] as const)('version %s', (version) => {
  test.each([0, 1, 2] as const)('what is accepted arrives in order at QoS %i', async (qos) => {
    await mosquitto();
    const watcher = await new Watcher().start('fleet/#');
    const { bridge, accept } = bound(
      await bench({
        version,
        forward: [{ filter: 'site/#', qos, strip: 'site/', prefix: 'fleet/{gateway}/' }],
      }),
    );
    for (let n = 0; n < 3000; n += 1) accept({ topic: 'site/pump', payload: text(String(n)) });
    await until(() => bridge.snapshot().delivered === 3000, 'all is delivered');
    await until(() => watcher.seen.length >= 3000, 'all has arrived');
    expect(watcher.payloads).toEqual(numbers(3000));
    expect(watcher.seen[0]).toMatchObject({ topic: 'fleet/well-17/pump', qos });
    expect(bridge.snapshot()).toMatchObject({ waiting: 0, inFlight: 0, lost: 0, state: 'connected' });
  });

  test('the status is online, and after a clean stop offline without a Will', async () => {
    await mosquitto();
    const made = await bench({ version });
    await until(() => made.bridge.snapshot().state === 'connected', 'it is connected');
    const watcher = await new Watcher().start('godwit/#');
    await until(() => watcher.seen.length === 1, 'the status has arrived');
    expect(watcher.seen[0]).toMatchObject({ topic: 'godwit/well-17/status', retain: true });
    expect(JSON.parse(watcher.payloads[0] ?? '')).toEqual({
      state: 'online',
      since: 1_732_147_200_000,
      version: '1.2.3',
    });
    await made.bridge.stop();
    await until(() => watcher.seen.length >= 2, 'the last word has arrived');
    // Whatever a Will would have added has arrived before what is published after it.
    await watcher.publish('godwit/end', '{}');
    await until(() => watcher.payloads.includes('{}'), 'the end has arrived');
    expect(watcher.payloads.slice(1).map((one) => JSON.parse(one))).toEqual([
      { state: 'offline', reason: 'shutdown' },
      {},
    ]);
    expect(made.bridge.snapshot().state).toBe('stopped');
  });

  test('a cut connection makes the server publish the Will, and the bridge says online again', async () => {
    await mosquitto();
    const cable = await new Cable(port).start();
    const watcher = await new Watcher().start('godwit/#');
    const made = await bench({ version, servers: [`mqtt://127.0.0.1:${cable.port}`] });
    await until(() => watcher.seen.length === 1, 'it is online');
    cable.cut();
    await until(() => made.log.count('Bridge is connected') === 2, 'it is connected again');
    await until(
      () => watcher.seen.length >= 3 && watcher.payloads.at(-1)?.includes('online') === true,
      'it is online again',
    );
    expect(watcher.payloads.map((one) => JSON.parse(one).reason)).toContain('connection-lost');
  });

  test('while the link is cut again and again, each arrives exactly once at QoS 2', async () => {
    await mosquitto();
    const cable = await new Cable(port).start();
    const watcher = await new Watcher().start('site/#');
    const { bridge, accept } = bound(
      await bench({
        version,
        servers: [`mqtt://127.0.0.1:${cable.port}`],
        backoff: { min: '10ms', max: '20ms' },
        forward: [{ filter: 'site/#', qos: 2 }],
      }),
    );
    const total = 4000;
    for (let n = 0; n < total; n += 1) accept({ topic: 'site/pump', payload: text(String(n)) });
    for (let cuts = 1; cuts <= 8; cuts += 1) {
      const { delivered } = bridge.snapshot();
      await until(
        () => bridge.snapshot().delivered > Math.min(delivered + 150, total - 1),
        'some more is delivered',
      );
      cable.cut();
    }
    await until(() => bridge.snapshot().delivered === total, 'all is delivered');
    await until(() => watcher.seen.length >= total, 'all has arrived');
    expect(watcher.payloads).toEqual(numbers(total));
    expect(bridge.snapshot().sessionsLost).toBe(0);
  });

  test('commands come down, and those of an outage when it is over', async () => {
    await mosquitto();
    const cable = await new Cable(port).start();
    const made = await bench({
      version,
      servers: [`mqtt://127.0.0.1:${cable.port}`],
      receive: [{ filter: 'cmd/{gateway}/#', qos: 2 }],
    });
    await until(() => made.bridge.snapshot().state === 'connected', 'it is connected');
    const publisher = await new Watcher().start('nothing');
    const commands = (): string[] =>
      made.arrived.map(({ message }) => Buffer.from(message.payload).toString());
    // The subscription stands once the first one comes.
    while (commands().length === 0) {
      await publisher.publish('cmd/well-17/tank/setpoint', 'first');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    cable.down = true;
    cable.cut();
    await until(() => made.bridge.snapshot().state === 'waiting', 'it noticed');
    await publisher.publish('cmd/well-17/tank/setpoint', 'second');
    cable.down = false;
    await until(() => commands().includes('second'), 'the second has come');
    await publisher.publish('cmd/well-17/tank/setpoint', 'third');
    await until(() => commands().includes('third'), 'the third has come');
    expect(commands().filter((one) => one !== 'first')).toEqual(['second', 'third']);
    expect(made.arrived.at(-1)?.message).toMatchObject({ topic: 'cmd/well-17/tank/setpoint', qos: 2 });
  });
});

test('mosquitto restarts while thousands drain: nothing is missing, nothing twice at QoS 2', async () => {
  let server = await mosquitto();
  const { bridge, accept } = bound(await bench({ forward: [{ filter: 'site/#', qos: 2 }] }));
  // A durable subscriber: what arrives while no one is connected is kept for it.
  const durable: IClientOptions = {
    clientId: 'watcher',
    clean: false,
    properties: { sessionExpiryInterval: 3600 },
  };
  const first = await new Watcher(durable).start('site/#');
  await first.end();
  const total = 3000;
  for (let n = 0; n < total; n += 1) accept({ topic: 'site/pump', payload: text(String(n)) });
  for (let restarts = 1; restarts <= 3; restarts += 1) {
    const { delivered } = bridge.snapshot();
    await until(() => bridge.snapshot().delivered > delivered + 100, 'some more is delivered');
    await server.kill('SIGTERM');
    server = await mosquitto();
  }
  await until(() => bridge.snapshot().delivered === total, 'all is delivered');
  const watcher = await new Watcher(durable).start('site/#');
  await until(() => watcher.seen.length >= total, 'all has arrived');
  expect(watcher.payloads).toEqual(numbers(total));
  expect(bridge.snapshot().sessionsLost).toBe(0);
});

test('a forwarded message carries gw, j, seq and ts beside its own properties', async () => {
  await mosquitto();
  const watcher = await new Watcher().start('site/#');
  const made = await bench({});
  made.accept({
    topic: 'site/pump',
    payload: text('x'),
    properties: { contentType: 'text/plain', responseTopic: 'a/b', userProperties: [['k', 'v']] },
  });
  await until(() => watcher.seen.length === 1, 'it has arrived');
  expect(watcher.seen[0]?.properties).toEqual({
    contentType: 'text/plain',
    responseTopic: 'a/b',
    userProperties: {
      k: 'v',
      gw: 'well-17',
      j: made.storage.journalId,
      seq: '1',
      ts: expect.stringMatching(/^\d{13}$/),
    },
  });
});

describe('over TLS', () => {
  async function certificates(notBeforeDate = new Date()): Promise<{ ca: Buffer; wrong: Buffer }> {
    const make = async (names: string[]) =>
      generate([{ name: 'commonName', value: 'localhost' }], {
        keySize: 2048,
        notBeforeDate,
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames: names.map((value) => ({ type: 2 as const, value })) },
        ],
      });
    const server = await make(['localhost']);
    const other = await make(['localhost']);
    writeFileSync(join(folder, 'server.crt'), server.cert);
    writeFileSync(join(folder, 'server.key'), server.private);
    return { ca: readFileSync(join(folder, 'server.crt')), wrong: Buffer.from(other.cert) };
  }
  const listener = (): string[] => [`certfile ${folder}/server.crt`, `keyfile ${folder}/server.key`];

  test('a server with a certificate of the given authority is used', async () => {
    const { ca } = await certificates();
    await mosquitto(...listener());
    const made = await bench({ servers: [`mqtts://localhost:${port}`] }, { secrets: { tls: { ca } } });
    made.accept({ topic: 'site/pump', payload: text('x') });
    await until(() => made.bridge.snapshot().delivered === 1, 'it is delivered');
  });

  test('a certificate of another authority is refused, and the reason says what to set', async () => {
    const { wrong } = await certificates();
    await mosquitto(...listener());
    const made = await bench({ servers: [`mqtts://localhost:${port}`] }, { secrets: { tls: { ca: wrong } } });
    await until(() => made.bridge.snapshot().reason !== undefined, 'a reason is given');
    expect(made.bridge.snapshot().reason).toContain('set tls.ca');
  });

  test('a certificate that is not valid yet is put down to the clock', async () => {
    const { ca } = await certificates(new Date(Date.now() + 86_400_000));
    await mosquitto(...listener());
    const made = await bench({ servers: [`mqtts://localhost:${port}`] }, { secrets: { tls: { ca } } });
    await until(() => made.bridge.snapshot().reason !== undefined, 'a reason is given');
    expect(made.bridge.snapshot().reason).toContain('clock');
  });
});

function bound(made: BridgeBench): { bridge: BridgeBench['bridge']; accept: BridgeBench['accept'] } {
  return { bridge: made.bridge, accept: made.accept.bind(made) };
}
