/**
 * All that is open, on all streams, and by which Packet Identifier: what an acknowledgement is for is found here.
 * What may happen to an entry is bridge-session.ts's to decide.
 */
import type { QoS } from '../core/message.js';
import type { OpenEntry, SavedState, SavedStream } from './bridge-state.js';
import { ACKNOWLEDGED, AGAIN, DONE, type OpenRing, RELEASED, SENT, WAITING } from './open-ring.js';
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
      for (const { offset, packetIdentifier, qos, phase } of state.streams[stream.id]?.open ?? []) {
        const inPhase = phase === 'released' ? RELEASED : qos === 0 ? WAITING : AGAIN;
        const index = push(stream, offset, qos, inPhase, packetIdentifier);
        if (packetIdentifier !== 0) this.#identifiers.claim(packetIdentifier, useOf(stream, index));
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

  /** Open: an identifier is assigned and the exchange is not complete. A replay's are not counted. */
  get count(): number {
    const [high, normal, live, history] = this.streams;
    return high.open + normal.open + live.open + history.open;
  }

  /** A new entry, without content; undefined: no identifier is free. Returns its index. */
  open(stream: Stream, offset: number, qos: QoS): number | undefined {
    const packetIdentifier = qos > 0 ? this.#identifiers.take(useOf(stream, stream.ring.tail)) : 0;
    if (qos > 0 && packetIdentifier === 0) return undefined;
    return push(stream, offset, qos, WAITING, packetIdentifier);
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

function openOf(ring: OpenRing): OpenEntry[] {
  const open: OpenEntry[] = [];
  for (let index = ring.head; index < ring.tail; index += 1) {
    const at = ring.at(index);
    const phase = ring.phase[at] as number;
    if (phase === DONE) continue;
    open.push({
      offset: ring.offset[at] as number,
      packetIdentifier: ring.identifier[at] as number,
      qos: ring.qos[at] as QoS,
      phase: phase >= ACKNOWLEDGED ? 'released' : 'published',
    });
  }
  return open;
}
