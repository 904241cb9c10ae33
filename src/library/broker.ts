/**
 * The broker for programs: `new Broker({ … }).start()`. The whole of MQTT 3.1.1 and 5.0, with the same options as the
 * section `broker` of the configuration file.
 *
 *   options ─▶ start ─▶ storage, then listeners ─▶ urls, publish, subscribe ─▶ close: nothing is left running
 */
import { resolve } from 'node:path';
import type { Authorizer } from '../broker/authorizer.js';
import { Broker as Server } from '../broker/broker.js';
import { type BrokerSection, loadBrokerSection } from '../config/broker-section.js';
import { type JournalConfig, journalSchema } from '../config/schema.js';
import { type Clock, SystemClock } from '../core/clock.js';
import { GodwitError } from '../core/error.js';
import { type Log, silentLog } from '../core/log.js';
import type { Message, MessageProperties, QoS } from '../core/message.js';
import type { Part } from '../core/part.js';
import { startAll } from '../core/part.js';
import type { BrokerSnapshot } from '../core/snapshot.js';
import type { Storage } from '../storage/storage.js';

/**
 * The keys of `broker` in the configuration file: `listeners`, `allow_anonymous`, `password_file`, `scram_file`,
 * `acl_file`, `limits`; without listeners it listens on `mqtt://127.0.0.1:1883`. And what only a program can give.
 */
export interface BrokerOptions extends BrokerSection {
  /**
   * The file that retained messages and sessions are kept in, so that they survive a restart and a crash. Absent: they
   * are in memory. One process at a time may use it.
   */
  readonly journal?: string;
  /** `power-loss` (the default) acknowledges what is flushed to the disk, `process-crash` what is written. */
  readonly durability?: JournalConfig['durability'];
  /** Who may connect, publish and subscribe, instead of files and `allow_anonymous`. */
  readonly authorizer?: Authorizer;
  /** Where it says what happens; a pino logger fits. Absent: nowhere. */
  readonly log?: Log;
  /** The folder in which relative paths begin; absent: the working directory. */
  readonly folder?: string;
  /**
   * Nobody knows any more what was acknowledged, since the storage has died: the process should end. Absent: it is
   * thrown as an uncaught exception.
   */
  readonly onFatal?: (fault: unknown) => void;
}

export interface PublishOptions {
  /** 0 where absent. */
  readonly qos?: QoS;
  readonly retain?: boolean;
  /** Of MQTT 5.0; subscribers of 3.1.1 get the message without. */
  readonly properties?: MessageProperties;
}

export class Broker {
  readonly #options: BrokerOptions;
  #server: Server | undefined;
  #stop: (() => Promise<void>) | undefined;

  constructor(options: BrokerOptions = {}) {
    this.#options = options;
  }

  /** Resolves when clients can connect. What is wrong with the options is one GodwitError `CONFIG`. */
  async start(): Promise<this> {
    if (this.#server !== undefined) throw new GodwitError('BROKER_STARTED', 'The broker was started before');
    const { authorizer, log = silentLog } = this.#options;
    const clock = new SystemClock();
    const { config, secrets, access } = this.#load();
    const storage = await this.#openStorage(clock, log);
    const server = new Server({
      config,
      secrets,
      access,
      clock,
      log,
      ...(storage === undefined ? {} : { storage }),
      ...(authorizer === undefined ? {} : { authorizer }),
    });
    this.#server = server;
    try {
      this.#stop = await startAll(storage === undefined ? [server] : [storage, server]);
    } catch (fault) {
      this.#server = undefined;
      throw fault;
    }
    return this;
  }

  /** Where it listens, with real port numbers where the options say 0. */
  get urls(): readonly string[] {
    return this.#running.urls;
  }

  /** Resolves when it is accepted: at once, or, with a journal, once what must be kept of it is durable. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false, properties } = options;
    const message: Message = {
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      qos,
      retain,
      ...(properties === undefined ? {} : { properties }),
    };
    const server = this.#running;
    return new Promise((resolve, reject) => {
      server.publish(
        { kind: 'message', message },
        {
          accepted: (ok) => {
            if (ok) resolve();
            else
              reject(new GodwitError('PUBLISH_REFUSED', `The message for '${topic}' was refused`, { topic }));
          },
        },
      );
    });
  }

  /** Calls back for every message that matches. Returns the way to end it. */
  subscribe(topicFilter: string, deliver: (message: Message) => void): () => void {
    return this.#running.subscribe(topicFilter, deliver);
  }

  /** What it has counted since the start. */
  snapshot(): BrokerSnapshot {
    return this.#running.snapshot();
  }

  /** Reads certificates, password, SCRAM and ACL files again; connections stand. Throws as `start` does, and changes nothing. */
  reload(): void {
    const server = this.#running;
    const { config, secrets, access } = this.#load();
    server.reloadAccess(access, config.allow_anonymous);
    server.reloadCertificates(config.listeners, secrets);
  }

  /** Tells clients, closes everything, and leaves nothing running. May be called twice. */
  async close(): Promise<void> {
    const stop = this.#stop;
    this.#stop = undefined;
    await stop?.();
  }

  get #running(): Server {
    if (this.#server === undefined || this.#stop === undefined) {
      throw new GodwitError('BROKER_NOT_RUNNING', 'The broker is not running; await start() first');
    }
    return this.#server;
  }

  #load(): ReturnType<typeof loadBrokerSection> {
    const {
      journal: _journal,
      durability: _durability,
      authorizer,
      log: _log,
      folder = process.cwd(),
      onFatal: _onFatal,
      ...section
    } = this.#options;
    // An authorizer decides about anonymous clients itself.
    return loadBrokerSection(
      authorizer === undefined ? section : { ...section, allow_anonymous: true },
      folder,
    );
  }

  async #openStorage(clock: Clock, log: Log): Promise<(Storage & Part) | undefined> {
    const { journal, durability, folder = process.cwd(), onFatal } = this.#options;
    if (journal === undefined) return undefined;
    // Loaded only where it is needed: it brings SQLite.
    const { WorkerStorage } = await import('../storage/worker-storage.js');
    const config = journalSchema.parse(durability === undefined ? {} : { durability });
    return new WorkerStorage({
      path: resolve(folder, journal),
      config,
      clock,
      log,
      onFatal: onFatal ?? throwUncaught,
    });
  }
}

function throwUncaught(fault: unknown): void {
  setImmediate(() => {
    throw fault;
  });
}
