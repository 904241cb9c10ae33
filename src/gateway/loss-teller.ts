/**
 * Tells of losses, each span once: a line in the log and a message on the losses topic, which goes to every bridge.
 *
 *   lost ──quiet for 5 s, or going on for a minute──▶ told, at most once a minute
 *
 * The message and the mark that the span was told become durable in one transaction, so that no end of the process
 * makes a second message of it, nor none. Where the journal has no room for the message the span stays untold.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { Part } from '../core/part.js';
import type { Storage, UntoldLoss } from '../storage/storage.js';

export interface LossTellerOptions {
  readonly topic: string;
  readonly storage: Pick<Storage, 'untoldLosses' | 'lossesTold'>;
  /** False: the journal refused it. */
  readonly publish: (message: Message) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

const LOOK_EVERY_MS = 1000;
/** Nothing more was lost for so long: the span has ended. */
const QUIET_MS = 5000;
const TELL_EVERY_MS = 60_000;

export class LossTeller implements Part {
  readonly name = 'losses';
  readonly #options: LossTellerOptions;
  #timer: Timer | undefined;
  #running = false;
  #seen = '';
  #firstAtMs = Number.POSITIVE_INFINITY;
  #lastAtMs = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  /** Told in the log, though the journal may have refused the message. */
  #loggedId = 0;

  constructor(options: LossTellerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#running = true;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (!this.#running) return;
    const { clock } = this.#options;
    this.#timer = clock.at(clock.monotonicMs() + LOOK_EVERY_MS, () => {
      this.#look(clock.monotonicMs());
      this.#arm();
    });
  }

  #look(nowMs: number): void {
    const untold = this.#options.storage.untoldLosses();
    if (untold.length === 0) return;
    const seen = untold.map(({ id, lost }) => `${id}:${lost}`).join(' ');
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#lastAtMs = nowMs;
      if (this.#firstAtMs === Number.POSITIVE_INFINITY) this.#firstAtMs = nowMs;
    }
    const hasEnded = nowMs - this.#lastAtMs >= QUIET_MS || nowMs - this.#firstAtMs >= TELL_EVERY_MS;
    if (!hasEnded || nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    this.#firstAtMs = Number.POSITIVE_INFINITY;
    this.#tell(untold);
  }

  /** All in one turn of the event loop, so in one transaction. */
  #tell(untold: readonly UntoldLoss[]): void {
    const { log, publish, storage, topic } = this.#options;
    const told: UntoldLoss[] = [];
    for (const span of untold) {
      const { id, ...loss } = span;
      if (id > this.#loggedId) log.warn({ ...loss }, 'Messages were lost');
      this.#loggedId = Math.max(this.#loggedId, id);
      const { lost, reason, bridge, from, to, topics } = loss;
      const payload = Buffer.from(JSON.stringify({ lost, reason, bridge, from, to, topics }));
      // Spans are told in their order: what follows one that was refused waits with it.
      if (!publish({ topic, payload, qos: 1, retain: false })) break;
      told.push(span);
    }
    if (told.length > 0) storage.lossesTold(told);
  }
}
