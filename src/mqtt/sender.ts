/**
 * The sending side of QoS 1 and 2, shared by broker deliveries and the upstream bridge. QoS 0 needs none of it.
 *
 *   QoS 1   publish ──▶ published ──PUBACK──▶ settled
 *   QoS 2   publish ──▶ published ──PUBREC──▶ released ──PUBCOMP──▶ settled
 *
 * No socket, disk or clock here: each call returns Steps to be carried out in order, and a `save` must be
 * durable before the Step after it runs. What is in flight is the caller's: a queued message, a journal offset.
 */
import { invariant } from '../core/error.js';
import type { AckPacket } from './packet.js';
import { ReasonCode } from './reason-code.js';

export type Phase = 'published' | 'released';

export type SenderStep<Item> =
  /** Make this phase of the identifier durable before the next Step runs. */
  | { readonly do: 'save'; readonly packetIdentifier: number; readonly phase: 'released' }
  /** Only ever a PUBREL. */
  | { readonly do: 'send'; readonly packet: AckPacket }
  /** Send the PUBLISH (again): DUP is 1. */
  | {
      readonly do: 'resend';
      readonly packetIdentifier: number;
      readonly qos: 1 | 2;
      readonly item: Item;
    }
  /** Done: delivered, or refused by a Reason Code of 0x80 and above. Its identifier is free; forget it durably too. */
  | {
      readonly do: 'settle';
      readonly packetIdentifier: number;
      readonly item: Item;
      readonly reasonCode: ReasonCode;
    }
  /** The peer broke the protocol: close the connection with this Reason Code. */
  | { readonly do: 'close'; readonly reasonCode: ReasonCode; readonly why: string };

export interface InFlight<Item> {
  readonly packetIdentifier: number;
  readonly qos: 1 | 2;
  readonly phase: Phase;
  readonly item: Item;
}

/** Plain data for storage. Released ones first, in order of their PUBRECs; then the published, in order of sending. */
export interface SenderState<Item> {
  readonly lastPacketIdentifier: number;
  readonly inFlight: readonly InFlight<Item>[];
}

interface Entry<Item> {
  readonly item: Item;
  readonly qos: 1 | 2;
  /** Whether this connection has carried its PUBLISH, so that it takes part of the window. */
  open: boolean;
}

const NOTHING: readonly never[] = [];
const IDENTIFIER_MAX = 65_535;

export class Sender<Item> {
  /** In order of first sending; those of an old connection are sent again in this order. */
  readonly #published = new Map<number, Entry<Item>>();
  /** In order of their PUBRECs [MQTT311-4.6.0-4] [MQTT5-4.6.0-4]. */
  readonly #released = new Map<number, Entry<Item>>();
  /** Identifiers lent to SUBSCRIBE and UNSUBSCRIBE. */
  readonly #lent = new Set<number>();
  #lastPacketIdentifier = 0;

  #receiveMaximum = 0;
  /** What takes part of the window: [MQTT5-4.9.0-2] counted so that a receiver that also counts old PUBRELs is content. */
  #open = 0;
  /** Published on an old connection and not yet sent again, in order. */
  #toResend: number[] = [];
  #resent = 0;

  /** `state`: what `state()` gave before the session was last left. */
  constructor(state?: SenderState<Item>) {
    if (state === undefined) return;
    this.#lastPacketIdentifier = state.lastPacketIdentifier;
    for (const { packetIdentifier, phase, item, qos } of state.inFlight) {
      const entries = phase === 'released' ? this.#released : this.#published;
      entries.set(packetIdentifier, { item, qos, open: false });
    }
  }

