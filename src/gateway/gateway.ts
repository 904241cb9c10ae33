/**
 * The gateway as a whole: builds the parts, starts sinks before sources, stops them the other way round, and is
 * the only place that knows there is more than one.
 *
 *   storage ◀── broker ◀── bridges, pipeline ◀── drivers        web looks on
 */
import { Bridge } from '../bridge/bridge.js';
import type { BridgeOptions } from '../bridge/bridge-options.js';
import { routeFor } from '../bridge/forward.js';
import type { ReplayJob } from '../bridge/replay-job.js';
import { networkAddresses } from '../bridge/retry-wait.js';
import type { Dial } from '../bridge/transport.js';
import { Broker } from '../broker/broker.js';
import type { Transport, TransportUser } from '../broker/transport.js';
import { brokerWithin } from '../config/check-journal.js';
import { DERIVED } from '../config/derived.js';
import type { BridgeSecrets, LoadedConfig } from '../config/load.js';
import { profileFiles } from '../config/profile-files.js';
import type { BridgeConfig, Config } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import { type Part, startAll } from '../core/part.js';
import type { DeviceSnapshot, Snapshot } from '../core/snapshot.js';
import type { Stamp } from '../core/stamp.js';
import { VERSION } from '../core/version.js';
import type { Driver } from '../drivers/driver.js';
import { openDriver } from '../drivers/open-driver.js';
import { Mapper } from '../mapping/rule-mapper.js';
import type { StorageFront } from '../storage/storage-front.js';
import { WorkerStorage } from '../storage/worker-storage.js';
import { WebServer } from '../web/server.js';
import { Answers } from './answers.js';
import { ClockTrust, type TimeSource } from './clock-trust.js';
import { CommandDesk, commandRoutes } from './command-desk.js';
import { FieldDesk, fieldRoutes } from './field-desk.js';
import { journalRoutes } from './journal-routes.js';
import { tellLeftBehind } from './left-behind.js';
import { LossTeller } from './loss-teller.js';
import { Origin } from './origin.js';
import { Pipeline } from './pipeline.js';
import { anonymousUntilRestart, planChange } from './plan.js';
import { RemoteCommands } from './remote-commands.js';
import { type ReplayAnswer, ReplayDesk, replayRoutes } from './replay-desk.js';
import { RoutingTable } from './routing.js';
import { socketPathOf } from './socket-path.js';

export interface GatewayOptions {
  readonly loaded: LoadedConfig;
  readonly log: Log;
  readonly clock: Clock;
  /** Nobody knows what was acknowledged any more: the process must end. */
  readonly onFatal: (fault: unknown) => void;
  readonly random?: () => number;
  readonly world?: World;
}

/** What the simulator puts in the place of threads, sockets and the machine's time daemon; nobody looks on there. */
export interface World {
  readonly storage: StorageFront;
  readonly dial: Dial;
  readonly time: TimeSource;
}

export class Gateway {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #dial: Dial | undefined;
  readonly #trust: ClockTrust;
  readonly #since: number;
  readonly #storage: StorageFront;
  readonly #routing: RoutingTable;
  readonly #broker: Broker;
  readonly #pipeline: Pipeline;
  readonly #web: Part;
  readonly #desk: ReplayDesk;
  readonly #remote: RemoteCommands;
  readonly #commands: CommandDesk;
  readonly #origin = new Origin();
  readonly #field: FieldDesk;
  readonly #drivers = new Map<string, Driver>();
  readonly #bridges = new Map<string, Bridge>();
  #loaded: LoadedConfig;
  /** What cannot change under a running process is still as it says. */
  readonly #startedWith: Config;
  #state: Snapshot['state'] = 'starting';
  #stopParts: (() => Promise<void>) | undefined;

