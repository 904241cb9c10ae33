/**
 * Texts that come again and again in Records (what a series of samples is called, boot ids) and the
 * small numbers that stand for them. A number, once given, keeps its meaning for as long as the database
 * lives: the entry is written in the same transaction as the first Record that uses it.
 */

/** Names come from the configuration, so there are few; past this, texts are written out in their Records. */
export const DICTIONARY_ENTRIES_MAX = 100_000;

/** Stands for "the text follows": the dictionary was full. */
export const INLINE = 0;

/** What the record codec needs of it. */
export interface Names {
  id(text: string): number;
  text(id: number): string | undefined;
}

export class Dictionary implements Names {
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();
  readonly #added: (id: number, text: string) => void;
  #nextId = 1;

  /** `added` is told of each new entry, to save it. */
  constructor(added: (id: number, text: string) => void = () => {}) {
    this.#added = added;
  }

  /** An entry that the database already holds. */
  load(id: number, text: string): void {
    this.#ids.set(text, id);
    this.#texts.set(id, text);
    if (id >= this.#nextId) this.#nextId = id + 1;
  }

  /** The number of a text, INLINE where there is no room for another. */
  id(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    if (this.#ids.size >= DICTIONARY_ENTRIES_MAX) return INLINE;
    const id = this.#nextId;
    this.load(id, text);
    this.#added(id, text);
    return id;
  }

  text(id: number): string | undefined {
    return this.#texts.get(id);
  }
}
