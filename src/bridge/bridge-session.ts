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
 * There are five Streams with their own cursors (stream.ts) that share the window (send-window.ts) and the identifiers
 * (exchanges.ts). Entries stand in an OpenRing each, in the order of the journal.
 *
 * After a lost connection the content of what is open is not kept but read from the journal again, as after a
 * restart: one path. `offer` fills it in.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Lane, Route } from '../core/route.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { LaneNeeds } from '../storage/storage.js';
import { type BatchCodec, Batches } from './batches.js';
import { encodeState, type SavedState } from './bridge-state.js';
import { type Entry, Exchanges } from './exchanges.js';
import { isBusy } from './fault.js';
import type { HistoryOrder } from './gaps.js';
import { HistoryLane, SKIP_LEAST } from './history-lane.js';
import { NewestSent } from './newest-sent.js';
import type { OpenBatch } from './open-batch.js';
import { ACKNOWLEDGED, AGAIN, DONE, FORMING, type OpenRing, RELEASED, SENT, WAITING } from './open-ring.js';
import { SendWindow, type Shares } from './send-window.js';
import { SessionIdentity } from './session-identity.js';
import {
  HIGH,
  HISTORY,
  LANE_OF,
  LIVE,
  NORMAL,
  REPLAY,
  STREAMS,
  type Stream,
  type StreamId,
} from './stream.js';
import { type LostRecord, type Replayed, Tally } from './tally.js';
import { type Limits, NO_LIMITS, type Wire } from './wire.js';

/** Handed to storage by the shell; `committed` gets it back. */
export interface Save {
  readonly bytes: Uint8Array;
  readonly delivered: number;
  readonly lost: readonly LostRecord[];
  /** Of the replay `job`, which needs Records from `next` on. */
  readonly replayed: Replayed & { readonly job: string; readonly next: number };
  readonly lanes: readonly { readonly lane: Lane; readonly needs: LaneNeeds }[];
  /** There is no connection: what was read is read again before it is sent. */
  readonly idle: boolean;
  readonly generation: number;
  readonly probing: boolean;
  /** By stream. */
  readonly tails: readonly number[];
  readonly released: readonly number[];
  /** Whose messages are in it, all of them. */
  readonly sealed: readonly OpenBatch[];
}

/** What an acknowledgement meant. */
export type Acknowledged =
  | 'ok'
  /** Nothing of ours has this identifier in that phase. */
  | 'unknown'
  /** The server is over its quota: send nothing for a while, then `retry`. */
  | 'quota';

const PASSED_UNSAVED_MAX = 10_000;

export interface SessionOptions extends Shares {
  readonly historyOrder: HistoryOrder;
  readonly newestSent: NewestSent;
  /** For rules with `batch`. */
  readonly batchCodec: BatchCodec;
}

const NO_CODEC: BatchCodec = { encode: () => new Uint8Array(0), encodeBatch: () => new Uint8Array(0) };
const DEFAULTS: Omit<SessionOptions, 'newestSent'> = {
  batchCodec: NO_CODEC,
  usesHigh: false,
  historyShare: 50,
  historyOrder: 'oldest-first',
};

export class BridgeSession {
  readonly #exchanges: Exchanges;
  readonly #streams: Exchanges['streams'];
  readonly #window: SendWindow;
  readonly #history: HistoryLane;
  readonly #identity: SessionIdentity;
  readonly #tally = new Tally();
  /** The job that the stream `replay` is of. */
  #replayJob: string;
  readonly #batches: Batches;
  #paused = false;
  #acknowledgements = 0;
  /** PUBREC was there; the release is not durable yet. */
  #toRelease: number[] = [];
  #pubrels: number[] = [];

  constructor(state: SavedState, inflightMax: number, options: Partial<SessionOptions> = {}) {
    const all = { ...DEFAULTS, newestSent: new NewestSent(), ...options };
    this.#exchanges = new Exchanges(state, inflightMax);
    this.#streams = this.#exchanges.streams;
    this.#window = new SendWindow(this.#streams, all);
    const [, , live, history] = this.#streams;
    this.#history = new HistoryLane(live, history, state.gaps, all.historyOrder, all.newestSent);
    this.#identity = new SessionIdentity(state);
    this.#replayJob = state.replay;
    this.#batches = new Batches(this.#exchanges, this.#window, this.#history, this.#tally, all.batchCodec);
    this.#batches.replays(state.replay);
  }

  /** The batches of its rules: what time it is, when one is to be sealed. */
  get batches(): Pick<Batches, 'now' | 'seal' | 'stretch' | 'deadlineMs'> {
    return this.#batches;
  }

