/** A peer whose clients speak 5.0, and what nearly every test of that version asks of it. */
import type { Connect } from './build.js';
import { published, subscribed } from './flow.js';
import { type Bench, type Connected, type PeerOptions, usePeer } from './peer.js';
import { type Given, P } from './property.js';
import type { RawClient } from './raw-client.js';
import type { ServerPacket } from './read.js';

export function usePeer5(options: PeerOptions = {}): Five {
  return new Five(usePeer(options));
}

export class Five {
  readonly #bench: Bench;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** A Client Identifier or Topic Name that no other test of the file uses. */
  unique(prefix?: string): string {
    return this.#bench.unique(prefix);
  }

  /** A TCP connection on which nothing was sent. */
  open(): Promise<RawClient> {
    return this.#bench.open(5);
  }

  connect(options: Connect = {}): Promise<Connected> {
    return this.#bench.connect({ version: 5, ...options });
  }

  client(options: Connect = {}): Promise<RawClient> {
    return this.#bench.client({ version: 5, ...options });
  }

  /** Clean Start 0 and an hour of Session Expiry Interval: goes on with a session or begins one that stays. */
  connectKept(clientId: string, options: Connect = {}): Promise<Connected> {
    return this.connect({ ...options, clientId, clean: false, properties: kept(options.properties) });
  }

  async kept(clientId: string, options: Connect = {}): Promise<RawClient> {
    return (await this.connectKept(clientId, options)).client;
  }

  /**
   * What has come to the client once everything is saved that had to be before: a server that writes before it sends
   * acknowledges a retained message only behind it.
   */
  async arrived(client: RawClient): Promise<ServerPacket[]> {
    const kept = { topic: this.unique('saved'), qos: 1, retain: true, payload: 'x' };
    await published(await this.client(), kept);
    return client.fence();
  }

  /** Two seconds go by on the peer's clock: so long it holds back a Will with that delay. */
  async timePasses(): Promise<void> {
    const topic = this.unique('time');
    const watcher = await this.client();
    await subscribed(watcher, [topic]);
    const will = { topic, properties: [[P.willDelayInterval, 2] as const] };
    (await this.kept(this.unique('clock'), { will })).end();
    await watcher.take('publish');
  }
}

function kept(list: readonly Given[] = []): readonly Given[] {
  const given = list.some(([identifier]) => identifier === P.sessionExpiryInterval);
  return given ? list : [[P.sessionExpiryInterval, 3600], ...list];
}
