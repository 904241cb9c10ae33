/** A local client's stream as the broker sees it: it fills up now and then, and is read when the broker wants. */
import type { Transport, TransportUser } from '../../src/broker/transport.js';
import type { Chance } from './chance.js';
import type { End } from './network.js';
import type { SimProcess } from './sim-process.js';

export class LocalTransport implements Transport {
  readonly remoteAddress: string;
  pendingBytes = 0;
  readonly #end: End;
  readonly #process: SimProcess;
  readonly #chance: Chance;
  #user: TransportUser | undefined;
  #unread: Uint8Array[] | undefined;

  constructor(end: End, remoteAddress: string, process: SimProcess, chance: Chance) {
    this.#end = end;
    this.remoteAddress = remoteAddress;
    this.#process = process;
    this.#chance = chance;
  }

  serve(user: TransportUser): void {
    this.#user = user;
    this.#end.user = {
      data: (bytes) => this.#data(bytes),
      closed: () => {
        if (!this.#process.isDead) user.closed();
      },
    };
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#process.act()) return true;
    this.#end.write(bytes);
    if (!this.#chance.is(0.1)) return true;
    this.pendingBytes += bytes.length;
    this.#process.at(this.#process.monotonicMs() + this.#chance.between(0.1, 20), () => {
      this.pendingBytes = 0;
      if (!this.#end.isClosed) this.#user?.drained();
    });
    return false;
  }

  end(): void {
    if (!this.#process.isDead) this.#end.end();
  }

  destroy(): void {
    if (!this.#process.isDead) this.#end.destroy();
  }

  pause(): void {
    this.#unread ??= [];
  }

  resume(): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    // As a socket does: not within the call.
    this.#process.at(this.#process.monotonicMs(), () => {
      for (const bytes of unread) this.#data(bytes);
    });
  }

  #data(bytes: Uint8Array): void {
    if (this.#process.isDead) return;
    if (this.#unread !== undefined) this.#unread.push(bytes);
    else this.#user?.received(bytes);
  }
}