  /** Whether this server has the session that the state belongs to; if not, Clean Start, lest a stranger's be inherited. */
  hasSessionWith(server: string, clientId: string): boolean {
    return this.#identity.isOf(server, clientId);
  }

  /** A CONNECT is about to leave. True: only after the commit of the next `save`. */
  connecting(received: boolean): boolean {
    if (!this.#identity.connecting(() => received || this.#exchanges.hasReleased())) return false;
    this.#tally.now();
    return true;
  }

  /** The server refused the CONNECT, or it never left: no session has begun with it. */
  refused(): void {
    this.#identity.refused();
  }

  /** Whether a session that the server says to have may be younger than ours. */
  get doubtful(): boolean {
    return this.#identity.doubtful;
  }

  /** Open: an identifier is assigned and the exchange is not complete; a replay's do not count. */
  get inFlight(): number {
    return this.#exchanges.count;
  }

  /** Sent over this connection and not complete. */
  get unacknowledged(): number {
    return this.#window.unacknowledged;
  }

  get unacknowledgedQoS2(): number {
    return this.#window.unacknowledgedQoS2;
  }

  /** Acknowledgements heard so far, of any kind. */
  get acknowledgements(): number {
    return this.#acknowledgements;
  }

  /** By stream, the offset that has been under way for longest; 0 for none. */
  oldestOnWire(): number[] {
    return this.#exchanges.oldestOnWire();
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
      this.#tally.lose(stream, at, 'refused');
      this.#acknowledge(ring, at);
    } else {
      this.#complete(stream, at, 'refused');
    }
  }

  /** How much may be under way from now on; `most` of the server's own limit. */
  narrow(most: number, mostQoS2: number): void {
    this.#window.narrow(most, mostQoS2);
  }

  /** Keeps so much of the window free for a replay. */
  reserve(count: number): void {
    this.#window.reserve(count);
  }

