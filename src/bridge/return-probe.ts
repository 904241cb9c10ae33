/**
 * While another server than the first is in use: now and then, whether the first can be reached again.
 *
 *   start ──afterMs──▶ dial ──opened──▶ reached, once        ──no answer──▶ again after as long
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Credentials } from './credentials.js';
import type { ServerUrl } from './server-url.js';
import type { Dial, Transport, Way } from './transport.js';

export interface ReturnProbeOptions {
  readonly afterMs: number;
  readonly way: Way;
  readonly dial: Dial;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly reached: () => void;
}

export class ReturnProbe {
  readonly #options: ReturnProbeOptions;
  #first: ServerUrl | undefined;
  #timer: Timer | undefined;
  #transport: Transport | undefined;

  constructor(options: ReturnProbeOptions) {
    this.#options = options;
  }

  start(first: ServerUrl): void {
    this.end();
    this.#first = first;
    this.#arm();
  }

  end(): void {
    this.#first = undefined;
    this.#timer?.cancel();
    this.#transport?.destroy();
    this.#transport = undefined;
  }

  #arm(): void {
    const { afterMs, clock } = this.#options;
    this.#timer = clock.at(clock.monotonicMs() + afterMs, () => this.#try());
  }

  #try(): void {
    const { credentials, dial, reached, way } = this.#options;
    const first = this.#first;
    this.#transport?.destroy();
    this.#transport = undefined;
    this.#arm();
    credentials.get((answer) => {
      if (first === undefined || this.#first !== first || answer.kind === 'fault') return;
      this.#transport = dial(
        first,
        { ...way, headers: answer.headers },
        {
          opened: () => {
            if (this.#first !== first) return;
            this.end();
            reached();
          },
          data: () => undefined,
          drained: () => undefined,
          closed: () => undefined,
        },
      );
    });
  }
}
