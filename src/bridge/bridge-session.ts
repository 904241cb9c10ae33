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
 * Entries stand in an OpenRing in the order of the journal; `next` is the first offset never offered.
 *
 * After a lost connection the content of what is open is not kept but read from the journal again, as after a
 * restart: one path. `offer` fills it in.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { encodeState, type OpenEntry, type SavedState } from './bridge-state.js';
import { ACKNOWLEDGED, AGAIN, DONE, OpenRing, RELEASED, SENT, WAITING } from './open-ring.js';
import { CONTROL, PacketIdentifiers } from './packet-identifiers.js';

/** Where packets go. `refused`: the server cannot take it (too large); `expired`: its time is over. */
export interface Wire {
  /** Whether there is room for another packet. */
  readonly writable: boolean;
  publish(record: Record, route: Route, qos: QoS, packetIdentifier: number, dup: boolean): Written;
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
  /** What is still needed of the journal: all from here on, and those before it that are open. */
  readonly keepFrom: number;
  readonly held: readonly number[];
  readonly generation: number;
  readonly probing: boolean;
  readonly tail: number;
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

export class BridgeSession {
  readonly #ring: OpenRing;
  readonly #identifiers: PacketIdentifiers;

  #next: number;
  #savedNext: number;
  #generation: number;
  /** A CONNECT is under way, or one was never answered. */
  #probing: boolean;
  #probingOnDisk: boolean;
  #doubtful = false;
  #server: string;
  #clientId: string;

  #limits: Limits = { window: 0, windowQoS2: 0, maximumQoS: 2 };
  #open = 0;
  #openQoS2 = 0;
  #wireCount = 0;
  #wireCountQoS2 = 0;
  #paused = false;
  /** PUBREC was there; the release is not durable yet. */
  #toRelease: number[] = [];
  #pubrels: number[] = [];

  #delivered = 0;
  #lost: LostRecord[] = [];
  #saveNeeded: 'no' | 'soon' | 'now' = 'no';

  constructor(state: SavedState, inflightMax: number) {
    this.#ring = new OpenRing(Math.max(4 * inflightMax, 2 * state.open.length));
    this.#identifiers = new PacketIdentifiers(state.lastPacketIdentifier);
    this.#next = state.next;
    this.#savedNext = state.next;
    this.#generation = state.generation;
    this.#probing = state.probing;
    this.#probingOnDisk = state.probing;
    this.#server = state.server;
    this.#clientId = state.clientId;
    const ring = this.#ring;
    for (const { offset, packetIdentifier, qos, phase } of state.open) {
      const inPhase = phase === 'released' ? RELEASED : qos === 0 ? WAITING : AGAIN;
      const index = this.#push(offset, qos, inPhase, packetIdentifier);
      if (packetIdentifier !== 0) this.#identifiers.claim(packetIdentifier, index);
    }
    ring.committedTail = ring.tail;
    ring.toFill = ring.head;
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

  /** The server refused the CONNECT, so that no session has begun with it. */
  refused(): void {
    this.#probing = false;
  }

  /** Whether a session that the server says to have may be younger than ours. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Open: an identifier is assigned and the exchange is not complete. */
  get inFlight(): number {
    return this.#open;
  }

  /** Sent over this connection and not complete. */
  get unacknowledged(): number {
    return this.#wireCount;
  }

  /** The oldest Record still needed. */
  get cursor(): number {
    const ring = this.#ring;
    return ring.head < ring.tail ? (ring.offset[ring.at(ring.head)] as number) : this.#next;
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
    const ring = this.#ring;
    let lost = false;
    this.#limits = limits;
    this.#paused = false;
    this.#pubrels = [];
    this.#wireCount = 0;
    this.#wireCountQoS2 = 0;
    ring.onWire.fill(0);
    for (let index = ring.head; index < ring.tail; index += 1) {
      const at = ring.at(index);
      const phase = ring.phase[at];
      if (phase === DONE) continue;
      if (!sessionPresent && phase !== WAITING) {
        ring.phase[at] = WAITING;
        lost = true;
        this.#lowerQoS(at);
      } else if (phase === SENT || (sessionPresent === 'unsure' && phase !== WAITING)) {
        ring.phase[at] = AGAIN;
      } else if (phase === RELEASED) {
        this.#pubrels.push(ring.identifier[at] as number);
      }
    }
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
      ring.committedTail = ring.head;
      this.#toRelease = [];
      this.#saveNeeded = 'now';
    }
    this.#ring.rewind();
    return lost;
  }

