/**
 * Who wants to be called when: keep-alive limits, delayed wills, session ends. A min-heap by time, one entry per
 * key; a key that was moved or removed leaves its old heap item behind, which is skipped when it comes up.
 */
export class Deadlines<Key> {
  readonly #atMs = new Map<Key, number>();
  #heap: { readonly key: Key; readonly atMs: number }[] = [];

  get size(): number {
    return this.#atMs.size;
  }

  set(key: Key, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) {
      this.#atMs.delete(key);
      return;
    }
    if (this.#atMs.get(key) === atMs) return;
    this.#atMs.set(key, atMs);
    // Keys that move often would fill the heap with stale items: rebuild it once they are the most of it.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#atMs.size) this.#rebuild();
    else this.#push({ key, atMs });
  }

  delete(key: Key): void {
    this.#atMs.delete(key);
  }

  get(key: Key): number | undefined {
    return this.#atMs.get(key);
  }

  /** The earliest deadline; Infinity when there is none. */
  get nextMs(): number {
    this.#skipStale();
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Takes out one key that is due. */
  shiftDue(nowMs: number): Key | undefined {
    this.#skipStale();
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.#pop();
    this.#atMs.delete(first.key);
    return first.key;
  }

  #skipStale(): void {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#atMs.get(first.key) === first.atMs) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [...this.#atMs].map(([key, atMs]) => ({ key, atMs })).sort((a, b) => a.atMs - b.atMs);
  }

  #push(item: { readonly key: Key; readonly atMs: number }): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!;
      if (above.atMs <= item.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child += 1;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
