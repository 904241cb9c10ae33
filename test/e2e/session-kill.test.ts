/**
 * SIGKILL in the middle of QoS 2 flows in both directions, at seeded random moments, under real clients that keep
 * their side of the session. The oracle: nothing that was acknowledged is missing, nothing comes twice at QoS 2.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, ErrorWithReasonCode, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort, type Running, runningGateway, scratch } from '../support/process.js';

const SEED = Number(process.env.GODWIT_SEED ?? 20_26);
const KILLS = Number(process.env.GODWIT_KILLS ?? 6);

let folder: string;
let remove: () => void;
let port: number;
let gateway: Running;
let clients: MqttClient[];
let sources: Source[];

beforeEach(async () => {
  ({ folder, remove } = scratch());
  port = await freePort();
  clients = [];
  sources = [];
  writeFileSync(
    join(folder, 'godwit.yaml'),
    [
      'gateway: { id: mast-1 }',
      'journal: { path: state/journal.db, record: none }',
      `broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }`,
      '',
    ].join('\n'),
  );
  gateway = await start();
});

afterEach(async () => {
  for (const source of sources) source.stop();
  await Promise.all(clients.map((client) => client.endAsync(true)));
  await gateway.kill();
  remove();
});

function start(): Promise<Running> {
  return runningGateway(join(folder, 'godwit.yaml'));
}

async function killed(): Promise<void> {
  await gateway.kill('SIGKILL');
  gateway = await start();
}

/** A client of a session that outlives its connections and the broker. */
function client(clientId: string, version: 4 | 5): MqttClient {
  const options: IClientOptions = {
    clientId,
    protocolVersion: version,
    clean: false,
    reconnectPeriod: 20,
    connectTimeout: 5000,
    ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }),
  };
  const made = connect(`mqtt://127.0.0.1:${port}`, { ...options, resubscribe: false });
  made.on('error', () => {});
  clients.push(made);
  return made;
}

function connected(one: MqttClient): Promise<void> {
  return one.connected ? Promise.resolve() : new Promise((resolve) => one.once('connect', () => resolve()));
}

function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

async function until(holds: () => boolean, what: () => string): Promise<void> {
  const endMs = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`waited in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Publishes numbered messages, some at a time, for as long as it is told to. */
class Source {
  readonly sent: string[] = [];
  readonly acknowledged = new Set<string>();
  readonly faults: string[] = [];
  readonly #client: MqttClient;
  readonly #name: string;
  readonly #qos: 1 | 2;
  #count = 0;
  #going = true;

  constructor(publisher: MqttClient, name: string, qos: 1 | 2, underWay = 20) {
    this.#client = publisher;
    this.#name = name;
    this.#qos = qos;
    for (let index = 0; index < underWay; index += 1) this.#next();
  }

  get underWay(): number {
    return this.sent.length - this.acknowledged.size;
  }

  get missing(): string[] {
    return this.sent.filter((payload) => !this.acknowledged.has(payload));
  }

  stop(): void {
    this.#going = false;
  }

  #next(): void {
    if (!this.#going) return;
    const payload = `${this.#name} ${this.#count}`;
    this.#count += 1;
    this.sent.push(payload);
    this.#client.publish(`site/${this.#name}`, payload, { qos: this.#qos }, (fault) => {
      // 0x92 in PUBCOMP: it was completed before the process died, and its PUBCOMP lost.
      const known = fault instanceof ErrorWithReasonCode && fault.code === 0x92;
      if (fault === null || fault === undefined || known) {
        this.acknowledged.add(payload);
      } else {
        // mqtt.js gives up what it was asked for while it sends old things again and the connection ends: never sent.
        this.faults.push(fault.message);
        this.sent.splice(this.sent.indexOf(payload), 1);
        // Not from within what gives up: it would go on for ever.
        setImmediate(() => this.#next());
        return;
      }
      this.#next();
    });
  }
}

test(`QoS 2 in both directions over ${KILLS} SIGKILLs: nothing missing, nothing twice, in order (seed ${SEED})`, async () => {
  const pick = numbers(SEED);
  const sinks = ([4, 5] as const).map((version) => {
    const received: string[] = [];
    const subscriber = client(`sink-${version}`, version);
    subscriber.on('message', (_topic, payload) => received.push(payload.toString()));
    return { subscriber, received };
  });
  for (const { subscriber } of sinks) {
    await connected(subscriber);
    await subscriber.subscribeAsync('site/#', { qos: 2 });
  }
  sources = ([4, 5] as const).map(
    (version) => new Source(client(`source-${version}`, version), `v${version}`, 2),
  );
  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = sinks[0]!.received.length;
    await until(
      () => sinks[0]!.received.length > before + 20,
      () => `messages after kill ${kill}`,
    );
    await new Promise((resolve) => setTimeout(resolve, pick(150)));
    await killed();
  }
  for (const source of sources) source.stop();
  await until(
    () => sources.every(({ underWay }) => underWay === 0),
    () => JSON.stringify(sources.map(({ underWay, faults, missing }) => ({ underWay, faults, missing }))),
  );
  const sent = sources.flatMap((source) => source.sent);
  for (const { received } of sinks) {
    await until(
      () => new Set(received).size >= sent.length,
      () => `${sent.length - new Set(received).size} of ${sent.length} missing`,
    );
    expect(received.filter((payload, at) => received.indexOf(payload) !== at)).toEqual([]);
    for (const source of sources) {
      const mine = received.filter((payload) => source.sent.includes(payload));
      expect(mine).toEqual(source.sent);
    }
  }
  expect(sent.length).toBeGreaterThan(KILLS * 20);
}, 180_000);

test.each([1, 2] as const)(
  '5,000 messages of QoS %i wait for an absent subscriber across two SIGKILLs',
  async (qos) => {
    const first = client('absent', 5);
    await connected(first);
    await first.subscribeAsync('site/#', { qos });
    await first.endAsync(true);
    const source = new Source(client('source', 5), 'a', qos, 100);
    sources.push(source);
    for (const count of [1500, 3500]) {
      await until(
        () => source.acknowledged.size >= count,
        () => `${source.acknowledged.size} acknowledged`,
      );
      await killed();
    }
    await until(
      () => source.sent.length >= 5000,
      () => `${source.sent.length} sent`,
    );
    source.stop();
    await until(
      () => source.underWay === 0,
      () => JSON.stringify({ faults: source.faults, missing: source.missing }),
    );
    await killed();
    const received: string[] = [];
    const back = client('absent', 5);
    back.on('message', (_topic, payload) => received.push(payload.toString()));
    await until(
      () => new Set(received).size >= source.sent.length,
      () => `${new Set(received).size} of ${source.sent.length} received`,
    );
    const firsts = received.filter((payload, at) => received.indexOf(payload) === at);
    expect(firsts).toEqual(source.sent);
    if (qos === 2) expect(received).toHaveLength(source.sent.length);
  },
  180_000,
);
