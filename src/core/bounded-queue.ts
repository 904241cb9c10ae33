/** First in, first out, with a limit: `push` says whether the item fitted, and the caller counts what did not. */
export class BoundedQueue<Item> {
  readonly #itemsMax: number;
  #items: (Item | undefined)[] = [];
  #head = 0;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): boolean {
    if (this.size >= this.#itemsMax) return false;
    this.#items.push(item);
    return true;
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    // Half empty: move the rest down once, so that each item is moved at most once on average.
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** The item that many places behind the first. */
  at(place: number): Item | undefined {
    return this.#items[this.#head + place];
  }
}
