/**
 * What is between the journal and the server: which Records are in flight, under which identifier, and how far the
 * bridge has come. No socket, disk or clock here.
 *
 *   QoS 0   offer ──▶ waiting ──written──▶ done
 *   QoS 1   offer ──▶ waiting ──PUBLISH──▶ sent ──PUBACK──▶ done
 *   QoS 2   offer ──▶ waiting ──(commit) PUBLISH──▶ sent ──PUBREC──▶ acknowledged ──(commit) PUBREL──▶ released ──PUBCOMP──▶ done
 *
 * Two things must be durable before they are seen on the wire, both only at QoS 2: which identifier a Record has
 * (sent again under another it would be a new message), and its release (once the server lets the identifier go, the
 * same PUBLISH sent again would be a new message) [MQTT5-4.3.3]. `save` gives the state to be stored, `committed`
 * says that it is; many messages share one. All else is told to the disk later, in passing: forgetting it
 * costs a repetition at QoS 1 and nothing at QoS 2.
 *
 * There are four Streams with their own cursors (stream.ts) that share the window and the identifiers. Entries stand
 * in an OpenRing each, in the order of the journal.
 *
 * After a lost connection the content of what is open is not kept but read from the journal again, as after a
 * restart: one path. `offer` fills it in.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Lane, Route } from '../core/route.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { encodeState, type OpenEntry, type SavedState } from './bridge-state.js';
import { isBusy } from './fault.js';
import { Gaps, type HistoryOrder } from './gaps.js';
import { NewestSent } from './newest-sent.js';
import { ACKNOWLEDGED, AGAIN, DONE, type OpenRing, RELEASED, SENT, WAITING } from './open-ring.js';
import { CONTROL, PacketIdentifiers } from './packet-identifiers.js';
import { HIGH, HISTORY, LANE_OF, LIVE, NORMAL, Stream, type StreamId } from './stream.js';

/** Where packets go. `refused`: the server cannot take it (too large); `expired`: its time is over. */
export interface Wire {
  /** Whether there is room for another packet. */
  readonly writable: boolean;
  /** @param late a newer message of its topic was sent before: RETAIN 0 */
  publish(
    record: Record,
    route: Route,
    qos: QoS,
    packetIdentifier: number,
    dup: boolean,
    late: boolean,
  ): Written;
  pubrel(packetIdentifier: number): void;
}

export type Written = 'sent' | 'refused' | 'expired';

/** What this connection's server allows. */
export interface Limits {
  /** Unacknowledged PUBLISHes above QoS 0. */
  readonly window: number;
  /** Of these, QoS 2. */
  readonly windowQoS2: number;
  readonly maximumQoS: QoS;
}

export interface LostRecord {
  readonly reason: 'refused' | 'expired';
  readonly topic: string;
  readonly acceptedAtMs: number;
}

/** Handed to storage by the shell; `committed` gets it back. */
export interface Save {
  readonly bytes: Uint8Array;
  readonly delivered: number;
  readonly lost: readonly LostRecord[];
  /** What is still needed of each lane: all from here on, and those before it that are open. */
  readonly needs: readonly { readonly lane: Lane; readonly from: number; readonly held: readonly number[] }[];
  readonly generation: number;
  readonly probing: boolean;
  /** By stream. */
  readonly tails: readonly number[];
  readonly released: readonly number[];
}

/** What an acknowledgement meant. */
export type Acknowledged =
  | 'ok'
  /** Nothing of ours has this identifier in that phase. */
  | 'unknown'
  /** The server is over its quota: send nothing for a while, then `retry`. */
  | 'quota';

const PASSED_UNSAVED_MAX = 10_000;
/** With so few waiting, what is new comes soon enough behind them. */
const SKIP_LEAST = 100;

export interface SessionOptions {
  /** Whether a rule has priority high: some of the window is kept for it. */
  readonly usesHigh: boolean;
  /** Per cent of the window for history, while there is some. */
  readonly historyShare: number;
  readonly historyOrder: HistoryOrder;
  readonly newestSent: NewestSent;
}

