/**
 * The messages that one PUBLISH carries, as an entry of an OpenRing has them.
 *
 *   forming ──sealed: large enough, long enough──▶ payload ──sent──▶ offsets alone ──read again──▶ payload …
 *
 * Which messages it has is fixed when it is sealed, and with QoS 2 durable before it is sent: sent again it has the
 * same content. Until then its Records are kept; afterwards only what its payload and the ledger need of them.
 */
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';

export class OpenBatch {
  /** Of its messages, ascending. */
  readonly offsets: number[] = [];
  /** For the report of what is lost; alongside `offsets` as far as they are known. */
  readonly topics: string[] = [];
  readonly acceptedAtMs: number[] = [];
  /** Of what is there: a message of one of these must not overtake it. */
  readonly names = new Set<string>();
  /** Content of the first of them; all others wait to be read. */
  records: Record[] = [];
  payload: Uint8Array | undefined;
  /** With its messages on disk, and so at QoS 2 allowed to leave. */
  committed = false;
  /** Undefined after a restart, until the first Record tells. */
  route: Route | undefined;
  /** Monotonic: since when the first of them waits. */
  readonly sinceMs: number;
  /** What `records` weigh as they are, to guess what they come to when compressed. */
  rawBytes = 0;

  constructor(route: Route | undefined, sinceMs: number) {
    this.route = route;
    this.sinceMs = sinceMs;
  }

  get length(): number {
    return this.offsets.length;
  }

  /** Whether all content is there. */
  get isFilled(): boolean {
    return this.payload !== undefined || this.records.length === this.offsets.length;
  }

  /** One more, after all others. */
  add(record: Record): void {
    this.offsets.push(record.offset);
    this.topics.push(topicOf(record));
    this.acceptedAtMs.push(record.acceptedAtMs);
    this.#keep(record);
  }

  /** Content of the next that waits for it. */
  fill(record: Record): void {
    const place = this.records.length;
    this.topics[place] = topicOf(record);
    this.acceptedAtMs[place] = record.acceptedAtMs;
    this.#keep(record);
  }

  /** The next that waits for content will never have it. */
  dropNext(): void {
    this.#remove(this.records.length);
  }

  /** One whose content is there. */
  drop(place: number): void {
    this.#remove(place);
    this.records.splice(place, 1);
  }

  /** The messages from this place on become another's. */
  split(place: number): OpenBatch {
    const rest = new OpenBatch(this.route, this.sinceMs);
    for (const record of this.records.slice(place)) rest.add(record);
    this.records.length = place;
    this.offsets.length = place;
    this.topics.length = place;
    this.acceptedAtMs.length = place;
    this.rawBytes -= rest.rawBytes;
    return rest;
  }

  /** Sealed: the Records are not needed any more. */
  encoded(payload: Uint8Array): void {
    this.payload = payload;
    this.records = [];
    this.names.clear();
    this.rawBytes = 0;
  }

  /** The content is on its way, or not to be relied on any more. */
  release(): void {
    this.payload = undefined;
    this.records = [];
    this.names.clear();
    this.rawBytes = 0;
  }

  #keep(record: Record): void {
    this.records.push(record);
    this.names.add(topicOf(record));
    this.rawBytes += rawBytes(record);
  }

  #remove(place: number): void {
    this.offsets.splice(place, 1);
    this.topics.splice(place, 1);
    this.acceptedAtMs.splice(place, 1);
  }
}

export function topicOf({ content }: Record): string {
  return content.kind === 'message' ? content.message.topic : content.set.topic;
}

/** About what it takes as a PUBLISH of its own; samples are not encoded yet. */
function rawBytes({ content }: Record): number {
  return content.kind === 'message'
    ? content.message.payload.length + content.message.topic.length
    : content.set.topic.length + 40 * content.set.samples.length;
}
