/**
 * The total of a pulse counter, in the durable key-value table with every pulse: what is put there is committed with
 * the readings of the same moment, so a crash loses one commit's worth at most. Pulses that come while nobody runs are
 * in no total.
 */
import type { KeyValueDoor } from '../../core/key-value.js';

export class PulseTotal {
  readonly #door: KeyValueDoor;
  readonly #key: string;
  #value: number;

  constructor(door: KeyValueDoor, device: string, point: string) {
    this.#door = door;
    this.#key = `pulses/${device}/${point}`;
    this.#value = totalIn(door.get(this.#key));
  }

  get value(): number {
    return this.#value;
  }

  add(count: number): void {
    this.set(this.#value + count);
  }

  /** To what the meter's dial says. */
  set(value: number): void {
    this.#value = value;
    this.#door.put(this.#key, new TextEncoder().encode(String(value)));
  }
}

/** A damaged entry is none. */
function totalIn(bytes: Uint8Array | undefined): number {
  const total = bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes));
  return Number.isSafeInteger(total) && total >= 0 ? total : 0;
}
