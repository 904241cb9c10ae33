/** A peer whose clients speak 5.0, and what nearly every test of that version asks of it. */
import type { Connect } from './build.js';
import { type Bench, type Connected, type PeerOptions, usePeer } from './peer.js';
import { type Given, P } from './property.js';
import type { RawClient } from './raw-client.js';

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

  /** A second and a half go by on the peer's clock: so long it bears the silence of a client with Keep Alive 1. */
  async timePasses(): Promise<void> {
    await (await this.client({ keepAlive: 1 })).closed();
  }
}

function kept(list: readonly Given[] = []): readonly Given[] {
  const given = list.some(([identifier]) => identifier === P.sessionExpiryInterval);
  return given ? list : [[P.sessionExpiryInterval, 3600], ...list];
}
