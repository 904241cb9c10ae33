/**
 * A Map that needs no table while it has one entry. In a tree of topics most levels have one child and most filters one
 * subscriber: a hundred thousand of them are mostly such.
 */
export class SmallMap<Key, Value extends object | string> {
  #key: Key | undefined;
  /** Undefined: nothing, or `#more` has it. */
  #value: Value | undefined;
  #more: Map<Key, Value> | undefined;

  get size(): number {
    return this.#more === undefined ? (this.#value === undefined ? 0 : 1) : this.#more.size;
  }

  get(key: Key): Value | undefined {
    if (this.#more !== undefined) return this.#more.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  set(key: Key, value: Value): void {
    if (this.#more !== undefined) {
      this.#more.set(key, value);
    } else if (this.#value === undefined || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more = new Map([
        [this.#key as Key, this.#value],
        [key, value],
      ]);
      this.#key = undefined;
      this.#value = undefined;
    }
  }

  delete(key: Key): void {
    if (this.#more !== undefined) {
      this.#more.delete(key);
    } else if (this.#key === key) {
      this.#key = undefined;
      this.#value = undefined;
    }
  }

  addValuesTo(found: Value[]): void {
    if (this.#more !== undefined) for (const value of this.#more.values()) found.push(value);
    else if (this.#value !== undefined) found.push(this.#value);
  }
}