const DEFAULTS: Omit<SessionOptions, 'newestSent'> = {
  usesHigh: false,
  historyShare: 50,
  historyOrder: 'oldest-first',
};

export class BridgeSession {
  readonly #options: SessionOptions;
  readonly #streams: readonly [Stream, Stream, Stream, Stream];
  readonly #gaps: Gaps;
  readonly #identifiers: PacketIdentifiers;

  #generation: number;
  /** A CONNECT is under way, or one was never answered. */
  #probing: boolean;
  #probingOnDisk: boolean;
  #doubtful = false;
  #server: string;
  #clientId: string;

  #limits: Limits = { window: 0, windowQoS2: 0, maximumQoS: 2 };
  /** Of the window, kept free for others: a replay. */
  #reserved = 0;
  #wireCount = 0;
  #wireCountQoS2 = 0;
  #paused = false;
  #most = Infinity;
  #mostQoS2 = Infinity;
  /** After a refusal for quota, growing again with each acknowledgement. */
  #eager = Infinity;
  #acknowledgements = 0;
  /** PUBLISHes of the bridge's own that count against the server's Receive Maximum too. */
  #controls = 0;
  /** PUBREC was there; the release is not durable yet. */
  #toRelease: number[] = [];
  #pubrels: number[] = [];

  #delivered = 0;
  #lost: LostRecord[] = [];
  #saveNeeded: 'no' | 'soon' | 'now' = 'no';

  constructor(state: SavedState, inflightMax: number, options: Partial<SessionOptions> = {}) {
    this.#options = { ...DEFAULTS, newestSent: new NewestSent(), ...options };
    this.#gaps = new Gaps(state.gaps);
    const made = (id: StreamId): Stream => {
      const { next, open } = state.streams[id] ?? { next: 1, open: [] };
      return new Stream(id, next, Math.max(4 * inflightMax, 2 * open.length));
    };
    this.#streams = [made(HIGH), made(NORMAL), made(LIVE), made(HISTORY)];
    this.#streams[HISTORY].until = state.historyUntil;
    this.#identifiers = new PacketIdentifiers(state.lastPacketIdentifier);
    this.#generation = state.generation;
    this.#probing = state.probing;
    this.#probingOnDisk = state.probing;
    this.#server = state.server;
    this.#clientId = state.clientId;
    for (const stream of this.#streams) {
      for (const { offset, packetIdentifier, qos, phase } of state.streams[stream.id]?.open ?? []) {
        const inPhase = phase === 'released' ? RELEASED : qos === 0 ? WAITING : AGAIN;
        const index = this.#push(stream, offset, qos, inPhase, packetIdentifier);
        if (packetIdentifier !== 0) this.#identifiers.claim(packetIdentifier, useOf(stream, index));
      }
      stream.ring.committedTail = stream.ring.tail;
      stream.ring.toFill = stream.ring.head;
    }
  }

  /** Whether this server has the session that the state belongs to; if not, Clean Start, lest a stranger's be inherited. */
  hasSessionWith(server: string, clientId: string): boolean {
    return this.#server === server && this.#clientId === clientId;
  }

