import { join } from 'node:path';
import type { Authorizer, Credentials, Identity } from '../../../src/broker/authorizer.js';
import { Broker } from '../../../src/broker/broker.js';
import { type BrokerConfig, configSchema } from '../../../src/config/schema.js';
import type { ScramFile } from '../../../src/config/scram-file.js';
import { SystemClock } from '../../../src/core/clock.js';
import { silentLog } from '../../../src/core/log.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { scratch } from '../../support/process.js';
import type { Peer, PeerOptions } from './peer.js';
import { SCRAM_USERS, verifierOf } from './scram.js';

/** Our broker in this process with a journal of its own, real sockets and real time. */
export class GodwitPeer implements Peer {
  readonly keepsSessions = true;
  webSocketPort: number | undefined;
  port = 0;
  readonly #config: BrokerConfig;
  readonly #guarded: boolean;
  readonly #scram: boolean;
  readonly #scratch = scratch();
  #storage: InlineStorage | undefined;
  #broker: Broker | undefined;

  constructor(limits: PeerOptions) {
    this.#guarded = limits.guarded === true;
    this.#scram = limits.scram === true;
    const given = (urls: readonly string[]): unknown => ({
      gateway: { id: 'conformance' },
      broker: {
        listeners: urls.map((url) => ({ url })),
        allow_anonymous: true,
        limits: {
          ...(limits.maxPacketSize === undefined ? {} : { max_packet_size: `${limits.maxPacketSize}B` }),
          ...(limits.maxInflight === undefined ? {} : { max_inflight: limits.maxInflight }),
          ...(limits.maxKeepAliveSeconds === undefined
            ? {}
            : { max_keepalive: `${limits.maxKeepAliveSeconds}s` }),
          ...(limits.maximumQos === undefined ? {} : { maximum_qos: limits.maximumQos }),
          ...(limits.retainAvailable === undefined ? {} : { retain_available: limits.retainAvailable }),
        },
      },
    });
    const tcp = 'mqtt://127.0.0.1:0';
    // The WebSocket listener joins the suite once the configuration knows it.
    const both = configSchema.safeParse(given([tcp, 'ws://127.0.0.1:0/mqtt']));
    this.#config = both.success ? both.data.broker : configSchema.parse(given([tcp])).broker;
  }

  async start(): Promise<void> {
    const clock = new SystemClock();
    this.#storage = new InlineStorage({ path: join(this.#scratch.folder, 'journal.db'), clock });
    await this.#storage.start();
    this.#broker = new Broker({
      config: this.#config,
      storage: this.#storage,
      clock,
      log: silentLog,
      ...(this.#guarded ? { authorizer: new Guard() } : {}),
      ...(this.#scram ? { access: { scram: scramFile() } } : {}),
    });
    await this.#broker.start();
    for (const listening of this.#broker.urls) {
      const url = new URL(listening);
      if (url.protocol === 'mqtt:') this.port = Number(url.port);
      else this.webSocketPort = Number(url.port);
    }
  }

  async restart(): Promise<void> {
    await this.#end();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#end();
    this.#scratch.remove();
  }

  async #end(): Promise<void> {
    await this.#broker?.stop();
    await this.#storage?.stop();
  }
}

function scramFile(): ScramFile {
  return new Map(Object.entries(SCRAM_USERS).map(([user, password]) => [user, verifierOf(password)]));
}

class Guard implements Authorizer {
  connect({ username }: Credentials, answer: (reasonCode: ReasonCode) => void): void {
    answer(username === undefined ? ReasonCode.success : ReasonCode.badUserNameOrPassword);
  }

  mayPublish(_identity: Identity, topicName: string): boolean {
    return !topicName.startsWith('forbidden/');
  }

  maySubscribe(_identity: Identity, topicFilter: string): boolean {
    return !topicFilter.startsWith('forbidden/');
  }
}
