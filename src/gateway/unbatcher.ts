/**
 * The other end of batches, on the server's side: what came in batches is published again message by message, so that
 * consumers need no change.
 *
 *   server ─batch─▶ Bridge `from` ─▶ take apart ─▶ journal ─▶ Bridge `to` ─messages─▶ server
 *
 * A batch is acknowledged once all its messages are in the journal, at QoS 2 in the transaction that names its Packet
 * Identifier; from there on the bridge promises what it always does. Each message has its topic, QoS, RETAIN and
 * properties again, and says by User Properties `gw`, `j`, `seq`, `ts` which it is, as if it had come alone.
 */
import { BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, type Batch, type BatchMessage } from '../batch/batch.js';
import { openBatchNow } from '../batch/container.js';
import { Bridge } from '../bridge/bridge.js';
import type { TlsSecrets } from '../bridge/transport.js';
import type { BridgeConfig } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import { reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message, MessageProperties, QoS } from '../core/message.js';
import { type Part, startAll } from '../core/part.js';
import type { BridgeSnapshot } from '../core/snapshot.js';
import { VERSION } from '../core/version.js';
import type { Storage } from '../storage/storage.js';

export interface UnbatcherOptions {
  /** With its receive rules. */
  readonly from: BridgeEnd;
  readonly to: BridgeEnd;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface BridgeEnd {
  readonly config: BridgeConfig;
  readonly secrets: { readonly password?: string; readonly tls?: TlsSecrets };
}

const TO = 'to';
const QOS_ALL: readonly QoS[] = [0, 1, 2];

export class Unbatcher implements Part {
  readonly name = 'unbatcher';
  readonly #options: UnbatcherOptions;
  readonly #from: Bridge;
  readonly #to: Bridge;
  #routes: readonly number[] = [];
  #batches = 0;
  #messages = 0;
  #expired = 0;
  /** What is on the batches' topics and is none. */
  #refused = 0;
  /** Of a batch for which the journal had no room: how many of its messages it has. */
  readonly #taken = new WeakMap<Uint8Array, number>();
  #stop: () => Promise<void> = async () => undefined;

  constructor(options: UnbatcherOptions) {
    this.#options = options;
    this.#from = this.#bridge('from', options.from);
    this.#to = this.#bridge(TO, options.to);
  }

  async start(): Promise<void> {
    const { storage } = this.#options;
    const route = (qos: QoS): number =>
      storage.routeId({
        ...{ bridge: TO, lane: 'normal', qos, retain: 'keep', strip: '', prefix: '', properties: 'none' },
      });
    const routes: Part = {
      name: 'routes',
      start: async () => {
        this.#routes = QOS_ALL.map(route);
      },
      stop: async () => undefined,
    };
    this.#stop = await startAll([storage, routes, this.#to, this.#from]);
  }

  async stop(): Promise<void> {
    await this.#stop();
  }

  get counts(): {
    readonly batches: number;
    readonly messages: number;
    readonly expired: number;
    readonly refused: number;
  } {
    return {
      batches: this.#batches,
      messages: this.#messages,
      expired: this.#expired,
      refused: this.#refused,
    };
  }

  get bridges(): { readonly from: BridgeSnapshot; readonly to: BridgeSnapshot } {
    return { from: this.#from.snapshot(), to: this.#to.snapshot() };
  }

  #bridge(name: string, { config, secrets }: BridgeEnd): Bridge {
    const { clock, log, random, storage } = this.#options;
    return new Bridge({
      ...{ name, config, secrets, storage, clock, log, random },
      gateway: {
        id: config.client_id,
        version: VERSION,
        since: clock.wallMs(),
        statusTopic: 'godwit/unbatch/status',
      },
      publish: (message, accepted) => this.#take(message, accepted),
    });
  }

  /** All in this turn, and so in the transaction that says that the batch was received. */
  #take(message: Message, accepted: (ok: boolean) => void): void {
    const { log, storage } = this.#options;
    let batch: Batch;
    try {
      batch = openBatchNow(message.payload, { bytesMax: BATCH_BYTES_MAX, messagesMax: BATCH_MESSAGES_MAX });
    } catch (fault) {
      // Asked for again it would be the same: it is told, and the next one comes.
      this.#refused += 1;
      log.warn(
        { topic: message.topic, bytes: message.payload.length, reason: reasonOf(fault) },
        'What came is no batch and is passed over',
      );
      accepted(true);
      return;
    }
    const from = this.#taken.get(message.payload) ?? 0;
    for (let place = from; place < batch.messages.length; place += 1) {
      if (this.#append(batch, batch.messages[place] as BatchMessage)) continue;
      this.#taken.set(message.payload, place);
      accepted(false);
      return;
    }
    this.#batches += 1;
    storage.afterCommit(() => accepted(true));
  }

  #append(batch: Batch, message: BatchMessage): boolean {
    const { clock, storage } = this.#options;
    const nowMs = clock.wallMs();
    const properties = propertiesOf(batch, message, nowMs);
    if (properties === undefined) {
      this.#expired += 1;
      return true;
    }
    const { payload, qos, retain, topic } = message;
    const content = { kind: 'message', message: { topic, payload, qos, retain, properties } } as const;
    if (!storage.append(content, [this.#routes[qos] as number], nowMs, true)) return false;
    this.#messages += 1;
    return true;
  }
}

/** As it would have them had it come alone; undefined: its time is over. */
function propertiesOf(
  { gateway, journal, replay }: Batch,
  { properties = {}, seq, ts }: BatchMessage,
  nowMs: number,
): MessageProperties | undefined {
  const { messageExpiryInterval: granted, userProperties = [] } = properties;
  // A gateway's clock that runs ahead must not lengthen a life.
  const left = granted === undefined ? undefined : Math.ceil(granted - Math.max(0, nowMs - ts) / 1000);
  if (left !== undefined && left <= 0) return undefined;
  const identity: (readonly [string, string])[] = [
    ['gw', gateway],
    ['j', journal],
    ['seq', String(seq)],
    ['ts', String(ts)],
  ];
  if (replay !== undefined) identity.push(['replay', replay]);
  return {
    ...properties,
    ...(left !== undefined && { messageExpiryInterval: left }),
    userProperties: [...userProperties, ...identity],
  };
}
