/**
 * The gateway's own status as this bridge's server shows it: retained `online` after each connect, `offline` on a
 * clean stop, and the Last Will for all other ends.
 *
 * A Will can come late: the server publishes it when it notices that the old connection is dead, which may be after
 * the new one said `online`. So the bridge listens to its own topic and says it again.
 */
import type { Will } from '../mqtt/packet.js';

export interface GatewayNews {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Rendered. */
  readonly statusTopic: string;
}

/** Two gateways with one id would otherwise answer each other for ever. */
const ASSERT_AGAIN_MS = 1000;

export class OwnStatus {
  readonly #news: GatewayNews;
  readonly #topic: string | undefined;
  readonly #willDelaySeconds: number;
  #assertedAtMs = -Infinity;
  #pending = false;

  /** @param topic on this bridge's server; undefined: it is told nothing. */
  constructor(news: GatewayNews, topic: string | undefined, willDelaySeconds: number) {
    this.#news = news;
    this.#topic = topic;
    this.#willDelaySeconds = willDelaySeconds;
  }

  get topic(): string | undefined {
    return this.#topic;
  }

  /** What the server takes is known only after CONNECT: one that refuses the Will is asked again with less. */
  will(allowed: { readonly qos1: boolean; readonly retain: boolean }): Will | undefined {
    if (this.#topic === undefined) return undefined;
    return {
      topic: this.#topic,
      payload: json({ state: 'offline', reason: 'connection-lost' }),
      qos: allowed.qos1 ? 1 : 0,
      retain: allowed.retain,
      ...(this.#willDelaySeconds > 0 && { properties: { willDelayInterval: this.#willDelaySeconds } }),
    };
  }

  online(nowMs: number): Uint8Array {
    this.#assertedAtMs = nowMs;
    this.#pending = false;
    return json({ state: 'online', since: this.#news.since, version: this.#news.version });
  }

  shutdown(): Uint8Array {
    return json({ state: 'offline', reason: 'shutdown' });
  }

  /** A message on the status topic. Returns when to say `online` again; undefined: no need, or asked already. */
  seen(payload: Uint8Array, nowMs: number): number | undefined {
    if (this.#pending || !saysOffline(payload)) return undefined;
    this.#pending = true;
    return Math.max(nowMs, this.#assertedAtMs + ASSERT_AGAIN_MS);
  }
}

function json(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** A removed or unreadable status says as little about us as `offline`. */
function saysOffline(payload: Uint8Array): boolean {
  if (payload.length > 4096) return true;
  try {
    const status: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (typeof status !== 'object' || status === null) return true;
    // Our own losses, where they go to the same topic.
    if ('lost' in status) return false;
    return !('state' in status && status.state === 'online');
  } catch {
    return true;
  }
}
