/**
 * One direction of a slow, long link, in bytes as they are on the wire; no socket here.
 *
 *   A chunk handed over at `now` has left at  max(now, link free) + wire bytes ÷ rate  and arrives `delayMs` later.
 *
 * Wire bytes: the payload, and 40 for the IPv4 and TCP headers of each segment of at most 1,400; a pure acknowledgement
 * (40, the other way) for every two segments; SYN and SYN-ACK 60, the handshake's ACK, FIN and RST 40. Loss,
 * retransmission and slow start are not modelled.
 */

export const SEGMENT_BYTES = 1400;
export const HEADER_BYTES = 40;
export const SYN_BYTES = 60;

export class LinkDirection {
  delayMs = 0;
  /** On the wire. */
  bytesPerSecond = Infinity;
  payload = 0;
  segments = 0;
  acknowledgements = 0;
  wire = 0;
  #freeAtMs = 0;
  #lastArrivalMs = 0;

  /** Puts so many bytes on the wire; says when the last of them has left. */
  transmit(bytes, nowMs) {
    this.wire += bytes;
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes / this.bytesPerSecond) * 1000;
    return this.#freeAtMs;
  }

  /** A chunk of payload, or with 0 bytes a FIN or RST; says when it arrives, never before what came before it. */
  send(bytes, nowMs) {
    const segments = Math.ceil(bytes / SEGMENT_BYTES);
    this.payload += bytes;
    this.segments += segments;
    const leftAtMs = this.transmit(bytes + HEADER_BYTES * Math.max(1, segments), nowMs);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, leftAtMs + this.delayMs);
    return this.#lastArrivalMs;
  }

  acknowledge(nowMs) {
    this.acknowledgements += 1;
    this.transmit(HEADER_BYTES, nowMs);
  }

  /** What waits to leave. */
  backlog(nowMs) {
    return this.bytesPerSecond === Infinity ? 0 : Math.max(0, ((this.#freeAtMs - nowMs) / 1000) * this.bytesPerSecond);
  }

  /** When no more than so many bytes will wait to leave. */
  backlogAtMost(bytes, nowMs) {
    return Math.max(nowMs, this.#freeAtMs - (bytes / this.bytesPerSecond) * 1000);
  }

  /** Bytes on the wire so far, without those that wait to leave. */
  sent(nowMs) {
    return this.wire - this.backlog(nowMs);
  }
}