  /** The job of which the stream `replay` is; `isOpen`: something of it is under way, or not saved. */
  get replay(): {
    readonly job: string;
    readonly isOpen: boolean;
    readonly isFilled: boolean;
    readonly next: number;
  } {
    const { ring, next } = this.#streams[REPLAY];
    const isFilled = this.#isFilled(this.#streams[REPLAY]);
    return { job: this.#replayJob, isOpen: !ring.isEmpty || this.#tally.hasReplayed, isFilled, next };
  }

  /** Another job, once nothing is open of the one before. */
  beginReplay(job: string, next: number): void {
    const stream = this.#streams[REPLAY];
    invariant(!this.replay.isOpen, 'jobs go one after the other');
    this.#replayJob = job;
    this.#batches.replays(job);
    stream.next = next;
    this.#tally.soon();
  }

  /** What is open of a replay cannot be read again. */
  giveUpReplay(): void {
    this.#missing(this.#streams[REPLAY], Infinity);
  }

  /** How far the replay has come is to be saved, though nothing of it was sent. */
  replayMoved(): void {
    this.#tally.soon();
  }

  /** Whether a Record of this lane is still to be delivered. */
  isPending(lane: Lane, offset: number): boolean {
    if (lane === 'history') return this.#history.isPending(offset);
    return offset >= this.#streams[lane === 'high' ? HIGH : NORMAL].cursor;
  }

  /** The oldest Record that a stream still needs. */
  cursorOf(stream: StreamId = NORMAL): number {
    return this.#streams[stream].cursor;
  }

  /** Where a stream's feed starts. */
  startOf(stream: StreamId): number {
    const { cursor, next } = this.#streams[stream];
    return this.#isFilled(this.#streams[stream]) ? next : cursor;
  }

  /** From where a stream's feed had better read: what is open is filled, and long before what was never offered. */
  jumpOf(stream: StreamId, offset: number): number | undefined {
    const { next } = this.#streams[stream];
    return this.#isFilled(this.#streams[stream]) && next - offset > PASSED_UNSAVED_MAX ? next : undefined;
  }

  /** Only what lies before this offset belongs to the stream. */
  untilOf(stream: StreamId): number {
    return this.#streams[stream].until;
  }

  /** Whether history has something to drain, now or later. */
  get hasHistory(): boolean {
    return this.#history.hasHistory;
  }

  /** What is new goes at once: what waits up to `head` becomes history. True: the live feed must start again. */
  skip(head: number, least = SKIP_LEAST): boolean {
    if (!this.#history.skip(head, least)) return false;
    this.#tally.soon();
    return true;
  }

  /** The next gap, once the one before is done with. True: the history feed must start at its cursor. */
  openGap(): boolean {
    return this.#history.openGap();
  }

  /** `now`: something waits for the commit. `soon`: it can wait for company. */
  get saveNeeded(): 'no' | 'soon' | 'now' {
    return this.#tally.saveNeeded;
  }

  /** Delivered and lost since the last `save`. */
  get unsaved(): { readonly delivered: number; readonly lost: number } {
    return this.#tally.unsaved;
  }

  /**
   * CONNACK. Returns whether a session with messages in flight was lost: they are sent again as new
   * ones, with the same `gw`, `j` and `seq`. Where nobody can say whose session it is (`unsure`), what is released
   * is published again under its identifier: a session of ours may deliver it twice, another one would have lost it.
   * The feed must start again at `cursor`; nothing may be pumped while `saveNeeded` is `now`.
   */
  connected(server: string, clientId: string, sessionPresent: boolean | 'unsure', limits: Limits): boolean {
    let lost = false;
    this.#window.opened(limits);
    this.#paused = false;
    this.#pubrels = [];
    for (const stream of this.#streams) {
      const { ring } = stream;
      for (let index = ring.head; index < ring.tail; index += 1) {
        const at = ring.at(index);
        const phase = ring.phase[at];
        if (phase === DONE || phase === FORMING) continue;
        const batch = ring.batch[at];
        if (batch !== undefined && sessionPresent === false) batch.committed = false;
        if (!sessionPresent && phase !== WAITING) {
          ring.phase[at] = WAITING;
          lost = true;
          this.#exchanges.lowerQoS(stream, at, limits.maximumQoS);
        } else if (phase === SENT || (sessionPresent === 'unsure' && phase !== WAITING)) {
          ring.phase[at] = AGAIN;
        } else if (phase === RELEASED) {
          this.#pubrels.push(ring.identifier[at] as number);
        }
      }
      if (sessionPresent === false) ring.committedTail = ring.head;
      ring.rewind();
      this.#batches.rewind(stream);
    }
    this.#exchanges.inOrder(this.#pubrels);
    if (sessionPresent === 'unsure') this.#toRelease = [];
    if (this.#identity.settled()) this.#tally.now();
    if (!sessionPresent) {
      // Before anything is sent: with the old state on disk, a crash would take the new session for the old one
      // and release messages that it has never seen.
      this.#identity.begin(server, clientId);
      this.#toRelease = [];
      this.#tally.now();
    }
    return lost;
  }

  /** The connection is gone: nothing may be sent until `connected`. */
  disconnected(): void {
    if (this.#window.limits !== NO_LIMITS) this.#tally.soon();
    for (const stream of this.#streams) this.#batches.empty(stream);
    this.#window.opened(NO_LIMITS);
    this.#pubrels = [];
    // It may be evicted from now on, and is read again before it is sent.
    for (const { ring } of this.#streams) ring.empty();
  }

  /** After a pause for the server's quota. The feed must start again at `cursor`. */
  retry(): void {
    this.#paused = false;
    for (const stream of this.#streams) {
      stream.ring.rewind();
      this.#batches.rewind(stream);
    }
  }

  /** Offers Records in the order of the journal. `full`: come back after an acknowledgement or a commit. */
  offer(record: Record, route: Route, to: StreamId = NORMAL): 'taken' | 'full' {
    const stream = this.#streams[to];
    const { ring } = stream;
    if (record.offset < stream.next) return this.#fill(stream, record, route);
    this.#missing(stream, Infinity);
    const { maximumQoS, window } = this.#window.limits;
    if (route.batch !== undefined) {
      if (window === 0 || this.#batches.offer(stream, record, route, route.batch) === 'full') return 'full';
      stream.next = record.offset + 1;
      return 'taken';
    }
    const qos = Math.min(route.qos, maximumQoS) as QoS;
    if (
      ring.tail - ring.toSend >= window ||
      ring.isFull ||
      !this.#window.hasRoom(stream, qos, this.hasHistory) ||
      !this.#batches.yields(stream, record)
    ) {
      return 'full';
    }
    const index = this.#exchanges.open(stream, record.offset, qos);
    invariant(index !== undefined, 'a window below 65,535 leaves an identifier free');
    if (qos === 2) this.#tally.now();
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
    if (end > stream.next && this.#isFilled(stream)) {
      stream.next = end;
      // Other bridges' Records alone are worth no write, until a restart would have to look at many again.
      if (end - stream.savedNext > PASSED_UNSAVED_MAX) this.#tally.soon();
    }
    if (stream.next >= stream.until) this.#batches.sealStream(stream);
  }

  /** Sends what may be sent now. */
  pump(wire: Wire): void {
    let sent = 0;
    while (sent < this.#pubrels.length && wire.writable) {
      const packetIdentifier = this.#pubrels[sent] as number;
      sent += 1;
      const found = this.#exchanges.find(packetIdentifier, 2, RELEASED);
      if (found === undefined) continue;
      wire.pubrel(packetIdentifier);
      this.#window.sent(found.ring, found.at);
    }
    if (sent > 0) this.#pubrels = this.#pubrels.slice(sent);
    if (this.#paused || this.#window.limits.window === 0) return;
    for (const stream of this.#streams) this.#pumpStream(stream, wire);
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const found = this.#exchanges.find(packetIdentifier, 1, SENT);
    if (found === undefined) return 'unknown';
    if (mustRetry(reasonCode)) return this.#holdBack(found);
    this.#heard();
    this.#complete(found.stream, found.at, reasonCode >= 0x80 ? 'refused' : undefined);
    return 'ok';
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const found = this.#exchanges.find(packetIdentifier, 2, SENT);
    if (found === undefined) {
      const entry = this.#exchanges.entryOf(packetIdentifier);
      if (entry === undefined) return 'unknown';
      // The server had not seen our PUBREL: it is sent again, or leaves after its commit.
      if (entry.ring.phase[entry.at] === RELEASED) this.#pubrels.push(packetIdentifier);
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
    const found = this.#exchanges.find(packetIdentifier, 2, RELEASED);
    if (found === undefined) return 'unknown';
    this.#heard();
    this.#complete(found.stream, found.at, undefined);
    return 'ok';
  }

  /** An identifier for SUBSCRIBE or for the bridge's own status. 0: none is free. */
  takeControl(): number {
    return this.#exchanges.takeControl();
  }

  /** One more or less PUBLISH of the bridge's own is under way. */
  control(more: 1 | -1): void {
    this.#window.control(more);
  }

  /** Whether the server takes one more PUBLISH of the bridge's own. */
  get hasRoomForControl(): boolean {
    return this.#window.hasRoomForControl;
  }

  /** False: it was not taken for control. */
  freeControl(packetIdentifier: number): boolean {
    return this.#exchanges.freeControl(packetIdentifier);
  }

  /** The state to be stored, with what has been delivered and lost since the last one. */
  save(received: readonly number[]): Save {
    const streams = this.#exchanges.saved;
    const heldOf = (id: StreamId): number[] =>
      (streams[id]?.open ?? []).flatMap(({ offset, batch = [offset] }) => batch);
    const { saved, generation } = this.#identity;
    const { delivered, lost, replayed } = this.#tally.take();
    const save: Save = {
      bytes: encodeState({
        ...saved,
        lastPacketIdentifier: this.#exchanges.lastIdentifier,
        streams,
        historyUntil: this.#streams[HISTORY].until,
        gaps: this.#history.gaps,
        replay: this.#replayJob,
        received,
      }),
      delivered,
      lost,
      replayed: { ...replayed, job: this.#replayJob, next: this.#streams[REPLAY].cursor },
      lanes: [
        ...([HIGH, NORMAL] as const).map((id) => ({
          lane: LANE_OF[id] as Lane,
          needs: { offset: this.#streams[id].next, held: heldOf(id), waiting: [] },
        })),
        {
          lane: 'history',
          needs: { ...this.#history.needs, held: [...heldOf(LIVE), ...heldOf(HISTORY)] },
        },
      ],
      idle: this.#window.limits === NO_LIMITS,
      generation,
      probing: saved.probing,
      tails: STREAMS.map((id) => this.#streams[id].ring.tail),
      released: this.#toRelease,
      sealed: this.#exchanges.sealed(),
    };
    for (const stream of this.#streams) stream.savedNext = stream.next;
    this.#toRelease = [];
    return save;
  }

  /** That state is durable: what waited for it may leave with the next `pump`. */
  committed(save: Save): void {
    this.#identity.committed(save.probing);
    // The server's session was lost meanwhile: identifiers mean something else now, and a later save covers them.
    if (save.generation !== this.#identity.generation) return;
    for (const { id, ring } of this.#streams) {
      ring.committedTail = Math.max(ring.committedTail, save.tails[id] ?? 0);
    }
    for (const batch of save.sealed) batch.committed = true;
    for (const packetIdentifier of save.released) {
      const found = this.#exchanges.find(packetIdentifier, 2, ACKNOWLEDGED);
      if (found === undefined) continue;
      found.ring.phase[found.at] = RELEASED;
      this.#pubrels.push(packetIdentifier);
    }
  }

  #sole(): Entry | undefined {
    return this.#window.unacknowledged === 1 ? this.#exchanges.sole() : undefined;
  }

  #heard(): void {
    this.#acknowledgements += 1;
    this.#window.heard();
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

  /** A Record that was offered before: the content of an entry that is to be sent again, or one that is done. */
  #fill(stream: Stream, record: Record, route: Route): 'taken' | 'full' {
    const { ring } = stream;
    if (ring.isHeavy) return 'full';
    this.#missing(stream, record.offset);
    if (this.#batches.fill(stream, record, route)) return 'taken';
    while (ring.toFill < ring.tail && ring.batch[ring.at(ring.toFill)] !== undefined) ring.toFill += 1;
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
    this.#batches.missing(stream, offset, (at) => this.#gone(stream, at));
    while (ring.toFill < ring.tail) {
      const at = ring.at(ring.toFill);
      if (ring.batch[at] === undefined && (ring.offset[at] as number) >= offset) return;
      ring.toFill += 1;
      const phase = ring.phase[at];
      const isBatch = ring.batch[at] !== undefined;
      if (isBatch || (phase !== WAITING && phase !== AGAIN) || ring.record[at] !== undefined) continue;
      this.#gone(stream, at);
    }
  }

  /** There is nothing left to send of it. */
  #gone(stream: Stream, at: number): void {
    const { ring } = stream;
    if (stream.id === REPLAY) this.#tally.lose(stream, at, 'expired');
    ring.credit[at] = 0;
    // The server may hold the identifier of one that was sent: only PUBREL frees it for sure.
    if (ring.phase[at] === AGAIN && ring.qos[at] === 2) this.#acknowledge(ring, at);
    else this.#complete(stream, at, undefined);
  }

  /** The job, of the stream `replay`. */
  #replayOf(stream: Stream): string | undefined {
    return stream.id === REPLAY ? this.#replayJob : undefined;
  }

  #isFilled(stream: Stream): boolean {
    return stream.isFilled && this.#batches.isFilled(stream);
  }

  #send(stream: Stream, at: number, index: number, phase: number, wire: Wire): boolean {
    const { ring } = stream;
    const batch = ring.batch[at];
    const qos = ring.qos[at] as QoS;
    const isCommitted = qos < 2 || (batch === undefined ? index < ring.committedTail : batch.committed);
    if (!isCommitted || !this.#window.letsOut(qos)) return false;
    const { record, route } =
      batch === undefined
        ? { record: ring.record[at], route: ring.route[at] }
        : (this.#batches.carrier(stream, at) ?? {});
    if (record === undefined || route === undefined) return false;
    const again = phase === AGAIN;
    const replay = this.#replayOf(stream);
    const late = replay !== undefined || this.#history.isLate(stream, record);
    const written = wire.publish(record, route, qos, ring.identifier[at] as number, again, late, replay);
    ring.release(at);
    batch?.release();
    if (written === 'sent' && qos > 0) {
      ring.phase[at] = SENT;
      this.#window.sent(ring, at);
    } else if (written === 'sent') {
      this.#complete(stream, at, undefined);
    } else if (again && qos === 2) {
      this.#tally.lose(stream, at, written);
      this.#acknowledge(ring, at);
    } else {
      this.#complete(stream, at, written);
    }
    return true;
  }

  #acknowledge(ring: OpenRing, at: number): void {
    ring.phase[at] = ACKNOWLEDGED;
    this.#toRelease.push(ring.identifier[at] as number);
    this.#tally.now();
  }

  #complete(stream: Stream, at: number, lost: LostRecord['reason'] | undefined): void {
    const { ring } = stream;
    this.#tally.ended(stream, at, lost);
    this.#window.acknowledged(ring, at);
    this.#exchanges.close(stream, at);
    this.#tally.soon();
  }

  /** The exchange has ended without the message: it goes again, as a new one, after a pause. */
  #holdBack({ ring, at }: Entry): 'quota' {
    ring.phase[at] = WAITING;
    this.#paused = true;
    this.#window.startOver();
    this.#window.acknowledged(ring, at);
    return 'quota';
  }
}

/** Full for now, or an identifier that the server still takes for another message: neither is a verdict on the message. */
function mustRetry(reasonCode: ReasonCode): boolean {
  return isBusy(reasonCode) || reasonCode === ReasonCode.packetIdentifierInUse;
}
