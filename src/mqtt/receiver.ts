/**
 * The receiving side of QoS 1 and 2, shared by the broker and the upstream bridge.
 *
 *   QoS 1   publish ─deliver─▶ (commit) ─accepted()─▶ PUBACK
 *   QoS 2   publish ─deliver─▶ (commit) ─accepted()─▶ PUBREC … pubrel ─complete─▶ (commit) ─completed()─▶ PUBCOMP
 *
 * No socket, disk or clock here. Answers are words, not objects: this runs for every message.
 * (Signatures first; the body follows.)
 */
import type { ReasonCode } from './reason-code.js';

export type PublishReceipt =
  /** New: save it (at QoS 2 with its identifier), then call `accepted`, then send PUBACK or PUBREC. */
  | 'deliver'
  /** QoS 2 and accepted before: send PUBREC again, deliver nothing [MQTT5-4.3.3-10]. */
  | 'repeated'
  /** QoS 2 and its commit is still under way: the PUBREC that waits for it answers this one too. */
  | 'pending'
  /** More unacknowledged than our Receive Maximum: close with 0x93. */
  | 'exceeded';

export type PubrelReceipt =
  /** Forget the identifier durably, then call `completed`, then send PUBCOMP 0x00: else a crash would let the id eat a new message. */
  | 'complete'
  /** Asked already, and that commit is still under way: its PUBCOMP answers this one too. */
  | 'pending'
  /** Never seen or already done: send PUBCOMP with 0x92 (3.1.1: plain PUBCOMP). */
  | 'unknown';

export class Receiver {
  /** `identifiers`: those of QoS 2 that a durable session had accepted and not completed. */
  constructor(_identifiers: readonly number[] = []) {}

  /** A connection has begun. `receiveMaximum` is what we announced; for a 3.1.1 peer pass 65,535 and read slower by `open`. */
  resume(_receiveMaximum: number): void {
    throw new Error('not built yet');
  }

  /** Publishes of this connection that still wait for PUBACK, PUBCOMP or a PUBREC of 0x80 and above. */
  get open(): number {
    throw new Error('not built yet');
  }

  publish(_packetIdentifier: number, _qos: 1 | 2): PublishReceipt {
    throw new Error('not built yet');
  }

  /** After the commit, with the Reason Code that PUBACK or PUBREC will carry; 0x80 and above ends the exchange. */
  accepted(_packetIdentifier: number, _qos: 1 | 2, _reasonCode: ReasonCode): void {
    throw new Error('not built yet');
  }

  pubrel(_packetIdentifier: number): PubrelReceipt {
    throw new Error('not built yet');
  }

  /** After the commit that forgets the identifier. */
  completed(_packetIdentifier: number): void {
    throw new Error('not built yet');
  }

  /** The QoS 2 identifiers not completed yet, for storage. */
  identifiers(): number[] {
    throw new Error('not built yet');
  }
}
