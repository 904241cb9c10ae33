/**
 * A broker with a disk, and clients, all in one process and without sockets: every packet that arrives, every turn of
 * the event loop and every commit is a step of its own, and between any two of them the process may die.
 *
 *   step: a client's packet arrives │ a client reads a packet │ a turn ends │ a commit is done
 *
 * The clients keep their side of a session as the standard has it, over connections and over deaths of the broker.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker/broker.js';
import type { Transport, TransportUser } from '../../src/broker/transport.js';
import { brokerSchema } from '../../src/config/schema.js';
import { silentLog } from '../../src/core/log.js';
import { Decoder } from '../../src/mqtt/decoder.js';
import { encode } from '../../src/mqtt/encoder.js';
import type { Packet, ProtocolVersion } from '../../src/mqtt/packet.js';
import type { Properties } from '../../src/mqtt/property.js';
import { InlineStorage } from '../../src/storage/inline-storage.js';
import { FakeClock } from './fake-clock.js';

export interface WorldOptions {
  readonly path: string;
  readonly limits?: object;
  readonly broker?: Partial<BrokerOptions>;
  readonly fault?: () => { readonly code: string; readonly reason: string } | undefined;
  readonly sessionsBytesMax?: number;
}

export class World {
  readonly clock = new FakeClock({ monotonicMs: 1000 });
  readonly clients: SimClient[] = [];
  readonly #options: WorldOptions;
  #storage: InlineStorage | undefined;
  #broker: Broker | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  get path(): string {
    return this.#options.path;
  }

  get broker(): Broker {
    if (this.#broker === undefined) throw new Error('the broker is dead');
    return this.#broker;
  }

  get storage(): InlineStorage {
    if (this.#storage === undefined) throw new Error('the broker is dead');
    return this.#storage;
  }

  async boot(): Promise<void> {
    const { path, limits = {}, broker, fault, sessionsBytesMax } = this.#options;
    this.#storage = new InlineStorage({
      path,
      clock: this.clock,
      hold: true,
      ...(sessionsBytesMax === undefined ? {} : { sessionsBytesMax }),
      ...(fault === undefined ? {} : { fault }),
    });
    await this.#storage.start();
    this.#broker = new Broker({
      config: { ...brokerSchema.parse({ limits }), listeners: [], allow_anonymous: true },
      storage: this.#storage,
      clock: this.clock,
      log: silentLog,
      ...broker,
    });
    await this.#broker.start();
  }

  /** The process dies: what was not committed is gone, and so is every connection. */
  crash(): void {
    for (const client of this.clients) client.cut();
    this.#storage?.crash();
    this.#storage = undefined;
    this.#broker = undefined;
  }

  client(clientId: string, options: Partial<SimOptions> = {}): SimClient {
    const client = new SimClient(this, { clientId, ...options });
    this.clients.push(client);
    return client;
  }

  /** Everyone is here, the disk works, and all that was begun comes to its end. */
  async settle(): Promise<void> {
    for (const client of this.clients) if (!client.connected) client.connect();
    await this.run();
  }

  async turn(): Promise<void> {
    for (let round = 0; round < 3; round += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Takes step after step, in turn, until nothing happens any more; `stepsMax` of them at most. Returns how many. */
  async run(stepsMax = Number.POSITIVE_INFINITY): Promise<number> {
    let taken = 0;
    for (let quiet = 0; quiet < 3; quiet += 1) {
      for (;;) {
        const packets = this.clients.filter(({ sending, arrived }) => sending > 0 || arrived > 0);
        if (packets.length === 0) break;
        quiet = 0;
        for (const client of packets) {
          for (const act of [() => client.arrive(), () => client.read()]) {
            if (taken >= stepsMax) return taken;
            taken += 1;
            act();
            await this.turn();
          }
        }
        if (taken >= stepsMax) return taken;
        taken += 1;
        this.storage.commitNow();
      }
      await this.turn();
      if (taken >= stepsMax) return taken;
      taken += 1;
      this.storage.commitNow();
      await this.turn();
    }
    return taken;
  }
}

export interface SimOptions {
  readonly clientId: string;
  readonly version: ProtocolVersion;
  readonly subscribe: string;
  readonly subscribeQoS: 1 | 2;
  readonly receiveMaximum: number;
  readonly expirySeconds: number;
  readonly cleanStart: boolean;
  readonly will: { readonly topic: string; readonly payload: string; readonly delaySeconds: number };
  /** Packet Identifiers that it uses: few, and one comes again soon. */
  readonly identifiers: number;
}

interface Publishing {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly properties: Properties | undefined;
}

interface Outgoing extends Publishing {
  phase: 'published' | 'released';
}

export class SimClient {
  /** Every message that was handed to the application, in order. */
  readonly received: { readonly payload: string; readonly qos: number; readonly topic: string }[] = [];
  /** Payloads whose PUBLISH was acknowledged by PUBACK or PUBREC. */
  readonly acknowledged = new Set<string>();
  readonly violations: string[] = [];
  /** Packets that came, by type. */
  readonly log: Packet[] = [];
  sessionPresent: boolean | undefined;
  readonly #world: World;
  readonly #options: Partial<SimOptions> & { readonly clientId: string };
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Set<number>();
  #toPublish: Publishing[] = [];
  #hasWill = true;
  #lastIdentifier = 0;
  #window = 0xffff;
  #welcomed = false;
  #isWelcome = false;
  #subscribed = false;
  #user: TransportUser | undefined;
  #outbox: Packet[] = [];
  #inbox: Packet[] = [];
  #decoder: Decoder | undefined;

  constructor(world: World, options: Partial<SimOptions> & { readonly clientId: string }) {
    this.#world = world;
    this.#options = options;
  }

  get version(): ProtocolVersion {
    return this.#options.version ?? 5;
  }

  get connected(): boolean {
    return this.#user !== undefined;
  }

  /** Packets on their way to the broker. */
  get sending(): number {
    return this.#outbox.length;
  }

  /** Packets that wait for the client to read them. */
  get arrived(): number {
    return this.#inbox.length;
  }

  /** What it sent, or is still to send, and has no last answer to. */
  get unfinished(): string[] {
    return [...this.#outgoing.values(), ...this.#toPublish].map(({ payload }) => payload.slice(0, 20));
  }

  connect(): void {
    const decoder = new Decoder({
      maximumPacketSize: 268_435_460,
      receiver: 'client',
      protocolVersion: this.version,
    });
    this.#decoder = decoder;
    this.#inbox = [];
    this.#isWelcome = false;
    const transport: Transport = {
      remoteAddress: '127.0.0.1',
      pendingBytes: 0,
      write: (bytes) => {
        if (this.#decoder !== decoder) return true;
        // The buffer is the broker's to write to again.
        decoder.push(new Uint8Array(bytes));
        for (let next = decoder.next(); next.kind !== 'incomplete'; next = decoder.next()) {
          if (next.kind === 'malformed') throw new Error(next.why);
          this.#inbox.push(next.packet);
        }
        return true;
      },
      end: () => this.#ended(decoder),
      destroy: () => this.#ended(decoder),
      pause: () => {},
      resume: () => {},
    };
    const user = this.#world.broker.accept(transport);
    if (user === undefined) throw new Error('not accepted');
    this.#user = user;
    const { clientId, expirySeconds = 3600, receiveMaximum, cleanStart = false, will } = this.#options;
    this.#outbox = [
      {
        type: 'connect',
        protocolVersion: this.version,
        clientId,
        cleanStart,
        keepAlive: 0,
        ...(will !== undefined &&
          this.#hasWill && {
            will: {
              topic: will.topic,
              payload: Buffer.from(will.payload),
              qos: 1,
              retain: false,
              properties: { willDelayInterval: will.delaySeconds },
            },
          }),
        ...(this.version === 5 && {
          properties: {
            sessionExpiryInterval: expirySeconds,
            ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
          },
        }),
      },
    ];
  }

  /** The network fails. The broker learns of it. */
  drop(): void {
    const user = this.#user;
    this.cut();
    user?.closed();
  }

  /** The network fails, and there is nobody to tell. */
  cut(): void {
    this.#user = undefined;
    this.#decoder = undefined;
    this.#outbox = [];
    this.#inbox = [];
    this.#isWelcome = false;
  }

  /** It has seen SUBACK. */
  get subscribed(): boolean {
    return this.#subscribed;
  }

  get welcome(): boolean {
    return this.#isWelcome;
  }

  /** It will connect without its Will. */
  withoutWill(): void {
    this.#hasWill = false;
  }

  publish(payload: string, qos: 1 | 2, topic = 't', properties?: Properties, retain = false): void {
    this.#toPublish.push({ topic, payload, qos, retain, properties });
    if (this.#isWelcome) this.#publishAll();
  }

  send(packet: Packet): void {
    this.#outbox.push(packet);
  }

  /** The next packet reaches the broker. */
  arrive(): void {
    const packet = this.#outbox.shift();
    if (packet !== undefined) this.#user?.received(encode(packet, this.version));
  }

  /** Reads and answers the next packet. */
  read(): void {
    const packet = this.#inbox.shift();
    if (packet === undefined) return;
    this.log.push(packet);
    switch (packet.type) {
      case 'connack':
        this.#window = packet.properties?.receiveMaximum ?? 0xffff;
        this.#connack(packet.sessionPresent, packet.reasonCode);
        return;
      case 'suback':
        this.#subscribed = true;
        return;
      case 'publish': {
        const payload = Buffer.from(packet.payload).toString();
        const { qos, topic, packetIdentifier = 0 } = packet;
        if (qos < 2 || !this.#incoming.has(packetIdentifier)) this.received.push({ payload, qos, topic });
        if (qos === 1) this.send({ type: 'puback', packetIdentifier, reasonCode: 0 });
        if (qos === 2) {
          this.#incoming.add(packetIdentifier);
          this.send({ type: 'pubrec', packetIdentifier, reasonCode: 0 });
        }
        return;
      }
      case 'pubrel':
        this.#incoming.delete(packet.packetIdentifier);
        this.send({ type: 'pubcomp', packetIdentifier: packet.packetIdentifier, reasonCode: 0 });
        return;
      case 'puback': {
        const sent = this.#outgoing.get(packet.packetIdentifier);
        if (sent === undefined || packet.reasonCode >= 0x80) return;
        this.acknowledged.add(sent.payload);
        this.#outgoing.delete(packet.packetIdentifier);
        this.#publishAll();
        return;
      }
      case 'pubrec': {
        const sent = this.#outgoing.get(packet.packetIdentifier);
        if (sent !== undefined && packet.reasonCode < 0x80) {
          this.acknowledged.add(sent.payload);
          sent.phase = 'released';
        }
        this.send({ type: 'pubrel', packetIdentifier: packet.packetIdentifier, reasonCode: 0 });
        return;
      }
      case 'pubcomp':
        this.#outgoing.delete(packet.packetIdentifier);
        this.#publishAll();
        return;
      default:
    }
  }

  #connack(sessionPresent: boolean, reasonCode: number): void {
    if (reasonCode !== 0) throw new Error(`CONNECT was refused: ${reasonCode}`);
    // Once the broker has said that there is a session, it must be there.
    if (this.#welcomed && !sessionPresent) this.violations.push('the session was lost');
    this.sessionPresent = sessionPresent;
    this.#welcomed = true;
    this.#isWelcome = true;
    for (const [packetIdentifier, sent] of this.#outgoing) {
      if (sent.phase === 'released') this.send({ type: 'pubrel', packetIdentifier, reasonCode: 0 });
      else this.#sendPublish(packetIdentifier, sent, true);
    }
    const { subscribe, subscribeQoS = 2 } = this.#options;
    if (subscribe !== undefined && !this.#subscribed) {
      this.send({
        type: 'subscribe',
        packetIdentifier: 65_000,
        subscriptions: [
          {
            topicFilter: subscribe,
            qos: subscribeQoS,
            noLocal: false,
            retainAsPublished: false,
            retainHandling: 0,
          },
        ],
      });
    }
    this.#publishAll();
  }

  #publishAll(): void {
    const { identifiers = 60_000 } = this.#options;
    while (this.#toPublish.length > 0 && this.#outgoing.size < Math.min(identifiers, this.#window)) {
      const next = this.#toPublish.shift()!;
      do this.#lastIdentifier = (this.#lastIdentifier % identifiers) + 1;
      while (this.#outgoing.has(this.#lastIdentifier));
      this.#outgoing.set(this.#lastIdentifier, { ...next, phase: 'published' });
      this.#sendPublish(this.#lastIdentifier, next, false);
    }
  }

  #sendPublish(packetIdentifier: number, sent: Publishing, dup: boolean): void {
    const { topic, payload, qos, retain, properties } = sent;
    this.send({
      type: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos,
      retain,
      dup,
      packetIdentifier,
      ...(properties === undefined ? {} : { properties }),
    });
  }

  #ended(decoder: Decoder): void {
    if (this.#decoder !== decoder) return;
    const user = this.#user;
    // What was said before the end is still read.
    this.#user = undefined;
    this.#decoder = undefined;
    this.#outbox = [];
    this.#isWelcome = false;
    queueMicrotask(() => user?.closed());
  }
}

/** A world with a folder of its own, for one test. */
export function temporaryWorld(options: Partial<WorldOptions> = {}): World {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-session-'));
  const world = new World({ path: join(folder, 'journal.db'), ...options });
  onTestFinished(() => {
    world.crash();
    rmSync(folder, { recursive: true, force: true });
  });
  return world;
}

/**
 * The oracle: nothing that was acknowledged is missing, nothing came twice at QoS 2, and each QoS kept its order.
 * `sent`: what the publisher published, in order; other messages of the subscriber's are none of its business.
 */
export function judge(publisher: SimClient, subscriber: SimClient, sent: readonly string[]): void {
  expect(publisher.violations).toEqual([]);
  expect(subscriber.violations).toEqual([]);
  const received = subscriber.received.filter(({ payload }) => sent.includes(payload));
  const payloads = received.map(({ payload }) => payload);
  const missing = [...publisher.acknowledged].filter((payload) => !payloads.includes(payload));
  expect(missing, 'acknowledged and never delivered').toEqual([]);
  const twice = received.filter(({ payload, qos }, at) => qos === 2 && payloads.indexOf(payload) !== at);
  expect(twice, 'delivered twice at QoS 2').toEqual([]);
  for (const qos of [1, 2]) {
    const firsts = received.filter((one, at) => one.qos === qos && payloads.indexOf(one.payload) === at);
    const order = firsts.map(({ payload }) => sent.indexOf(payload));
    expect(order, 'in the order of publishing').toEqual([...order].sort((a, b) => a - b));
  }
}