  /** The connection is gone: nothing may be sent until `connected`. */
  disconnected(): void {
    const ring = this.#ring;
    this.#limits = { window: 0, windowQoS2: 0, maximumQoS: 2 };
    this.#wireCount = 0;
    this.#wireCountQoS2 = 0;
    ring.onWire.fill(0);
    this.#pubrels = [];
  }

  /** After a pause for the server's quota. The feed must start again at `cursor`. */
  retry(): void {
    this.#paused = false;
    this.#ring.rewind();
  }

  /** Offers Records in the order of the journal. `full`: come back after an acknowledgement or a commit. */
  offer(record: Record, route: Route): 'taken' | 'full' {
    const ring = this.#ring;
    if (record.offset < this.#next) return this.#fill(record, route);
    this.#missing(Infinity);
    const qos = Math.min(route.qos, this.#limits.maximumQoS) as QoS;
    const window = this.#limits.window;
    if (
      ring.tail - ring.toSend >= window ||
      ring.isFull ||
      (qos > 0 && this.#open >= window) ||
      (qos === 2 && this.#openQoS2 >= this.#limits.windowQoS2)
    ) {
      return 'full';
    }
    const packetIdentifier = qos > 0 ? this.#identifiers.take(ring.tail) : 0;
    invariant(qos === 0 || packetIdentifier !== 0, 'a window below 65,535 leaves an identifier free');
    const index = this.#push(record.offset, qos, WAITING, packetIdentifier);
    if (qos === 2) this.#saveNeeded = 'now';
    this.#next = record.offset + 1;
    ring.toFill = ring.tail;
    ring.hold(ring.at(index), record, route);
    return 'taken';
  }

  /** All Records before `offset` have been offered: what is open and was not among them is gone from the journal. */
  passed(offset: number): void {
    const ring = this.#ring;
    this.#missing(offset);
    if (offset > this.#next && ring.toFill === ring.tail) {
      this.#next = offset;
      // Other bridges' Records alone are worth no write, until a restart would have to look at many again.
      if (this.#saveNeeded === 'no' && offset - this.#savedNext > PASSED_UNSAVED_MAX)
        this.#saveNeeded = 'soon';
    }
  }

  /** Sends what may be sent now. */
  pump(wire: Wire): void {
    const ring = this.#ring;
    let sent = 0;
    while (sent < this.#pubrels.length && wire.writable) {
      const packetIdentifier = this.#pubrels[sent] as number;
      sent += 1;
      const at = this.#find(packetIdentifier, 2, RELEASED);
      if (at < 0) continue;
      wire.pubrel(packetIdentifier);
      this.#countOnWire(at);
    }
    if (sent > 0) this.#pubrels = this.#pubrels.slice(sent);
    if (this.#paused || this.#limits.window === 0) return;
    while (ring.toSend < ring.tail && wire.writable) {
      const index = ring.toSend;
      const at = ring.at(index);
      const phase = ring.phase[at];
      if ((phase === WAITING || phase === AGAIN) && !this.#send(at, index, phase, wire)) return;
      // One that is done with at once has moved it already.
      ring.toSend = Math.max(ring.toSend, index + 1);
    }
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const at = this.#find(packetIdentifier, 1, SENT);
    if (at < 0) return 'unknown';
    if (mustRetry(reasonCode)) return this.#holdBack(at);
    this.#complete(at, reasonCode >= 0x80 ? 'refused' : undefined);
    return 'ok';
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): Acknowledged {
    const ring = this.#ring;
    const at = this.#find(packetIdentifier, 2, SENT);
    if (at < 0) {
      const index = this.#identifiers.useOf(packetIdentifier);
      if (index < 0) return 'unknown';
      // The server had not seen our PUBREL: it is sent again, or leaves after its commit.
      if (ring.phase[ring.at(index)] === RELEASED) this.#pubrels.push(packetIdentifier);
      return 'ok';
    }
    if (mustRetry(reasonCode)) return this.#holdBack(at);
    if (reasonCode >= 0x80) this.#complete(at, 'refused');
    else this.#acknowledge(at);
    return 'ok';
  }

  /** Any Reason Code: 0x92 only says that the server had completed it before. */
  pubcomp(packetIdentifier: number): Acknowledged {
    const at = this.#find(packetIdentifier, 2, RELEASED);
    if (at < 0) return 'unknown';
    this.#complete(at, undefined);
    return 'ok';
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

  /** The state to be stored, with what has been delivered and lost since the last one. */
  save(received: readonly number[]): Save {
    const ring = this.#ring;
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
    const save: Save = {
      bytes: encodeState({
        server: this.#server,
        clientId: this.#clientId,
        generation: this.#generation,
        probing: this.#probing,
        lastPacketIdentifier: this.#identifiers.last,
        next: this.#next,
        open,
        received,
      }),
      delivered: this.#delivered,
      lost: this.#lost,
      keepFrom: this.#next,
      held: open.map((entry) => entry.offset),
      generation: this.#generation,
      probing: this.#probing,
      tail: ring.tail,
      released: this.#toRelease,
    };
    this.#savedNext = this.#next;
    this.#delivered = 0;
    this.#lost = [];
    this.#toRelease = [];
    this.#saveNeeded = 'no';
    return save;
  }

  /** That state is durable: what waited for it may leave with the next `pump`. */
  committed(save: Save): void {
    this.#probingOnDisk = save.probing;
    const ring = this.#ring;
    // The server's session was lost meanwhile: identifiers mean something else now, and a later save covers them.
    if (save.generation !== this.#generation) return;
    ring.committedTail = Math.max(ring.committedTail, save.tail);
    for (const packetIdentifier of save.released) {
      const at = this.#find(packetIdentifier, 2, ACKNOWLEDGED);
      if (at < 0) continue;
      ring.phase[at] = RELEASED;
      this.#pubrels.push(packetIdentifier);
    }
  }

  #hasReleased(): boolean {
    const ring = this.#ring;
    for (let index = ring.head; index < ring.tail; index += 1) {
      const phase = ring.phase[ring.at(index)] as number;
      if (phase === ACKNOWLEDGED || phase === RELEASED) return true;
    }
    return false;
  }

  #push(offset: number, qos: QoS, phase: number, packetIdentifier: number): number {
    if (qos > 0) this.#open += 1;
    if (qos === 2) this.#openQoS2 += 1;
    return this.#ring.push(offset, qos, phase, packetIdentifier);
  }

  #find(packetIdentifier: number, qos: QoS, phase: number): number {
    const ring = this.#ring;
    const index = this.#identifiers.useOf(packetIdentifier);
    if (index < 0) return -1;
    const at = ring.at(index);
    return ring.qos[at] === qos && ring.phase[at] === phase ? at : -1;
  }

  /** A Record that was offered before: the content of an entry that is to be sent again, or one that is done. */
  #fill(record: Record, route: Route): 'taken' | 'full' {
    const ring = this.#ring;
    if (ring.isHeavy) return 'full';
    this.#missing(record.offset);
    if (ring.toFill === ring.tail) return 'taken';
    const at = ring.at(ring.toFill);
    if (ring.offset[at] !== record.offset) return 'taken';
    ring.toFill += 1;
    const phase = ring.phase[at];
    if ((phase === WAITING || phase === AGAIN) && ring.record[at] === undefined) ring.hold(at, record, route);
    return 'taken';
  }

  /** Entries before `offset` that still have no content: the journal has evicted them, and counted them as lost. */
  #missing(offset: number): void {
    const ring = this.#ring;
    while (ring.toFill < ring.tail) {
      const at = ring.at(ring.toFill);
      if ((ring.offset[at] as number) >= offset) return;
      ring.toFill += 1;
      const phase = ring.phase[at];
      if ((phase !== WAITING && phase !== AGAIN) || ring.record[at] !== undefined) continue;
      ring.credit[at] = 0;
      // The server may hold the identifier of one that was sent: only PUBREL frees it for sure.
      if (phase === AGAIN && ring.qos[at] === 2) this.#acknowledge(at);
      else this.#complete(at, undefined);
    }
  }

  #send(at: number, index: number, phase: number, wire: Wire): boolean {
    const ring = this.#ring;
    const record = ring.record[at];
    const route = ring.route[at];
    const qos = ring.qos[at] as QoS;
    if (record === undefined || route === undefined) return false;
    if (qos > 0 && this.#wireCount >= this.#limits.window) return false;
    if (qos === 2 && (index >= ring.committedTail || this.#wireCountQoS2 >= this.#limits.windowQoS2))
      return false;
    const again = phase === AGAIN;
    const written = wire.publish(record, route, qos, ring.identifier[at] as number, again);
    ring.release(at);
    if (written === 'sent' && qos > 0) {
      ring.phase[at] = SENT;
      this.#countOnWire(at);
    } else if (written === 'sent') {
      this.#complete(at, undefined);
    } else if (again && qos === 2) {
      this.#lose(at, written);
      ring.credit[at] = 0;
      this.#acknowledge(at);
    } else {
      this.#complete(at, written);
    }
    return true;
  }

  #countOnWire(at: number): void {
    const ring = this.#ring;
    if (ring.onWire[at] === 1) return;
    ring.onWire[at] = 1;
    this.#wireCount += 1;
    if (ring.qos[at] === 2) this.#wireCountQoS2 += 1;
  }

  #acknowledge(at: number): void {
    const ring = this.#ring;
    ring.phase[at] = ACKNOWLEDGED;
    this.#toRelease.push(ring.identifier[at] as number);
    this.#saveNeeded = 'now';
  }

  #complete(at: number, lost: LostRecord['reason'] | undefined): void {
    const ring = this.#ring;
    if (ring.credit[at] === 1) {
      if (lost === undefined) this.#delivered += 1;
      else this.#lose(at, lost);
    }
    ring.done(at);
    const qos = ring.qos[at] as QoS;
    if (qos > 0) {
      this.#identifiers.free(ring.identifier[at] as number);
      this.#open -= 1;
    }
    if (qos === 2) this.#openQoS2 -= 1;
    if (ring.onWire[at] === 1) {
      ring.onWire[at] = 0;
      this.#wireCount -= 1;
      if (qos === 2) this.#wireCountQoS2 -= 1;
    }
    ring.trim();
    if (this.#saveNeeded === 'no') this.#saveNeeded = 'soon';
  }

  /** Assigned for a server that took a higher QoS than the one that has it now. */
  #lowerQoS(at: number): void {
    const ring = this.#ring;
    const before = ring.qos[at] as QoS;
    const qos = Math.min(before, this.#limits.maximumQoS) as QoS;
    if (qos === before) return;
    ring.qos[at] = qos;
    if (before === 2) this.#openQoS2 -= 1;
    if (qos > 0) return;
    this.#open -= 1;
    this.#identifiers.free(ring.identifier[at] as number);
    ring.identifier[at] = 0;
  }

  #lose(at: number, reason: LostRecord['reason']): void {
    const ring = this.#ring;
    this.#lost.push({
      reason,
      topic: ring.topic[at] ?? '',
      acceptedAtMs: ring.acceptedAtMs[at] as number,
    });
  }

  /** The exchange has ended without the message: it goes again, as a new one, after a pause. */
  #holdBack(at: number): 'quota' {
    const ring = this.#ring;
    ring.phase[at] = WAITING;
    this.#paused = true;
    if (ring.onWire[at] === 1) {
      ring.onWire[at] = 0;
      this.#wireCount -= 1;
      if (ring.qos[at] === 2) this.#wireCountQoS2 -= 1;
    }
    return 'quota';
  }
}

/** Full for now, or an identifier that the server still takes for another message: neither is a verdict on the message. */
function mustRetry(reasonCode: ReasonCode): boolean {
  return reasonCode === ReasonCode.quotaExceeded || reasonCode === ReasonCode.packetIdentifierInUse;
}
