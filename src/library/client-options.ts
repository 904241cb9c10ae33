/** What a Client can be told, and the CONNECT that comes of it. */
import { randomBytes } from 'node:crypto';
import type { Message, MessageProperties, QoS } from '../core/message.js';
import type { ConnectPacket, Will } from '../mqtt/packet.js';

export interface ClientOptions {
  /** `mqtt://host:1883`, `mqtts://host:8883`, `ws://host:80/mqtt` or `wss://host:443/mqtt`. */
  readonly url: string;
  /** 5 where absent. */
  readonly version?: 5 | '3.1.1';
  /** Absent: a random one. */
  readonly clientId?: string;
  /** Whether the first connection begins a new session; true where absent. */
  readonly cleanStart?: boolean;
  /**
   * Seconds that the server keeps the session while the client is away; 0 where absent: it ends with the connection.
   * 3.1.1 has no such number: there `cleanStart: false` keeps it.
   */
  readonly sessionExpirySeconds?: number;
  /** 60 where absent; 0: never. A server that stops answering is noticed after it. */
  readonly keepAliveSeconds?: number;
  readonly username?: string;
  readonly password?: string | Uint8Array;
  /** Published by the server when the connection ends other than by `close`. */
  readonly will?: WillOptions;
  /** For mqtts and wss; PEM. `ca` instead of the authorities that Node knows, `cert` and `key` where the server wants them. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  /**
   * Whether it connects again by itself after a connection that stood was lost, and how long it waits, ever longer and
   * at random; false: it does not. From 1 s to 60 s where absent.
   */
  readonly reconnect?: { readonly minMs: number; readonly maxMs: number } | false;
  /** Messages that may wait for the connection or for acknowledgements; 1000 where absent. More are refused. */
  readonly queueMax?: number;
  /** Called when a connection stands, the first and each later one. */
  readonly onConnect?: (sessionPresent: boolean) => void;
  /** Called when one is lost, with the reason in a sentence. */
  readonly onLost?: (reason: string) => void;
}

export interface WillOptions {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos?: QoS;
  readonly retain?: boolean;
  /** MQTT 5.0: the server waits so long whether the client comes back. */
  readonly delaySeconds?: number;
  readonly properties?: MessageProperties;
}

export interface PublishOptions {
  /** 0 where absent. */
  readonly qos?: QoS;
  readonly retain?: boolean;
  /** Of MQTT 5.0; with 3.1.1 they are left out. */
  readonly properties?: MessageProperties;
}

export interface SubscribeOptions {
  /** The highest at which messages come; 0 where absent. */
  readonly qos?: QoS;
  /** MQTT 5.0: not what this client publishes itself. */
  readonly noLocal?: boolean;
  /** MQTT 5.0: RETAIN as it was published, not only on what was retained before. */
  readonly retainAsPublished?: boolean;
  /** MQTT 5.0: retained messages always, for new subscriptions only, or not at all. */
  readonly retainHandling?: 0 | 1 | 2;
}

/**
 * Gets each message. Above QoS 0 it is acknowledged once this returns, or once its promise is fulfilled; if that fails
 * the same message comes again a second later.
 */
export type OnMessage = (message: Message) => void | Promise<void>;

const KEEP_ALIVE_SECONDS = 60;

/** `receiveMaximum`, `maximumPacketSize`: what we take, for 5.0. */
export function connectPacket(
  options: ClientOptions,
  cleanStart: boolean,
  limits: { readonly receiveMaximum: number; readonly maximumPacketSize: number },
): ConnectPacket {
  const { version = 5, keepAliveSeconds = KEEP_ALIVE_SECONDS, username, password, will } = options;
  const { sessionExpirySeconds = 0 } = options;
  return {
    type: 'connect',
    protocolVersion: version === 5 ? 5 : 4,
    clientId: options.clientId ?? '',
    cleanStart,
    keepAlive: keepAliveSeconds,
    ...(will === undefined ? {} : { will: willOf(will, version) }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: bytesOf(password) }),
    ...(version === 5 ? { properties: { ...limits, sessionExpiryInterval: sessionExpirySeconds } } : {}),
  };
}

/** 3.1.1 allows 23 characters everywhere. */
export function randomClientId(): string {
  return `godwit-${randomBytes(8).toString('hex')}`;
}

export function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content;
}

function willOf(will: WillOptions, version: 5 | '3.1.1'): Will {
  const { topic, payload, qos = 0, retain = false, delaySeconds = 0, properties } = will;
  const plain = { topic, payload: bytesOf(payload), qos, retain };
  return version === 5 ? { ...plain, properties: { ...properties, willDelayInterval: delaySeconds } } : plain;
}
