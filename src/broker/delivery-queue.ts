/**
 * What waits for one session: QoS 1 and 2 copies that its window, its connection or its absence holds back.
 * Bounded by count and by bytes; `push` says whether it fitted, and the caller counts what did not.
 */
import { BoundedQueue } from '../core/bounded-queue.js';
import type { Delivery } from './publication.js';

/** What all queues may hold together: many sessions within their own limits must not fill the memory either. */
export interface QueueBudget {
  bytes: number;
  readonly bytesMax: number;
}

export class DeliveryQueue {
  readonly #items: BoundedQueue<Delivery>;
  readonly #bytesMax: number;
  readonly #budget: QueueBudget;
  #bytes = 0;

  constructor(itemsMax: number, bytesMax: number, budget: QueueBudget) {
    this.#items = new BoundedQueue(itemsMax);
    this.#bytesMax = bytesMax;
    this.#budget = budget;
  }

  get size(): number {
    return this.#items.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(delivery: Delivery): boolean {
    const { bytes } = delivery.publication;
    // One message larger than the whole limit still fits into an empty queue, else it could never be delivered.
    if (this.#bytes + bytes > this.#bytesMax && this.#items.size > 0) return false;
    if (this.#budget.bytes + bytes > this.#budget.bytesMax) return false;
    if (!this.#items.push(delivery)) return false;
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
    return true;
  }

  /** The oldest that has not expired; those that have are dropped on the way [MQTT5-3.3.2-5]. */
  peek(nowMs: number): Delivery | undefined {
    for (let first = this.#items.peek(); first !== undefined; first = this.#items.peek()) {
      if (!first.expired(nowMs)) return first;
      this.shift();
    }
    return undefined;
  }

  shift(): Delivery | undefined {
    const delivery = this.#items.shift();
    if (delivery !== undefined) {
      const { bytes } = delivery.publication;
      this.#bytes -= bytes;
      this.#budget.bytes -= bytes;
    }
    return delivery;
  }
}