  /**
   * A connection has begun: sets the window, and says what of an old connection must be sent again
   * [MQTT311-4.4.0-1] [MQTT5-4.4.0-1]: every PUBREL, then PUBLISHes in their first order as far as the window
   * reaches; the rest follow in the Steps of later acks. Until it is called, nothing may be published.
   *
   * The caller carries these Steps out after the commit of all it has saved before: what is sent again must not be
   * younger than what a crash would leave.
   */
  resume(receiveMaximum: number): readonly SenderStep<Item>[] {
    invariant(receiveMaximum > 0, 'Receive Maximum is above 0');
    this.#receiveMaximum = receiveMaximum;
    this.#lent.clear();
    for (const entry of this.#published.values()) entry.open = false;
    const steps: SenderStep<Item>[] = [];
    for (const [packetIdentifier, entry] of this.#released) {
      entry.open = true;
      steps.push({ do: 'send', packet: pubrel(packetIdentifier, ReasonCode.success) });
    }
    this.#open = this.#released.size;
    this.#toResend = [...this.#published.keys()];
    this.#resent = 0;
    this.#resendInto(steps);
    return steps;
  }

  /** How many publishes the window allows now; 0 while old ones still wait to be sent again. */
  get quota(): number {
    if (this.#resent < this.#toResend.length) return 0;
    const free = IDENTIFIER_MAX - this.inFlightCount - this.#lent.size;
    return Math.max(0, Math.min(this.#receiveMaximum - this.#open, free));
  }

  /** Published or released and not settled. */
  get inFlightCount(): number {
    return this.#published.size + this.#released.size;
  }

  /**
   * Takes the item in flight and returns its Packet Identifier; 0: no quota, nothing taken. The caller saves
   * it as `published` where it must survive a crash, then sends the PUBLISH with DUP 0.
   */
  publish(item: Item, qos: 1 | 2): number {
    if (this.quota === 0) return 0;
    const packetIdentifier = this.#freshIdentifier();
    this.#published.set(packetIdentifier, { item, qos, open: true });
    this.#open += 1;
    return packetIdentifier;
  }

  puback(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    const entry = this.#published.get(packetIdentifier);
    if (entry === undefined) {
      return this.#released.has(packetIdentifier) ? wrongAnswer('PUBACK', packetIdentifier) : NOTHING;
    }
    if (entry.qos !== 1) return wrongAnswer('PUBACK', packetIdentifier);
    this.#published.delete(packetIdentifier);
    return this.#settle(packetIdentifier, entry, reasonCode);
  }

  pubrec(packetIdentifier: number, reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    const entry = this.#published.get(packetIdentifier);
    if (entry === undefined) {
      if (reasonCode >= ReasonCode.unspecifiedError) return NOTHING;
      if (this.#released.has(packetIdentifier)) return release(packetIdentifier);
      // The other side remembers what we do not: PUBREL lets it forget, 0x92 says that we had.
      return [{ do: 'send', packet: pubrel(packetIdentifier, ReasonCode.packetIdentifierNotFound) }];
    }
    if (entry.qos !== 2) return wrongAnswer('PUBREC', packetIdentifier);
    this.#published.delete(packetIdentifier);
    // [MQTT5-4.4.0-2]
    if (reasonCode >= ReasonCode.unspecifiedError) return this.#settle(packetIdentifier, entry, reasonCode);
    this.#released.set(packetIdentifier, entry);
    return release(packetIdentifier);
  }

  /** 0x92 settles too: the receiver has completed it before, and its PUBCOMP was lost. */
  pubcomp(packetIdentifier: number, _reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    const entry = this.#released.get(packetIdentifier);
    if (entry === undefined) {
      return this.#published.has(packetIdentifier) ? wrongAnswer('PUBCOMP', packetIdentifier) : NOTHING;
    }
    this.#released.delete(packetIdentifier);
    return this.#settle(packetIdentifier, entry, ReasonCode.success);
  }

  /** An identifier for SUBSCRIBE or UNSUBSCRIBE, from the same set; 0 where all are in use. Given back by `freeIdentifier`. */
  takeIdentifier(): number {
    if (this.inFlightCount + this.#lent.size >= IDENTIFIER_MAX) return 0;
    const packetIdentifier = this.#freshIdentifier();
    this.#lent.add(packetIdentifier);
    return packetIdentifier;
  }

  /** False: it was not taken, so the SUBACK or UNSUBACK answers nothing. */
  freeIdentifier(packetIdentifier: number): boolean {
    return this.#lent.delete(packetIdentifier);
  }

  state(): SenderState<Item> {
    return { lastPacketIdentifier: this.#lastPacketIdentifier, inFlight: this.#all() };
  }

  /** The peer has lost the session: everything comes back, oldest first (released, then published), and is no longer in flight. */
  reset(): readonly InFlight<Item>[] {
    const all = this.#all();
    this.#published.clear();
    this.#released.clear();
    this.#toResend = [];
    this.#resent = 0;
    this.#open = 0;
    return all;
  }

  #all(): InFlight<Item>[] {
    const all: InFlight<Item>[] = [];
    for (const [packetIdentifier, { item, qos }] of this.#released) {
      all.push({ packetIdentifier, qos, phase: 'released', item });
    }
    for (const [packetIdentifier, { item, qos }] of this.#published) {
      all.push({ packetIdentifier, qos, phase: 'published', item });
    }
    return all;
  }

  #settle(packetIdentifier: number, entry: Entry<Item>, reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    if (entry.open) this.#open -= 1;
    const settled: SenderStep<Item> = { do: 'settle', packetIdentifier, item: entry.item, reasonCode };
    if (this.#resent === this.#toResend.length) return [settled];
    const steps = [settled];
    this.#resendInto(steps);
    return steps;
  }

  #resendInto(steps: SenderStep<Item>[]): void {
    while (this.#resent < this.#toResend.length && this.#open < this.#receiveMaximum) {
      const packetIdentifier = this.#toResend[this.#resent]!;
      this.#resent += 1;
      const entry = this.#published.get(packetIdentifier);
      // Answered without being asked again: nothing is left to send.
      if (entry === undefined) continue;
      entry.open = true;
      this.#open += 1;
      steps.push({ do: 'resend', packetIdentifier, qos: entry.qos, item: entry.item });
    }
    if (this.#resent === this.#toResend.length && this.#resent > 0) {
      this.#toResend = [];
      this.#resent = 0;
    }
  }

  /** The next one that no open exchange holds [MQTT311-2.3.1-2] [MQTT5-2.2.1-3]; the caller knows that there is one. */
  #freshIdentifier(): number {
    let packetIdentifier = this.#lastPacketIdentifier;
    do {
      packetIdentifier = packetIdentifier === IDENTIFIER_MAX ? 1 : packetIdentifier + 1;
    } while (
      this.#published.has(packetIdentifier) ||
      this.#released.has(packetIdentifier) ||
      this.#lent.has(packetIdentifier)
    );
    this.#lastPacketIdentifier = packetIdentifier;
    return packetIdentifier;
  }
}

function pubrel(packetIdentifier: number, reasonCode: ReasonCode): AckPacket {
  return { type: 'pubrel', packetIdentifier, reasonCode, properties: undefined };
}

/**
 * Saved before PUBREL leaves: once the receiver lets the identifier go, the same PUBLISH sent again would count as a
 * new message. [MQTT311-4.3.3-1] [MQTT5-4.3.3-6]
 */
function release(packetIdentifier: number): readonly SenderStep<never>[] {
  return [
    { do: 'save', packetIdentifier, phase: 'released' },
    { do: 'send', packet: pubrel(packetIdentifier, ReasonCode.success) },
  ];
}

function wrongAnswer(packet: string, packetIdentifier: number): readonly SenderStep<never>[] {
  return [
    {
      do: 'close',
      reasonCode: ReasonCode.protocolError,
      why: `${packet} does not answer what was sent with Packet Identifier ${packetIdentifier}`,
    },
  ];
}
