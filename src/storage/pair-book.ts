/** All pairs of all parts, as they stand; a door shows a part its own. */
import type { KeyValueDoor } from '../core/key-value.js';

export class PairBook {
  readonly #parts = new Map<string, Map<string, Uint8Array>>();

  load(part: string, key: string, value: Uint8Array): void {
    this.#pairs(part).set(key, value);
  }

  /** `changed` is told of each change, null for a removal. */
  door(part: string, changed: (key: string, value: Uint8Array | null) => void): KeyValueDoor {
    const pairs = this.#pairs(part);
    return {
      get: (key) => pairs.get(key),
      put: (key, value) => {
        // A copy: `slice` of a Buffer would be a view on what its owner may go on writing to.
        const own = new Uint8Array(value);
        pairs.set(key, own);
        changed(key, own);
      },
      remove: (key) => {
        if (pairs.delete(key)) changed(key, null);
      },
      entries: () => pairs.entries(),
    };
  }

  #pairs(part: string): Map<string, Uint8Array> {
    let pairs = this.#parts.get(part);
    if (pairs === undefined) {
      pairs = new Map();
      this.#parts.set(part, pairs);
    }
    return pairs;
  }
}
