/**
 * One turn of the event loop: what all sockets brought is handled first, then each connection's answer is written once
 * and one commit is asked for.
 *
 *   data, data, data ──▶ end of turn: flush outboxes, storage.afterCommit ──▶ the acknowledgements that waited for it
 *
 * Acknowledgements leave in the order of their PUBLISHes [MQTT5-4.6.0-2]: while one of a connection waits for a commit,
 * later ones wait behind it, needed or not.
 */
import type { ReasonCode } from '../mqtt/reason-code.js';

export interface Flushable {
  flush(): void;
}

export interface AckWaiter {
  committed(packetIdentifier: number, qos: 1 | 2, reasonCode: ReasonCode): void;
}

interface Waiting {
  readonly waiters: AckWaiter[];
  /** packetIdentifier, QoS, Reason Code of each, three numbers a waiter. */
  readonly what: number[];
}

export class Turn {
  readonly #afterCommit: ((then: () => void) => void) | undefined;
  #dirty: Flushable[] = [];
  #waiting: Waiting = { waiters: [], what: [] };
  #others: (() => void)[] = [];
  #scheduled = false;

  /** `afterCommit`: the storage's; absent where nothing is durable. */
  constructor(afterCommit: ((then: () => void) => void) | undefined) {
    this.#afterCommit = afterCommit;
  }

  flushLater(outbox: Flushable): void {
    this.#dirty.push(outbox);
    this.#schedule();
  }

  acknowledgeAfterCommit(
    waiter: AckWaiter,
    packetIdentifier: number,
    qos: 1 | 2,
    reasonCode: ReasonCode,
  ): void {
    this.#waiting.waiters.push(waiter);
    this.#waiting.what.push(packetIdentifier, qos, reasonCode);
    this.#schedule();
  }

  /** Runs `then` after the commit of all that this turn gives; after those given before it. */
  afterCommit(then: () => void): void {
    this.#others.push(then);
    this.#schedule();
  }

  /** Ends the turn now; also called by itself once all sockets of this turn were read. */
  readonly end = (): void => {
    this.#scheduled = false;
    const waiting = this.#waiting;
    if (waiting.waiters.length > 0) {
      this.#waiting = { waiters: [], what: [] };
      const release = (): void => {
        const { waiters, what } = waiting;
        for (let at = 0; at < waiters.length; at += 1) {
          waiters[at]!.committed(what[at * 3]!, what[at * 3 + 1] as 1 | 2, what[at * 3 + 2] as ReasonCode);
        }
      };
      if (this.#afterCommit === undefined) release();
      else this.#afterCommit(release);
    }
    const others = this.#others;
    if (others.length > 0) {
      this.#others = [];
      const release = (): void => {
        for (const then of others) then();
      };
      if (this.#afterCommit === undefined) release();
      else this.#afterCommit(release);
    }
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const outbox of dirty) outbox.flush();
  };

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.end);
  }
}
