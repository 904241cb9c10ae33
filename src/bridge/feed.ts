/**
 * Records of one bridge in the order of the journal, read ahead in big slices so that the window never waits for
 * the disk. Holds at most two slices; starts again anywhere.
 */
import type { Record } from '../core/record.js';
import type { Lane, Route } from '../core/route.js';
import type { Storage } from '../storage/storage.js';

export interface FeedItem {
  readonly record: Record;
  readonly route: Route;
}

/** About 2,000 messages of 200 bytes: long enough to hide a read, short enough for a Pi's memory. */
const SLICE_BYTES = 512 * 1024;
const SLICES_AHEAD = 2;

export class Feed {
  readonly #storage: Storage;
  readonly #bridge: string;
  readonly #lane: Lane;
  /** Called when there is something new to `peek` at. */
  readonly #arrived: () => void;
  readonly #failed: (fault: unknown) => void;
  /** undefined: a route of another bridge or lane. */
  readonly #routes = new Map<number, Route | undefined>();
  #slices: { readonly records: readonly Record[]; readonly next: number }[] = [];
  #at = 0;
  #readFrom = 1;
  #reading = false;
  #exhausted = true;
  /** Distinguishes reads begun before the last `start` or `stop`. */
  #generation = 0;
  #running = false;

  constructor(
    storage: Storage,
    bridge: string,
    lane: Lane,
    arrived: () => void,
    failed: (fault: unknown) => void,
  ) {
    this.#storage = storage;
    this.#bridge = bridge;
    this.#lane = lane;
    this.#arrived = arrived;
    this.#failed = failed;
  }

  /** Forgets what was read and begins again at `offset`. */
  start(offset: number): void {
    this.stop();
    this.#running = true;
    this.#readFrom = offset;
    this.#exhausted = false;
    this.#readAhead();
  }

  stop(): void {
    this.#running = false;
    this.#generation += 1;
    this.#slices = [];
    this.#at = 0;
    this.#reading = false;
  }

  /** After a commit that brought Records. */
  grown(): void {
    if (!this.#running) return;
    this.#exhausted = false;
    this.#readAhead();
  }

  /** The oldest Record not yet shifted; undefined: none has been read yet, or none waits. */
  peek(): FeedItem | undefined {
    for (let slice = this.#slices[0]; slice !== undefined; slice = this.#slices[0]) {
      const record = slice.records[this.#at];
      if (record !== undefined) {
        const route = this.#routeOf(record);
        if (route !== undefined) return { record, route };
        this.#at += 1;
        continue;
      }
      // The end of a slice stands until `passed` has told the session about it.
      return undefined;
    }
    return undefined;
  }

  shift(): void {
    this.#at += 1;
  }

  /** At the end of a slice: the offset before which all Records have been seen; the next `peek` looks into the next. */
  passed(): number | undefined {
    const slice = this.#slices[0];
    if (slice === undefined || this.#at < slice.records.length) return undefined;
    this.#slices.shift();
    this.#at = 0;
    this.#readAhead();
    return slice.next;
  }

  #routeOf(record: Record): Route | undefined {
    for (const id of record.routes) {
      let route = this.#routes.get(id);
      if (route === undefined && !this.#routes.has(id)) {
        const known = this.#storage.route(id);
        route = known?.bridge === this.#bridge && known.lane === this.#lane ? known : undefined;
        this.#routes.set(id, route);
      }
      if (route !== undefined) return route;
    }
    return undefined;
  }

  #readAhead(): void {
    if (!this.#running || this.#reading || this.#exhausted || this.#slices.length >= SLICES_AHEAD) return;
    this.#reading = true;
    const generation = this.#generation;
    // A commit during the read may be missed by it: then `grown` has set this to false again.
    this.#exhausted = true;
    this.#storage.read(this.#bridge, this.#lane, this.#readFrom, SLICE_BYTES).then(
      (slice) => {
        if (generation !== this.#generation) return;
        this.#reading = false;
        if (slice.records.length > 0) this.#exhausted = false;
        if (slice.records.length > 0 || slice.next > this.#readFrom) {
          this.#slices.push(slice);
          this.#readFrom = slice.next;
          this.#arrived();
        }
        this.#readAhead();
      },
      (fault: unknown) => {
        if (generation !== this.#generation) return;
        this.#reading = false;
        this.#failed(fault);
      },
    );
  }
}
