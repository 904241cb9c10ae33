/**
 * All that is open, on all streams, and by which Packet Identifier: what an acknowledgement is for is found here.
 * What may happen to an entry is bridge-session.ts's to decide.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { OpenEntry, SavedState, SavedStream } from './bridge-state.js';
import { OpenBatch } from './open-batch.js';
import { ACKNOWLEDGED, AGAIN, DONE, FORMING, type OpenRing, RELEASED, SENT, WAITING } from './open-ring.js';
import { CONTROL, PacketIdentifiers } from './packet-identifiers.js';
import { HIGH, HISTORY, LIVE, NORMAL, REPLAY, Stream, type StreamId } from './stream.js';

const USES = 8;

export interface Entry {
  readonly stream: Stream;
  readonly ring: OpenRing;
  readonly at: number;
}

export class Exchanges {
  readonly streams: readonly [Stream, Stream, Stream, Stream, Stream];
  readonly #identifiers: PacketIdentifiers;

  constructor(state: SavedState, inflightMax: number) {
    const made = (id: StreamId): Stream => {
      const { next, open } = state.streams[id] ?? { next: 1, open: [] };
      return new Stream(id, next, Math.max(4 * inflightMax, 2 * open.length));
    };
    this.streams = [made(HIGH), made(NORMAL), made(LIVE), made(HISTORY), made(REPLAY)];
    this.streams[HISTORY].until = state.historyUntil;
    this.#identifiers = new PacketIdentifiers(state.lastPacketIdentifier);
    for (const stream of this.streams) {
      for (const { offset, packetIdentifier, qos, phase, batch } of state.streams[stream.id]?.open ?? []) {
        if (batch !== undefined && packetIdentifier === 0) {
          // Of one at QoS 0 nobody knows whether it was sealed; it is as good as one that was not.
          this.form(stream, offset, qos, restored(batch, false));
          continue;
        }
        const inPhase = phase === 'released' ? RELEASED : qos === 0 ? WAITING : AGAIN;
        const index = push(stream, offset, qos, inPhase, packetIdentifier);
        if (packetIdentifier !== 0) this.#identifiers.claim(packetIdentifier, useOf(stream, index));
        if (batch !== undefined) hold(stream, index, restored(batch, true));
      }
      stream.ring.committedTail = stream.ring.tail;
      stream.ring.toFill = stream.ring.head;
    }
  }

  get lastIdentifier(): number {
    return this.#identifiers.last;
  }

  /** By stream, for the saved state. */
  get saved(): SavedStream[] {
    return this.streams.map(({ next, ring }) => ({ next, open: openOf(ring) }));
  }

  /** Messages that are open: an identifier is assigned and the exchange is not complete. A replay's are not counted. */
  get count(): number {
    const [high, normal, live, history] = this.streams;
    return [high, normal, live, history].reduce(
      (sum, { open, ring }) => sum + open + moreThanEntries(ring),
      0,
    );
  }

  /** A new entry, without content; undefined: no identifier is free. Returns its index. */
  open(stream: Stream, offset: number, qos: QoS): number | undefined {
    const packetIdentifier = qos > 0 ? this.#identifiers.take(useOf(stream, stream.ring.tail)) : 0;
    if (qos > 0 && packetIdentifier === 0) return undefined;
    return push(stream, offset, qos, WAITING, packetIdentifier);
  }

  /** Batches whose messages are fixed and not all known to the disk. */
  sealed(): OpenBatch[] {
    return this.streams.flatMap(({ ring }) => {
      if (ring.members === 0) return [];
      const sealed: OpenBatch[] = [];
      for (let index = ring.head; index < ring.tail; index += 1) {
        const batch = ring.batch[ring.at(index)];
        if (batch === undefined || batch.committed || ring.phase[ring.at(index)] === FORMING) continue;
        sealed.push(batch);
      }
      return sealed;
    });
  }

  /** A new entry for a batch that takes more messages, without identifier. Returns its index. */
  form(stream: Stream, offset: number, qos: QoS, batch: OpenBatch): number {
    const { ring } = stream;
    const isFilled = ring.toFill === ring.tail;
    const index = ring.push(offset, qos, FORMING, 0);
    if (isFilled) ring.toFill = ring.tail;
    hold(stream, index, batch);
    return index;
  }

  /** The batch takes no more: it is an entry like any other. */
  seal(stream: Stream, index: number, qos: QoS): void {
    const { ring } = stream;
    const at = ring.at(index);
    const packetIdentifier = qos > 0 ? this.#identifiers.take(useOf(stream, index)) : 0;
    invariant(qos === 0 || packetIdentifier !== 0, 'a window below 65,535 leaves an identifier free');
    ring.offset[at] = ring.batch[at]?.offsets[0] ?? (ring.offset[at] as number);
    ring.identifier[at] = packetIdentifier;
    ring.qos[at] = qos;
    ring.phase[at] = WAITING;
    if (qos > 0) stream.open += 1;
    if (qos === 2) stream.openQoS2 += 1;
  }

  /** The entry that has this identifier, whatever its phase. */
  entryOf(packetIdentifier: number): Entry | undefined {
    const use = this.#identifiers.useOf(packetIdentifier);
    if (use < 0) return undefined;
    const stream = this.streams[(use % USES) as StreamId];
    const { ring } = stream;
    return { stream, ring, at: ring.at(Math.floor(use / USES)) };
  }

  /** The same if it is at that QoS and in that phase. */
  find(packetIdentifier: number, qos: QoS, phase: number): Entry | undefined {
    const entry = this.entryOf(packetIdentifier);
    if (entry === undefined) return undefined;
    return entry.ring.qos[entry.at] === qos && entry.ring.phase[entry.at] === phase ? entry : undefined;
  }

  /** The exchange is complete: its identifier is free. */
  close(stream: Stream, at: number): void {
    const { ring } = stream;
    const qos = ring.qos[at] as QoS;
    if (qos > 0) {
      this.#identifiers.free(ring.identifier[at] as number);
      stream.open -= 1;
    }
    if (qos === 2) stream.openQoS2 -= 1;
    ring.done(at);
    ring.trim();
  }

  /** Assigned for a server that took a higher QoS than the one that has it now. */
  lowerQoS(stream: Stream, at: number, maximumQoS: QoS): void {
    const { ring } = stream;
    const before = ring.qos[at] as QoS;
    const qos = Math.min(before, maximumQoS) as QoS;
    if (qos === before) return;
    ring.qos[at] = qos;
    if (before === 2) stream.openQoS2 -= 1;
    if (qos > 0) return;
    stream.open -= 1;
    this.#identifiers.free(ring.identifier[at] as number);
    ring.identifier[at] = 0;
  }

  /** In the order of their identifiers, which go round: across streams too as they were sent [MQTT5-4.6.0-4]. */
  inOrder(packetIdentifiers: number[]): void {
    const { last } = this.#identifiers;
    packetIdentifiers.sort((one, other) => ((one - last - 1) & 0xffff) - ((other - last - 1) & 0xffff));
  }

  /** The only entry under way that is not yet taken by the server; `unacknowledged` says that there is only one. */
  sole(): Entry | undefined {
    for (const stream of this.streams) {
      const { ring } = stream;
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        if (ring.onWire[at] === 1 && ring.phase[at] === SENT) return { stream, ring, at };
      }
    }
    return undefined;
  }

  /** By stream, the offset that has been under way for longest; 0 for none. */
  oldestOnWire(): number[] {
    return this.streams.map(({ ring }) => {
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        if (ring.onWire[at] === 1) return ring.offset[at] as number;
      }
      return 0;
    });
  }

  hasReleased(): boolean {
    return this.streams.some(({ ring }) => {
      for (let index = ring.head; index < ring.tail; index += 1) {
        const phase = ring.phase[ring.at(index)] as number;
        if (phase === ACKNOWLEDGED || phase === RELEASED) return true;
      }
      return false;
    });
  }

  /** An identifier for SUBSCRIBE or for the bridge's own status. 0: none is free. */
  takeControl(): number {
    return this.#identifiers.take(CONTROL);
  }

  /** False: it was not taken for control. */
  freeControl(packetIdentifier: number): boolean {
    if (this.#identifiers.useOf(packetIdentifier) !== CONTROL) return false;
    this.#identifiers.free(packetIdentifier);
    return true;
  }
}

