/** Which devices of a bus are out of service: someone works on them, or they are gone for now. Kept over restarts. */

import type { KeyValueDoor } from '../core/key-value.js';

const KEY = 'out-of-service';

export class OutOfService {
  readonly #door: KeyValueDoor;
  readonly #devices: Set<string>;

  constructor(door: KeyValueDoor, devices: Iterable<string>) {
    this.#door = door;
    const stored = namesIn(door.get(KEY));
    this.#devices = new Set([...devices].filter((device) => stored.includes(device)));
  }

  has(device: string): boolean {
    return this.#devices.has(device);
  }

  /** True: this changed something. */
  set(device: string, inService: boolean): boolean {
    if (inService === !this.#devices.has(device)) return false;
    if (inService) this.#devices.delete(device);
    else this.#devices.add(device);
    if (this.#devices.size === 0) this.#door.remove(KEY);
    else this.#door.put(KEY, new TextEncoder().encode(JSON.stringify([...this.#devices])));
    return true;
  }
}

/** A damaged entry means that all devices are in service, as they are without one. */
function namesIn(bytes: Uint8Array | undefined): string[] {
  if (bytes === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(parsed) ? parsed.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}
