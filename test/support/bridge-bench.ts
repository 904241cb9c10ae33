/** A bridge on a journal of its own, without broker or gateway around it. */
import { Bridge } from '../../src/bridge/bridge.js';
import type { BridgeOptions } from '../../src/bridge/bridge-options.js';
import { routeFor } from '../../src/bridge/forward.js';
import { type BridgeConfig, bridgeSchema } from '../../src/config/schema.js';
import { type Clock, SystemClock } from '../../src/core/clock.js';
import type { Log } from '../../src/core/log.js';
import type { Message } from '../../src/core/message.js';
import type { Storage } from '../../src/storage/storage.js';

export const GATEWAY = {
  id: 'well-17',
  version: '1.2.3',
  since: 1_732_147_200_000,
  statusTopic: 'godwit/well-17/status',
};

export function bridgeConfig(options: object): BridgeConfig {
  return bridgeSchema.parse({ servers: ['mqtt://server:1883'], forward: [{ filter: 'site/#' }], ...options });
}

/** A log that can be asked what was said. */
export class SaidLog implements Log {
  readonly said: { level: 'error' | 'warn' | 'info' | 'debug'; fields: object; sentence: string }[] = [];
  readonly error = this.#at('error');
  readonly warn = this.#at('warn');
  readonly info = this.#at('info');
  readonly debug = this.#at('debug');

  #at(level: 'error' | 'warn' | 'info' | 'debug') {
    return (fields: object, sentence: string): void => {
      this.said.push({ level, fields, sentence });
    };
  }

  count(sentence: string): number {
    return this.said.filter((one) => one.sentence === sentence).length;
  }
}

export class BridgeBench {
  readonly storage: Storage;
  readonly config: BridgeConfig;
  readonly log = new SaidLog();
  readonly bridge: Bridge;
  /** What came down, with the answer it waits for. */
  readonly arrived: { readonly message: Message; readonly accepted: (ok: boolean) => void }[] = [];
  accepts = true;

  constructor(storage: Storage, config: object, options: Partial<BridgeOptions> = {}) {
    this.storage = storage;
    this.config = bridgeConfig(config);
    this.bridge = new Bridge({
      name: 'cloud',
      config: this.config,
      secrets: {},
      gateway: GATEWAY,
      storage,
      publish: (message, accepted) => {
        this.arrived.push({ message, accepted });
        if (this.accepts) accepted(true);
      },
      clock: new SystemClock(),
      log: this.log,
      random: () => 0.5,
      ...options,
    });
  }

  /** Accepts a message locally, as the broker does; committed with the present turn. */
  accept(message: Partial<Message> & { readonly topic: string }, clock: Clock = new SystemClock()): void {
    const route = routeFor('cloud', this.config, GATEWAY, message.topic);
    if (route === undefined) throw new Error(`nothing forwards ${message.topic}`);
    const whole: Message = { payload: new Uint8Array(0), qos: 1, retain: false, ...message };
    const taken = this.storage.append(
      { kind: 'message', message: whole },
      [this.storage.routeId(route)],
      clock.wallMs(),
      true,
    );
    if (!taken) throw new Error('the journal is full');
  }
}
