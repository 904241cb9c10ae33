/**
 * Byte streams between the parts of a simulated world: in order, late, cut into pieces as TCP likes. A network can
 * refuse, cut all that stands (some of what was under way still arrives), or swallow everything until it heals.
 */
import type { FakeClock } from '../support/fake-clock.js';
import type { Chance } from './chance.js';

export type Weather = 'fair' | 'refusing' | 'swallowing';

export interface NetworkOptions {
  readonly clock: FakeClock;
  readonly chance: Chance;
  /** One way, in milliseconds. */
  readonly delayMs: readonly [least: number, most: number];
}

export interface EndUser {
  data(bytes: Uint8Array): void;
  closed(fault: Error | undefined): void;
}

export class Network {
  readonly #options: NetworkOptions;
  readonly #streams = new Set<Stream>();
  /** Deliveries that wait for the hole to close. */
  #swallowed: (() => void)[] = [];
  weather: Weather = 'fair';

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** The two ends of a new stream. */
  connect(): readonly [End, End] {
    const stream = new Stream(this);
    this.#streams.add(stream);
    return stream.ends;
  }

  get clock(): FakeClock {
    return this.#options.clock;
  }

  get chance(): Chance {
    return this.#options.chance;
  }

  delayMs(): number {
    return this.chance.between(...this.#options.delayMs);
  }

  /** Ends every stream; a part of what is under way still arrives, in its order. */
  cut(): void {
    for (const stream of [...this.#streams]) stream.cut();
  }

  heal(): void {
    this.weather = 'fair';
    for (const deliver of this.#swallowed.splice(0)) deliver();
  }

  /** Runs `deliver` now, or when the network carries again. */
  carry(deliver: () => void): void {
    if (this.weather === 'swallowing') this.#swallowed.push(deliver);
    else deliver();
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream);
  }
}

class Stream {
  readonly ends: readonly [End, End];
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
    const near = new End(network, this);
    const far = new End(network, this);
    near.other = far;
    far.other = near;
    this.ends = [near, far];
  }

  cut(): void {
    this.#network.forget(this);
    for (const end of this.ends) end.loseWhatIsUnderWay();
    for (const end of this.ends) end.hangUp(new Error('connection reset'));
  }

  ended(): void {
    if (this.ends.every((end) => end.isClosed)) this.#network.forget(this);
  }
}

interface UnderWay {
  readonly deliver: () => void;
  done: boolean;
}

export class End {
  other: End | undefined;
  user: EndUser | undefined;
  isClosed = false;
  /** Closed by its own user: nothing more is told to it but the end. */
  #isDeaf = false;
  readonly #network: Network;
  readonly #stream: Stream;
  #lastAtMs = 0;
  #underWay: UnderWay[] = [];

  constructor(network: Network, stream: Stream) {
    this.#network = network;
    this.#stream = stream;
  }

  /** `arrived` is told when the last byte is with the other end. */
  write(bytes: Uint8Array, arrived?: () => void): void {
    if (this.isClosed || bytes.length === 0) return;
    const copy = new Uint8Array(bytes);
    const { chance } = this.#network;
    const at = copy.length > 1 && chance.is(0.15) ? chance.int(1, copy.length - 1) : 0;
    if (at > 0) this.#later(() => this.other?.hear(copy.subarray(0, at)));
    this.#later(() => {
      this.other?.hear(copy.subarray(at));
      arrived?.();
    });
  }

  /** Calls back when the other end has been reached, as a handshake does. */
  whenOpen(then: () => void): void {
    this.#later(() => this.#later(then));
  }

  /** Sends what was written, then closes. */
  end(): void {
    if (this.isClosed) return;
    this.#later(() => this.other?.hangUp(undefined));
    this.#later(() => this.hangUp(undefined));
  }

  /** Closes at once; what was written is still on its way. */
  destroy(): void {
    if (this.isClosed) return;
    this.#isDeaf = true;
    this.#later(() => this.other?.hangUp(undefined));
    this.isClosed = true;
    this.#stream.ended();
    const { user } = this;
    this.#network.clock.at(this.#network.clock.monotonicMs(), () => user?.closed(undefined));
  }

  hear(bytes: Uint8Array): void {
    if (!this.isClosed && !this.#isDeaf) this.user?.data(bytes);
  }

  hangUp(fault: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#stream.ended();
    this.user?.closed(fault);
  }

  /** Some of it, from the front, arrives at this instant; the rest never. */
  loseWhatIsUnderWay(): void {
    const all = this.#underWay;
    this.#underWay = [];
    let left = this.#network.chance.int(0, all.length);
    for (const one of all) {
      one.done = true;
      if (left > 0) one.deliver();
      left -= 1;
    }
  }

  #later(deliver: () => void): void {
    const { clock } = this.#network;
    const atMs = Math.max(this.#lastAtMs, clock.monotonicMs() + this.#network.delayMs());
    this.#lastAtMs = atMs;
    const one: UnderWay = { deliver, done: false };
    this.#underWay.push(one);
    clock.at(atMs, () => {
      if (one.done) return;
      this.#network.carry(() => {
        if (one.done) return;
        one.done = true;
        this.#underWay.shift();
        deliver();
      });
    });
  }
}
