/**
 * The receiving side of QoS 1 and 2, shared by the broker and the upstream bridge.
 *
 *   QoS 1   publish ─deliver─▶ (commit) ─accepted()─▶ PUBACK
 *   QoS 2   publish ─deliver─▶ (commit) ─accepted()─▶ PUBREC … pubrel ─complete─▶ (commit) ─completed()─▶ PUBCOMP
 *
 * No socket, disk or clock here. Answers are words, not objects: this runs for every message.
 */
import { ReasonCode } from './reason-code.js';

export type PublishReceipt =
  /** New: save it (at QoS 2 with its identifier), then call `accepted`, then send PUBACK or PUBREC. */
  | 'deliver'
  /** QoS 2 and accepted before: send PUBREC again, deliver nothing [MQTT5-4.3.3-10]. */
  | 'repeated'
  /** QoS 2 and its commit is still under way: the PUBREC that waits for it answers this one too, on the newest connection. */
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

/** What is known of a QoS 2 identifier, as bits. */
const COMMITTING = 1;
const COMPLETING = 2;
/** Its PUBLISH came on this connection, so it takes part of our Receive Maximum. */
const COUNTED = 4;
/** Its PUBREC will carry a Reason Code of 0x80 or above. */
const REFUSED = 8;
/** Its PUBREL came on this connection, so its PUBCOMP is waited for here. */
const ASKED = 16;

export class Receiver {
  /** QoS 2 identifiers between PUBLISH and PUBCOMP. */
  readonly #seen = new Map<number, number>();
  #receiveMaximum = 0;
  #open = 0;

  /** `identifiers`: those of QoS 2 that a durable session had accepted and not completed. */
  constructor(identifiers: readonly number[] = []) {
    for (const packetIdentifier of identifiers) this.#seen.set(packetIdentifier, 0);
  }

  /**
   * A connection has begun. `receiveMaximum` is what we announced; for a 3.1.1 peer pass 65,535 and read slower by
   * `open`. Commits under way go on: their `accepted` and `completed` still come.
   */
  resume(receiveMaximum: number): void {
    this.#receiveMaximum = receiveMaximum;
    this.#open = 0;
    for (const [packetIdentifier, bits] of this.#seen) {
      if ((bits & (COUNTED | ASKED)) !== 0) this.#seen.set(packetIdentifier, bits & ~(COUNTED | ASKED));
    }
  }

  /** Publishes of this connection that still wait for PUBACK, PUBCOMP or a PUBREC of 0x80 and above. */
  get open(): number {
    return this.#open;
  }

  publish(packetIdentifier: number, qos: 1 | 2): PublishReceipt {
    if (qos === 1) {
      if (this.#open >= this.#receiveMaximum) return 'exceeded';
      this.#open += 1;
      return 'deliver';
    }
    const bits = this.#seen.get(packetIdentifier);
    // A repeat on the same connection takes no second share [MQTT5-4.9.0-2].
    if (bits === undefined || (bits & COUNTED) === 0) {
      if (this.#open >= this.#receiveMaximum) return 'exceeded';
      this.#open += 1;
    }
    if (bits === undefined) {
      this.#seen.set(packetIdentifier, COMMITTING | COUNTED);
      return 'deliver';
    }
    this.#seen.set(packetIdentifier, bits | COUNTED);
    return (bits & COMMITTING) === 0 ? 'repeated' : 'pending';
  }

  /**
   * After the commit, with the Reason Code that PUBACK or PUBREC will carry; 0x80 and above ends the exchange. False:
   * its PUBLISH came on an earlier connection and has not come again on this one, so that this one is told nothing: a
   * second PUBREC later would make for a second PUBCOMP, which may hit a message that has the identifier by then.
   */
  accepted(packetIdentifier: number, qos: 1 | 2, reasonCode: ReasonCode): boolean {
    if (qos === 1) {
      // After a reconnection this may answer the old connection; the new one's count then is one too low, never negative.
      if (this.#open > 0) this.#open -= 1;
      return true;
    }
    const bits = this.#seen.get(packetIdentifier);
    if (bits === undefined) return false;
    // [MQTT5-4.3.3-9]
    if (reasonCode >= ReasonCode.unspecifiedError) this.#forget(packetIdentifier, bits);
    else this.#seen.set(packetIdentifier, bits & ~COMMITTING);
    return (bits & COUNTED) !== 0;
  }

  /**
   * QoS 2, and its PUBREC will refuse it but must wait its turn: a crash before that must not leave an identifier that
   * stands for a message nobody took.
   */
  refused(packetIdentifier: number): void {
    const bits = this.#seen.get(packetIdentifier);
    if (bits !== undefined) this.#seen.set(packetIdentifier, bits | REFUSED);
  }

  pubrel(packetIdentifier: number): PubrelReceipt {
    const bits = this.#seen.get(packetIdentifier);
    if (bits === undefined) return 'unknown';
    this.#seen.set(packetIdentifier, bits | COMPLETING | ASKED);
    return (bits & COMPLETING) === 0 ? 'complete' : 'pending';
  }

  /** After the commit that forgets the identifier. False: its PUBREL came on an earlier connection, as with `accepted`. */
  completed(packetIdentifier: number): boolean {
    const bits = this.#seen.get(packetIdentifier);
    if (bits === undefined) return false;
    this.#forget(packetIdentifier, bits);
    return (bits & ASKED) !== 0;
  }

  /** The QoS 2 identifiers to be remembered over a crash, for storage: accepted or about to be, and not asked to be completed. */
  identifiers(): number[] {
    const kept: number[] = [];
    for (const [packetIdentifier, bits] of this.#seen) {
      if ((bits & (COMPLETING | REFUSED)) === 0) kept.push(packetIdentifier);
    }
    return kept;
  }

  #forget(packetIdentifier: number, bits: number): void {
    this.#seen.delete(packetIdentifier);
    if ((bits & COUNTED) !== 0 && this.#open > 0) this.#open -= 1;
  }
}