  constructor(options: GatewayOptions) {
    this.#loaded = options.loaded;
    this.#startedWith = options.loaded.config;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#since = options.clock.wallMs();
    const { world } = options;
    this.#dial = world?.dial;
    this.#trust = new ClockTrust({
      clock: options.clock,
      log: options.log,
      ...(world && { machine: world.time }),
    });
    const { config, journalPath } = options.loaded;
    const { clock, log } = options;
    this.#storage =
      world?.storage ??
      new WorkerStorage({
        path: journalPath,
        config: config.journal,
        log,
        clock,
        clockTrusted: () => this.#trust.trusted,
        onFatal: options.onFatal,
      });
    this.#routing = new RoutingTable(config.journal.record, (route) => this.#storage.routeId(route));
    this.#broker = new Broker({
      config: brokerWithin(config),
      access: options.loaded.access ?? {},
      secrets: options.loaded.secrets.listeners,
      storage: this.#storage,
      routing: this.#routing.of,
      isCommand: (topic) => this.#commands.isCommandTopic(topic),
      clock,
      log,
      clockTrusted: () => this.#trust.trusted,
      version: VERSION,
    });
    this.#pipeline = new Pipeline({
      gatewayId: config.gateway.id,
      mapping: this.#mapperOf(config),
      clock,
      stamp: () => this.#stamp(),
      publish: (content, accepted) => this.#broker.publish(content, { urgent: false, accepted }),
      refused: (topic, atMs) =>
        this.#storage.lose({ lost: 1, reason: 'full', bridge: null, from: atMs, to: atMs, topics: [topic] }),
    });
    this.#desk = new ReplayDesk({
      storage: this.#storage,
      bridges: () => Object.keys(this.#loaded.config.bridges),
      changed: (bridge) => this.#bridges.get(bridge)?.replaysChanged(),
      clock,
    });
    const answers = new Answers({ broker: this.#broker, storage: this.#storage, clock });
    this.#commands = new CommandDesk({
      gatewayId: config.gateway.id,
      config: () => this.#loaded.config.commands,
      devices: () => this.#loaded.config.devices,
      driver: (bus) => this.#drivers.get(bus),
      broker: this.#broker,
      storage: this.#storage,
      answers,
      origin: this.#origin,
      clock,
      clockTrusted: () => this.#trust.trusted,
    });
    this.#remote = new RemoteCommands({
      gatewayId: config.gateway.id,
      broker: this.#broker,
      answers,
      origin: this.#origin,
      desk: this.#desk,
      snapshot: () => this.snapshot(),
      acknowledge: (alarmId) => this.#pipeline.acknowledge(alarmId),
    });
    this.#field = new FieldDesk({
      devices: () => this.#loaded.config.devices,
      buses: () => Object.keys(this.#loaded.config.buses),
      driver: (bus) => this.#drivers.get(bus),
      profiles: () => profileFiles(options.loaded.folder),
      committed: () => new Promise((resolve) => this.#storage.afterCommit(() => resolve())),
      watch: (filter, deliver) => this.#broker.subscribe(filter, deliver),
    });
    this.#web = world === undefined ? this.#webServer() : part('web', nothing, nothing);
  }

  get statusTopic(): string {
    const { id, status_topic } = this.#loaded.config.gateway;
    return status_topic.replaceAll('{gateway}', id);
  }

  /** Where clients connect, with real port numbers. */
  get brokerUrls(): readonly string[] {
    return this.#broker.urls;
  }

  get readingsTaken(): number {
    return this.#pipeline.readingsTaken;
  }

  /** Everything that is published locally, for the demo's live line. */
  watch(topicFilter: string, deliver: (message: Message) => void): () => void {
    return this.#broker.subscribe(topicFilter, deliver);
  }

  /** A client's stream that came in by no listener. */
  accept(transport: Transport): TransportUser | undefined {
    return this.#broker.accept(transport);
  }

  async start(): Promise<void> {
    const { config } = this.#loaded;
    const parts: Part[] = [
      this.#trust,
      this.#storage,
      this.#broker,
      part(
        'bridges',
        () => this.#startBridges(Object.keys(config.bridges)),
        () => this.#stopBridges([...this.#bridges.keys()]),
      ),
      part(
        'status',
        async () => this.#publishStatus('online'),
        async () => this.#publishStatus('shutdown'),
      ),
      new LossTeller({
        topic: `godwit/${config.gateway.id}/losses`,
        storage: this.#storage,
        publish: (message) => {
          let taken = true;
          this.#broker.publish(
            { kind: 'message', message },
            {
              urgent: false,
              accepted: (ok) => {
                taken = ok;
              },
            },
          );
          return taken;
        },
        clock: this.#clock,
        log: this.#log,
      }),
      this.#remote,
      this.#commands,
      this.#pipeline,
      part(
        'drivers',
        () => this.#startDrivers(Object.keys(config.buses)),
        () => this.#stopDrivers([...this.#drivers.keys()]),
      ),
      this.#web,
    ];
    this.#stopParts = await startAll(parts);
    this.#state = 'running';
    this.#log.info(
      { gateway: config.gateway.id, version: VERSION, listeners: this.#broker.urls },
      'Gateway is running',
    );
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    await this.#stopParts?.();
    this.#log.info({ gateway: this.#loaded.config.gateway.id }, 'Gateway has stopped');
  }

  /** Takes over what a new configuration changes; everything else runs on. */
  async reload(loaded: LoadedConfig): Promise<void> {
    const before = this.#loaded;
    const after = loaded.config;
    const fresh = new Set(Object.keys(after.bridges).filter((name) => !sameSecrets(before, loaded, name)));
    const plan = planChange(before.config, after, fresh);
    await this.#stopDrivers(plan.stopBuses);
    await this.#stopBridges(plan.stopBridges);
    this.#broker.reloadAccess(
      loaded.access ?? {},
      anonymousUntilRestart(this.#startedWith.broker, after.broker),
    );
    this.#broker.reloadCertificates(after.broker.listeners, loaded.secrets.listeners);
    this.#loaded = {
      ...loaded,
      journalPath: before.journalPath,
      config: {
        ...after,
        gateway: {
          ...after.gateway,
          id: before.config.gateway.id,
          status_topic: before.config.gateway.status_topic,
        },
      },
    };
    for (const device of plan.forgetDevices) this.#pipeline.forget(device);
    this.#commands.listen();
    if (plan.remap) this.#pipeline.remap(this.#mapperOf(this.#loaded.config));
    await this.#startBridges(plan.startBridges);
    await this.#startDrivers(plan.startBuses);
    if (plan.needsRestart.length > 0) {
      this.#log.warn(
        { sections: plan.needsRestart },
        'These sections changed and take effect after a restart',
      );
    }
    this.#log.info(
      { buses: plan.startBuses, bridges: plan.startBridges, remapped: plan.remap },
      'Configuration was reloaded',
    );
  }

  snapshot(): Snapshot {
    const { config } = this.#loaded;
    const journal = this.#storage.snapshot();
    const memory = process.memoryUsage();
    return {
      gateway: config.gateway.id,
      version: VERSION,
      state: this.#state === 'running' && journal.state !== 'ok' ? 'degraded' : this.#state,
      since: this.#since,
      clock: { now: this.#clock.wallMs(), trusted: this.#trust.trusted },
      devices: Object.fromEntries([
        ...Object.keys(config.devices).map((name) => [name, this.#deviceSnapshot(name)] as const),
        ...(Object.keys(config.derived).length === 0 ? [] : [[DERIVED, this.#derivedSnapshot()] as const]),
      ]),
      buses: Object.fromEntries([...this.#drivers].map(([bus, driver]) => [bus, driver.snapshot()])),
      broker: this.#broker.snapshot(),
      bridges: Object.fromEntries([...this.#bridges].map(([name, bridge]) => [name, bridge.snapshot()])),
      journal,
      alarms: this.#pipeline.alarms(),
      memory: { rss: memory.rss, heapUsed: memory.heapUsed, external: memory.external },
    };
  }

  #webServer(): WebServer {
    const { config, journalPath } = this.#loaded;
    return new WebServer({
      socketPath: socketPathOf(journalPath),
      ...(config.http === undefined ? {} : { listen: config.http.listen }),
      snapshot: () => this.snapshot(),
      routes: [
        ...journalRoutes(
          this.#storage,
          () => new Map([...this.#bridges].map(([name, bridge]) => [name, bridge.snapshot()])),
        ),
        ...replayRoutes(this.#desk),
        ...fieldRoutes(this.#field),
        ...commandRoutes(this.#commands),
      ],
      log: this.#log,
    });
  }

  #deviceSnapshot(name: string): DeviceSnapshot {
    const bus = this.#loaded.config.devices[name]?.bus ?? '';
    const state = this.#pipeline.state(name);
    const counters = this.#drivers.get(bus)?.counters(name) ?? { polls: 0, failures: 0 };
    return {
      bus,
      state: state?.state ?? 'unknown',
      ...(state?.reason === undefined ? {} : { reason: state.reason }),
      since: state?.since ?? this.#since,
      ...counters,
      points: this.#pipeline.points(name),
    };
  }

  /** Computed points are reckoned whenever the gateway runs. */
  #derivedSnapshot(): DeviceSnapshot {
    const points = this.#pipeline.points(DERIVED);
    return { bus: 'computed', state: 'online', since: this.#since, polls: 0, failures: 0, points };
  }

  /** The gateway's own status on its own broker; each bridge tells its server by itself. */
  #publishStatus(state: 'online' | 'shutdown'): void {
    const payload = Buffer.from(
      JSON.stringify(
        state === 'online'
          ? { state: 'online', since: this.#since, version: VERSION }
          : { state: 'offline', reason: 'shutdown' },
      ),
    );
    this.#broker.publish({
      kind: 'message',
      message: { topic: this.statusTopic, payload, qos: 1, retain: true },
    });
  }

  /** As `godwit replay` asks for it. */
  replay(asked: unknown): ReplayAnswer {
    return this.#desk.begin(asked);
  }

  get replays(): readonly ReplayJob[] {
    return this.#desk.jobs.all;
  }

  async #startBridges(names: readonly string[]): Promise<void> {
    const { config, secrets } = this.#loaded;
    this.#routing.use(
      Object.entries(config.bridges).map(([bridge, rules]) => ({
        bridge,
        routeFor: (topic: string) =>
          routeFor(bridge, rules, { id: config.gateway.id, statusTopic: this.statusTopic }, topic),
      })),
    );
    for (const name of names) {
      const bridge = new Bridge({
        name,
        config: config.bridges[name] as BridgeConfig,
        secrets: bridgeSecrets(config.bridges[name] as BridgeConfig, secrets.bridges[name] ?? {}),
        folder: this.#loaded.folder,
        gateway: {
          id: config.gateway.id,
          version: VERSION,
          since: this.#since,
          statusTopic: this.statusTopic,
        },
        storage: this.#storage,
        publish: (message, accepted) =>
          this.#origin.during(name, () =>
            this.#broker.publish({ kind: 'message', message }, { origin: name, accepted }),
          ),
        replays: this.#desk.jobs,
        clock: this.#clock,
        log: this.#log,
        random: this.#random,
        // A network that is made up has no addresses of this machine.
        ...(this.#dial ? { dial: this.#dial } : { network: networkAddresses }),
      });
      this.#bridges.set(name, bridge);
      await bridge.start();
    }
    tellLeftBehind(this.#storage, Object.keys(config.bridges), this.#log);
  }

  async #stopBridges(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#stopOne(this.#bridges, name)));
  }

  async #startDrivers(buses: readonly string[]): Promise<void> {
    const { config } = this.#loaded;
    for (const bus of buses) {
      const busConfig = config.buses[bus];
      if (busConfig === undefined) continue;
      const driver = await openDriver({
        bus,
        config: busConfig,
        devices: new Map(Object.entries(config.devices).filter(([, device]) => device.bus === bus)),
        sink: this.#pipeline,
        clock: this.#clock,
        stamp: () => this.#stamp(),
        log: this.#log,
        keyValue: this.#storage.keyValue(`bus/${bus}`),
        random: this.#random,
        subscribe: (filter, deliver) =>
          this.#broker.subscribe(filter, (message) => {
            if (!this.#pipeline.publishing) deliver(message);
          }),
      });
      this.#drivers.set(bus, driver);
      await driver.start();
    }
  }

  async #stopDrivers(buses: readonly string[]): Promise<void> {
    await Promise.all(buses.map((bus) => this.#stopOne(this.#drivers, bus)));
  }

  /** A part that cannot stop cleanly must not keep the others from stopping. */
  async #stopOne(parts: Map<string, Part>, name: string): Promise<void> {
    const stopping = parts.get(name);
    parts.delete(name);
    await stopping?.stop().catch((fault: unknown) => {
      this.#log.error({ part: stopping.name, reason: reasonOf(fault) }, 'A part did not stop cleanly');
    });
  }

  #mapperOf(config: Config): Mapper {
    return new Mapper({
      gatewayId: config.gateway.id,
      tags: config.gateway.tags,
      devices: config.devices,
      derived: config.derived,
      alarms: config.alarms,
      mappings: config.mappings,
      keyValue: this.#storage.keyValue('mapping'),
    });
  }

  #stamp(): Stamp {
    return {
      wallMs: this.#clock.wallMs(),
      monotonicMs: this.#clock.monotonicMs(),
      bootId: this.#trust.bootId,
      trusted: this.#trust.trusted,
    };
  }
}

/** A password comes from its file or stands in the configuration; never both. */
function bridgeSecrets(config: BridgeConfig, files: BridgeSecrets): BridgeOptions['secrets'] {
  const { password = config.password, passwordFile, ...tls } = files;
  return {
    ...(password === undefined ? {} : { password }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
    tls,
  };
}

const nothing = async (): Promise<void> => {};

function part(name: string, start: () => Promise<void>, stop: () => Promise<void>): Part {
  return { name, start, stop };
}

function sameSecrets(before: LoadedConfig, after: LoadedConfig, bridge: string): boolean {
  const text = (loaded: LoadedConfig): string =>
    JSON.stringify(loaded.secrets.bridges[bridge] ?? {}, (_key, value: unknown) =>
      Buffer.isBuffer(value) ? value.toString('base64') : value,
    );
  return text(before) === text(after);
}