  /**
   * A CONNECT is about to leave. True: only after the commit of the next `save`.
   *
   * A server that has lost its session begins another with this CONNECT. If we do not live to hear that, the next
   * CONNACK says Session Present of a session that never saw what is released here: PUBREL would be answered, and the
   * message be lost. So a CONNECT that was never answered is remembered, on disk too where something is released.
   */
  connecting(received: boolean): boolean {
    if (this.#probing) this.#doubtful = true;
    this.#probing = true;
    if (this.#probingOnDisk || !(received || this.#hasReleased())) return false;
    this.#saveNeeded = 'now';
    return true;
  }

  /** The server refused the CONNECT, or it never left: no session has begun with it. */
  refused(): void {
    this.#probing = false;
  }

  /** Whether a session that the server says to have may be younger than ours. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Open: an identifier is assigned and the exchange is not complete. */
  get inFlight(): number {
    return this.#streams.reduce((sum, { open }) => sum + open, 0);
  }

  /** Sent over this connection and not complete. */
  get unacknowledged(): number {
    return this.#wireCount;
  }

  get unacknowledgedQoS2(): number {
    return this.#wireCountQoS2;
  }

  /** Acknowledgements heard so far, of any kind. */
  get acknowledgements(): number {
    return this.#acknowledgements;
  }

  /** By stream, the offset that has been under way for longest; 0 for none. */
  oldestOnWire(): number[] {
    return this.#streams.map(({ ring }) => {
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        if (ring.onWire[at] === 1) return ring.offset[at] as number;
      }
      return 0;
    });
  }

  /** The one message that is under way and not yet taken, if there is only one. */
  get soleOnWire(): number | undefined {
    const entry = this.#sole();
    return entry === undefined ? undefined : entry.ring.offset[entry.at];
  }

  /** The server does not take that one: it is lost, with its reason, and the rest goes on. */
  refuseSole(): void {
    const entry = this.#sole();
    if (entry === undefined) return;
    const { ring, at, stream } = entry;
    if (ring.qos[at] === 2) {
      this.#lose(ring, at, 'refused');
      ring.credit[at] = 0;
      this.#acknowledge(ring, at);
    } else {
      this.#complete(stream, at, 'refused');
    }
  }

  /** How much may be under way from now on; `most` of the server's own limit. */
  narrow(most: number, mostQoS2: number): void {
    this.#most = most;
    this.#mostQoS2 = mostQoS2;
  }

  /** Keeps so much of the window free. */
  reserve(count: number): void {
    this.#reserved = count;
  }

  /** Whether the server takes one more beside what is under way; not while a message is suspected. */
  hasRoomBeside(others: number): boolean {
    const window = Math.min(this.#limits.window, this.#most, this.#eager);
    return this.#most > 1 && this.#wireCount + this.#controls + others < window;
  }

  /** Whether a Record of this lane is still to be delivered. */
  isPending(lane: Lane, offset: number): boolean {
    if (lane !== 'history') return offset >= this.#streams[lane === 'high' ? HIGH : NORMAL].cursor;
    const [, , live, history] = this.#streams;
    const isOpen = (stream: Stream): boolean => offset >= stream.cursor && offset < stream.next;
    return (
      offset >= live.next ||
      isOpen(live) ||
      isOpen(history) ||
      (offset >= history.next && offset < history.until) ||
      this.#gaps.all.some(([from, to]) => offset >= from && offset < to)
    );
  }

  /** The oldest Record that a stream still needs. */
  cursorOf(stream: StreamId = NORMAL): number {
    return this.#streams[stream].cursor;
  }

  /** Where a stream's feed starts. */
  startOf(stream: StreamId): number {
    const { cursor, isFilled, next } = this.#streams[stream];
    return isFilled ? next : cursor;
  }

  /** From where a stream's feed had better read: what is open is filled, and long before what was never offered. */
  jumpOf(stream: StreamId, offset: number): number | undefined {
    const { isFilled, next } = this.#streams[stream];
    return isFilled && next - offset > PASSED_UNSAVED_MAX ? next : undefined;
  }

  /** Only what lies before this offset belongs to the stream. */
  untilOf(stream: StreamId): number {
    return this.#streams[stream].until;
  }

  /** Whether history has something to drain, now or later. */
  get hasHistory(): boolean {
    const history = this.#streams[HISTORY];
    return !this.#gaps.isEmpty || !history.ring.isEmpty || history.next < history.until;
  }

  /** What is new goes at once: what waits up to `head` becomes history. True: the live feed must start again. */
  skip(head: number, least = SKIP_LEAST): boolean {
    const live = this.#streams[LIVE];
    if (head + 1 - live.next <= least || this.#gaps.isFull) return false;
    this.#gaps.add(live.next, head + 1);
    live.next = head + 1;
    if (this.#saveNeeded === 'no') this.#saveNeeded = 'soon';
    return true;
  }

  /** The next gap, once the one before is done with. True: the history feed must start at its cursor. */
  openGap(): boolean {
    const history = this.#streams[HISTORY];
    if (history.next < history.until || !history.ring.isEmpty) return false;
    const gap = this.#gaps.take(this.#options.historyOrder);
    if (gap === undefined) {
      this.#options.newestSent.clear();
      return false;
    }
    [history.next, history.until] = gap;
    return true;
  }

  /** `now`: something waits for the commit. `soon`: it can wait for company. */
  get saveNeeded(): 'no' | 'soon' | 'now' {
    return this.#saveNeeded;
  }

  /** Delivered and lost since the last `save`. */
  get unsaved(): { readonly delivered: number; readonly lost: number } {
    return { delivered: this.#delivered, lost: this.#lost.length };
  }

  /**
   * CONNACK. Returns whether a session with messages in flight was lost: they are sent again as new
   * ones, with the same `gw`, `j` and `seq`. Where nobody can say whose session it is (`unsure`), what is released
   * is published again under its identifier: a session of ours may deliver it twice, another one would have lost it.
   * The feed must start again at `cursor`; nothing may be pumped while `saveNeeded` is `now`.
   */
  connected(server: string, clientId: string, sessionPresent: boolean | 'unsure', limits: Limits): boolean {
    let lost = false;
    this.#limits = limits;
    this.#paused = false;
    this.#controls = 0;
    this.#pubrels = [];
    this.#wireCount = 0;
    this.#wireCountQoS2 = 0;
    for (const stream of this.#streams) {
      const { ring } = stream;
      ring.onWire.fill(0);
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        const phase = ring.phase[at];
        if (phase === DONE) continue;
        if (!sessionPresent && phase !== WAITING) {
          ring.phase[at] = WAITING;
          lost = true;
          this.#lowerQoS(stream, at);
        } else if (phase === SENT || (sessionPresent === 'unsure' && phase !== WAITING)) {
          ring.phase[at] = AGAIN;
        } else if (phase === RELEASED) {
          this.#pubrels.push(ring.identifier[at] as number);
        }
      }
      if (sessionPresent === false) ring.committedTail = ring.head;
      ring.rewind();
    }
    // In the order of their identifiers, which go round: across streams too as they were sent [MQTT5-4.6.0-4].
    const { last } = this.#identifiers;
    this.#pubrels.sort((one, other) => ((one - last - 1) & 0xffff) - ((other - last - 1) & 0xffff));
    this.#probing = false;
    this.#doubtful = false;
    if (sessionPresent === 'unsure') this.#toRelease = [];
    // With the doubt on disk, a crash would have all that is released by then published again.
    if (this.#probingOnDisk) this.#saveNeeded = 'now';
    if (!sessionPresent) {
      // Before anything is sent: with the old state on disk, a crash would take the new session for the old one
      // and release messages that it has never seen.
      this.#generation += 1;
      this.#server = server;
      this.#clientId = clientId;
      this.#toRelease = [];
      this.#saveNeeded = 'now';
    }
    return lost;
  }

  /** The connection is gone: nothing may be sent until `connected`. */
  disconnected(): void {
    this.#limits = { window: 0, windowQoS2: 0, maximumQoS: 2 };
    this.#wireCount = 0;
    this.#wireCountQoS2 = 0;
    for (const { ring } of this.#streams) ring.onWire.fill(0);
    this.#pubrels = [];
  }

  /** After a pause for the server's quota. The feed must start again at `cursor`. */
  retry(): void {
    this.#paused = false;
    for (const { ring } of this.#streams) ring.rewind();
  }

  /** Offers Records in the order of the journal. `full`: come back after an acknowledgement or a commit. */
  offer(record: Record, route: Route, to: StreamId = NORMAL): 'taken' | 'full' {
    const stream = this.#streams[to];
    const { ring } = stream;
    if (record.offset < stream.next) return this.#fill(stream, record, route);
    this.#missing(stream, Infinity);
    const qos = Math.min(route.qos, this.#limits.maximumQoS) as QoS;
    if (ring.tail - ring.toSend >= this.#limits.window || ring.isFull || !this.#hasRoom(stream, qos)) {
      return 'full';
    }
    const packetIdentifier = qos > 0 ? this.#identifiers.take(useOf(stream, ring.tail)) : 0;
    invariant(qos === 0 || packetIdentifier !== 0, 'a window below 65,535 leaves an identifier free');
    const index = this.#push(stream, record.offset, qos, WAITING, packetIdentifier);
    if (qos === 2) this.#saveNeeded = 'now';
    stream.next = record.offset + 1;
    ring.toFill = ring.tail;
    ring.hold(ring.at(index), record, route);
    return 'taken';
  }

  /** All Records before `offset` have been offered: what is open and was not among them is gone from the journal. */
  passed(offset: number, to: StreamId = NORMAL): void {
    const stream = this.#streams[to];
    this.#missing(stream, offset);
    const end = Math.min(offset, stream.until);
    if (end > stream.next && stream.isFilled) {
      stream.next = end;
      // Other bridges' Records alone are worth no write, until a restart would have to look at many again.
      if (this.#saveNeeded === 'no' && end - stream.savedNext > PASSED_UNSAVED_MAX) this.#saveNeeded = 'soon';
    }
  }

  /** Sends what may be sent now. */
  pump(wire: Wire): void {
    let sent = 0;
    while (sent < this.#pubrels.length && wire.writable) {
      const packetIdentifier = this.#pubrels[sent] as number;
      sent += 1;
      const found = this.#find(packetIdentifier, 2, RELEASED);
      if (found === undefined) continue;
      wire.pubrel(packetIdentifier);
      this.#countOnWire(found.ring, found.at);
    }
    if (sent > 0) this.#pubrels = this.#pubrels.slice(sent);
    if (this.#paused || this.#limits.window === 0) return;
    for (const stream of this.#streams) this.#pumpStream(stream, wire);
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const found = this.#find(packetIdentifier, 1, SENT);
    if (found === undefined) return 'unknown';
    if (mustRetry(reasonCode)) return this.#holdBack(found);
    this.#heard();
    this.#complete(found.stream, found.at, reasonCode >= 0x80 ? 'refused' : undefined);
    return 'ok';
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const found = this.#find(packetIdentifier, 2, SENT);
    if (found === undefined) {
      const use = this.#identifiers.useOf(packetIdentifier);
      if (use < 0) return 'unknown';
      const { ring, at } = this.#entry(use);
      // The server had not seen our PUBREL: it is sent again, or leaves after its commit.
      if (ring.phase[at] === RELEASED) this.#pubrels.push(packetIdentifier);
      return 'ok';
    }
    if (mustRetry(reasonCode)) return this.#holdBack(found);
    this.#heard();
    if (reasonCode >= 0x80) this.#complete(found.stream, found.at, 'refused');
    else this.#acknowledge(found.ring, found.at);
    return 'ok';
  }

  /** Any Reason Code: 0x92 only says that the server had completed it before. */
  pubcomp(packetIdentifier: number): Acknowledged {
    const found = this.#find(packetIdentifier, 2, RELEASED);
    if (found === undefined) return 'unknown';
    this.#heard();
    this.#complete(found.stream, found.at, undefined);
    return 'ok';
  }

  /** An identifier for SUBSCRIBE or for the bridge's own status. 0: none is free. */
  takeControl(): number {
    return this.#identifiers.take(CONTROL);
  }

  /** One more or less PUBLISH of the bridge's own is under way. */
  control(more: 1 | -1): void {
    this.#controls += more;
  }

  /** False: it was not taken for control. */
  freeControl(packetIdentifier: number): boolean {
    if (this.#identifiers.useOf(packetIdentifier) !== CONTROL) return false;
    this.#identifiers.free(packetIdentifier);
    return true;
  }

  /** The state to be stored, with what has been delivered and lost since the last one. */
  save(received: readonly number[]): Save {
    const open = this.#streams.map(openOf);
    const history = this.#streams[HISTORY];
    const live = this.#streams[LIVE];
    const save: Save = {
      bytes: encodeState({
        server: this.#server,
        clientId: this.#clientId,
        generation: this.#generation,
        // A refusal of the CONNECT after it settles no doubt.
        probing: this.#probing || this.#doubtful,
        lastPacketIdentifier: this.#identifiers.last,
        streams: this.#streams.map(({ id, next }) => ({ next, open: open[id] ?? [] })),
        historyUntil: history.until,
        gaps: this.#gaps.all,
        received,
      }),
      delivered: this.#delivered,
      lost: this.#lost,
      needs: [
        ...[HIGH, NORMAL].map((id) => ({
          lane: LANE_OF[id] as Lane,
          from: (this.#streams[id] as Stream).next,
          held: (open[id] ?? []).map((entry) => entry.offset),
        })),
        {
          lane: 'history',
          from: Math.min(
            live.next,
            history.next < history.until ? history.next : Infinity,
            this.#gaps.all[0]?.[0] ?? Infinity,
          ),
          held: [...(open[LIVE] ?? []), ...(open[HISTORY] ?? [])].map((entry) => entry.offset),
        },
      ],
      generation: this.#generation,
      probing: this.#probing || this.#doubtful,
      tails: this.#streams.map(({ ring }) => ring.tail),
      released: this.#toRelease,
    };
    for (const stream of this.#streams) stream.savedNext = stream.next;
    this.#delivered = 0;
    this.#lost = [];
    this.#toRelease = [];
    this.#saveNeeded = 'no';
    return save;
  }

  /** That state is durable: what waited for it may leave with the next `pump`. */
  committed(save: Save): void {
    this.#probingOnDisk = save.probing;
    // The server's session was lost meanwhile: identifiers mean something else now, and a later save covers them.
    if (save.generation !== this.#generation) return;
    for (const { id, ring } of this.#streams) {
      ring.committedTail = Math.max(ring.committedTail, save.tails[id] ?? 0);
    }
    for (const packetIdentifier of save.released) {
      const found = this.#find(packetIdentifier, 2, ACKNOWLEDGED);
      if (found === undefined) continue;
      found.ring.phase[found.at] = RELEASED;
      this.#pubrels.push(packetIdentifier);
    }
  }

  #sole(): Entry | undefined {
    if (this.#wireCount !== 1) return undefined;
    for (const stream of this.#streams) {
      const { ring } = stream;
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        if (ring.onWire[at] === 1 && ring.phase[at] === SENT) return { stream, ring, at };
      }
    }
    return undefined;
  }

  #heard(): void {
    this.#acknowledgements += 1;
    if (this.#eager < 0x10000) this.#eager *= 2;
    else this.#eager = Infinity;
  }

  #hasReleased(): boolean {
    return this.#streams.some(({ ring }) => {
      for (let index = ring.head; index < ring.tail; index += 1) {
        const phase = ring.phase[ring.at(index)] as number;
        if (phase === ACKNOWLEDGED || phase === RELEASED) return true;
      }
      return false;
    });
  }

  /** Whether the window has an identifier left for a new message of this stream. */
  #hasRoom(stream: Stream, qos: QoS): boolean {
    if (qos === 0) return true;
    const [high, normal, live, history] = this.#streams;
    const { windowQoS2 } = this.#limits;
    const window = this.#window;
    if (!this.#fits(stream, window, [high.open, normal.open + live.open, history.open])) return false;
    return (
      qos === 1 ||
      this.#fits(stream, windowQoS2, [high.openQoS2, normal.openQoS2 + live.openQoS2, history.openQoS2])
    );
  }

  get #window(): number {
    return Math.max(0, this.#limits.window - this.#reserved);
  }

  #fits({ id }: Stream, window: number, [high, middle, history]: readonly [number, number, number]): boolean {
    if (high + middle + history >= window) return false;
    if (id === HIGH) return true;
    // With a window of one, whoever comes first has it.
    const share = this.hasHistory ? Math.max(1, Math.floor((window * this.#options.historyShare) / 100)) : 0;
    if (id === HISTORY) return history < share;
    const reserve = this.#options.usesHigh ? Math.ceil(window / 10) : 0;
    return middle < Math.max(1, window - reserve - share);
  }

  #pumpStream(stream: Stream, wire: Wire): void {
    const { ring } = stream;
    while (ring.toSend < ring.tail && wire.writable) {
      const index = ring.toSend;
      const at = ring.at(index);
      const phase = ring.phase[at];
      if ((phase === WAITING || phase === AGAIN) && !this.#send(stream, at, index, phase, wire)) return;
      // One that is done with at once has moved it already.
      ring.toSend = Math.max(ring.toSend, index + 1);
    }
  }

  #push(stream: Stream, offset: number, qos: QoS, phase: number, packetIdentifier: number): number {
    if (qos > 0) stream.open += 1;
    if (qos === 2) stream.openQoS2 += 1;
    return stream.ring.push(offset, qos, phase, packetIdentifier);
  }

  #entry(use: number): Entry {
    const stream = this.#streams[(use % 4) as StreamId];
    const { ring } = stream;
    return { stream, ring, at: ring.at(Math.floor(use / 4)) };
  }

  #find(packetIdentifier: number, qos: QoS, phase: number): Entry | undefined {
    const use = this.#identifiers.useOf(packetIdentifier);
    if (use < 0) return undefined;
    const entry = this.#entry(use);
    return entry.ring.qos[entry.at] === qos && entry.ring.phase[entry.at] === phase ? entry : undefined;
  }

  /** A Record that was offered before: the content of an entry that is to be sent again, or one that is done. */
  #fill(stream: Stream, record: Record, route: Route): 'taken' | 'full' {
    const { ring } = stream;
    if (ring.isHeavy) return 'full';
    this.#missing(stream, record.offset);
    if (ring.toFill === ring.tail) return 'taken';
    const at = ring.at(ring.toFill);
    if (ring.offset[at] !== record.offset) return 'taken';
    ring.toFill += 1;
    const phase = ring.phase[at];
    if ((phase === WAITING || phase === AGAIN) && ring.record[at] === undefined) ring.hold(at, record, route);
    return 'taken';
  }

  /** Entries before `offset` that still have no content: the journal has evicted them, and counted them as lost. */
  #missing(stream: Stream, offset: number): void {
    const { ring } = stream;
    while (ring.toFill < ring.tail) {
      const at = ring.at(ring.toFill);
      if ((ring.offset[at] as number) >= offset) return;
      ring.toFill += 1;
      const phase = ring.phase[at];
      if ((phase !== WAITING && phase !== AGAIN) || ring.record[at] !== undefined) continue;
      ring.credit[at] = 0;
      // The server may hold the identifier of one that was sent: only PUBREL frees it for sure.
      if (phase === AGAIN && ring.qos[at] === 2) this.#acknowledge(ring, at);
      else this.#complete(stream, at, undefined);
    }
  }

  #send(stream: Stream, at: number, index: number, phase: number, wire: Wire): boolean {
    const { ring } = stream;
    const record = ring.record[at];
    const route = ring.route[at];
    const qos = ring.qos[at] as QoS;
    if (record === undefined || route === undefined) return false;
    if (qos > 0 && this.#wireCount + this.#controls >= Math.min(this.#window, this.#most, this.#eager))
      return false;
    if (
      qos === 2 &&
      (index >= ring.committedTail ||
        this.#wireCountQoS2 >= Math.min(this.#limits.windowQoS2, this.#mostQoS2))
    )
      return false;
    const again = phase === AGAIN;
    const late = stream.id >= LIVE && this.hasHistory && this.#isLate(stream, record);
    const written = wire.publish(record, route, qos, ring.identifier[at] as number, again, late);
    ring.release(at);
    if (written === 'sent' && qos > 0) {
      ring.phase[at] = SENT;
      this.#countOnWire(ring, at);
    } else if (written === 'sent') {
      this.#complete(stream, at, undefined);
    } else if (again && qos === 2) {
      this.#lose(ring, at, written);
      ring.credit[at] = 0;
      this.#acknowledge(ring, at);
    } else {
      this.#complete(stream, at, written);
    }
    return true;
  }

  /** Whether a newer message of the topic was sent, as far as it matters: where RETAIN is set. */
  #isLate(stream: Stream, { content, offset }: Record): boolean {
    const { retain, topic } = content.kind === 'message' ? content.message : content.set;
    if (!retain) return false;
    const { newestSent } = this.#options;
    if (newestSent.isNewerThan(topic, offset)) return true;
    const gapsEnd =
      stream.id === LIVE ? Math.max(this.#streams[HISTORY].until, this.#gaps.all.at(-1)?.[1] ?? 0) : Infinity;
    newestSent.sent(topic, offset, gapsEnd);
    return false;
  }

  #countOnWire(ring: OpenRing, at: number): void {
    if (ring.onWire[at] === 1) return;
    ring.onWire[at] = 1;
    this.#wireCount += 1;
    if (ring.qos[at] === 2) this.#wireCountQoS2 += 1;
  }

  #offWire(ring: OpenRing, at: number): void {
    if (ring.onWire[at] === 0) return;
    ring.onWire[at] = 0;
    this.#wireCount -= 1;
    if (ring.qos[at] === 2) this.#wireCountQoS2 -= 1;
  }

  #acknowledge(ring: OpenRing, at: number): void {
    ring.phase[at] = ACKNOWLEDGED;
    this.#toRelease.push(ring.identifier[at] as number);
    this.#saveNeeded = 'now';
  }

  #complete(stream: Stream, at: number, lost: LostRecord['reason'] | undefined): void {
    const { ring } = stream;
    if (ring.credit[at] === 1) {
      if (lost === undefined) this.#delivered += 1;
      else this.#lose(ring, at, lost);
    }
    this.#offWire(ring, at);
    const qos = ring.qos[at] as QoS;
    if (qos > 0) {
      this.#identifiers.free(ring.identifier[at] as number);
      stream.open -= 1;
    }
    if (qos === 2) stream.openQoS2 -= 1;
    ring.done(at);
    ring.trim();
    if (this.#saveNeeded === 'no') this.#saveNeeded = 'soon';
  }

  /** Assigned for a server that took a higher QoS than the one that has it now. */
  #lowerQoS(stream: Stream, at: number): void {
    const { ring } = stream;
    const before = ring.qos[at] as QoS;
    const qos = Math.min(before, this.#limits.maximumQoS) as QoS;
    if (qos === before) return;
    ring.qos[at] = qos;
    if (before === 2) stream.openQoS2 -= 1;
    if (qos > 0) return;
    stream.open -= 1;
    this.#identifiers.free(ring.identifier[at] as number);
    ring.identifier[at] = 0;
  }

  #lose(ring: OpenRing, at: number, reason: LostRecord['reason']): void {
    this.#lost.push({
      reason,
      topic: ring.topic[at] ?? '',
      acceptedAtMs: ring.acceptedAtMs[at] as number,
    });
  }

  /** The exchange has ended without the message: it goes again, as a new one, after a pause. */
  #holdBack({ ring, at }: Entry): 'quota' {
    ring.phase[at] = WAITING;
    this.#paused = true;
    // What follows it of its topic must not overtake it again: one at a time, then twice as many, and so on.
    this.#eager = 1;
    this.#offWire(ring, at);
    return 'quota';
  }
}

interface Entry {
  readonly stream: Stream;
  readonly ring: OpenRing;
  readonly at: number;
}

/** What an identifier is in use for, as a number: one of four streams, and the index in its ring. */
function useOf(stream: Stream, index: number): number {
  return index * 4 + stream.id;
}

function openOf({ ring }: Stream): OpenEntry[] {
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

/** Full for now, or an identifier that the server still takes for another message: neither is a verdict on the message. */
function mustRetry(reasonCode: ReasonCode): boolean {
  return isBusy(reasonCode) || reasonCode === ReasonCode.packetIdentifierInUse;
}