function push(stream: Stream, offset: number, qos: QoS, phase: number, packetIdentifier: number): number {
  if (qos > 0) stream.open += 1;
  if (qos === 2) stream.openQoS2 += 1;
  return stream.ring.push(offset, qos, phase, packetIdentifier);
}

/** What an identifier is in use for, as a number: one of five streams, and the index in its ring. */
function useOf(stream: Stream, index: number): number {
  return index * USES + stream.id;
}

function hold(stream: Stream, index: number, batch: OpenBatch): void {
  const { ring } = stream;
  const at = ring.at(index);
  ring.batch[at] = batch;
  ring.members += batch.length;
}

function restored(offsets: readonly number[], committed: boolean): OpenBatch {
  // Nobody knows for how long its first message has waited.
  const batch = new OpenBatch(undefined, Number.NEGATIVE_INFINITY);
  batch.offsets.push(...offsets);
  batch.committed = committed;
  return batch;
}

/** Messages of sealed batches beyond the first of each. */
function moreThanEntries(ring: OpenRing): number {
  if (ring.members === 0) return 0;
  let more = 0;
  for (let index = ring.head; index < ring.tail; index += 1) {
    const at = ring.at(index);
    const batch = ring.batch[at];
    if (batch !== undefined && ring.phase[at] !== FORMING && ring.qos[at] !== 0) more += batch.length - 1;
  }
  return more;
}

function openOf(ring: OpenRing): OpenEntry[] {
  const open: OpenEntry[] = [];
  for (let index = ring.head; index < ring.tail; index += 1) {
    const at = ring.at(index);
    const phase = ring.phase[at] as number;
    if (phase === DONE) continue;
    const batch = ring.batch[at];
    open.push({
      offset: batch?.offsets[0] ?? (ring.offset[at] as number),
      packetIdentifier: ring.identifier[at] as number,
      qos: ring.qos[at] as QoS,
      phase: phase === ACKNOWLEDGED || phase === RELEASED ? 'released' : 'published',
      ...(batch !== undefined && { batch: [...batch.offsets] }),
    });
  }
  // What did not fit into a batch stands behind it, with messages that came before others'.
  return ring.members === 0 ? open : open.sort((one, other) => one.offset - other.offset);
}
