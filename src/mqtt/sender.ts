/**
 * The sending side of QoS 1 and 2, shared by broker deliveries and the upstream bridge. QoS 0 needs none of it.
 *
 *   QoS 1   publish ──▶ published ──PUBACK──▶ settled
 *   QoS 2   publish ──▶ published ──PUBREC──▶ released ──PUBCOMP──▶ settled
 *
 * No socket, disk or clock here: each call returns Steps to be carried out in order, and a `save` must be
 * durable before the Step after it runs. What is in flight is the caller's: a queued message, a journal offset.
 * (Signatures first; the body follows.)
 */
import type { AckPacket } from './packet.js';
import type { ReasonCode } from './reason-code.js';

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

export class Sender<Item> {
  /** `state`: what `state()` gave before the session was last left. */
  constructor(_state?: SenderState<Item>) {}

  /**
   * A connection has begun: sets the window, and says what of an old connection must be sent again: every PUBREL,
   * then PUBLISHes in their first order as far as the window reaches; the rest follow in the Steps of later acks.
   */
  resume(_receiveMaximum: number): readonly SenderStep<Item>[] {
    throw new Error('not built yet');
  }

  /** How many publishes the window allows now; 0 while old ones still wait to be sent again. */
  get quota(): number {
    throw new Error('not built yet');
  }

  /** Published or released and not settled. */
  get inFlightCount(): number {
    throw new Error('not built yet');
  }

  /**
   * Takes the item in flight and returns its Packet Identifier; 0: no quota, nothing taken. The caller saves
   * it as `published` where it must survive a crash, then sends the PUBLISH with DUP 0.
   */
  publish(_item: Item, _qos: 1 | 2): number {
    throw new Error('not built yet');
  }

  puback(_packetIdentifier: number, _reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    throw new Error('not built yet');
  }

  pubrec(_packetIdentifier: number, _reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    throw new Error('not built yet');
  }

  pubcomp(_packetIdentifier: number, _reasonCode: ReasonCode): readonly SenderStep<Item>[] {
    throw new Error('not built yet');
  }

  /** An identifier for SUBSCRIBE or UNSUBSCRIBE, from the same set; 0 where all are in use. Given back by `freeIdentifier`. */
  takeIdentifier(): number {
    throw new Error('not built yet');
  }

  /** False: it was not taken, so the SUBACK or UNSUBACK answers nothing. */
  freeIdentifier(_packetIdentifier: number): boolean {
    throw new Error('not built yet');
  }

  state(): SenderState<Item> {
    throw new Error('not built yet');
  }

  /** The peer has lost the session: everything comes back, oldest first (released, then published), and is no longer in flight. */
  reset(): readonly InFlight<Item>[] {
    throw new Error('not built yet');
  }
}
