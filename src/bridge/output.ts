/**
 * Packets of one turn in one buffer, written to the socket by one call: at 200,000 messages a second a call each
 * would cost more than the messages.
 */

/** A turn is written out at this size, so that its acknowledgements come while the next is encoded. */
export const TURN_BYTES = 128 * 1024;

export class Output {
  #buffer = Buffer.allocUnsafeSlow(TURN_BYTES + 16 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Reserves `bytes` and returns where they begin in `buffer`. */
  reserve(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(at + bytes, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = at + bytes;
    return at;
  }

  /** Valid until the next `reserve`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** What was reserved since the last call; the socket may keep it. Empty where there was nothing. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#length);
    const left = this.#buffer.length - this.#length;
    this.#length = 0;
    if (bytes.length === 0) return bytes;
    // Small turns share a buffer: a fresh one for each of a slow stream's packets would be waste.
    this.#buffer =
      left >= 32 * 1024
        ? this.#buffer.subarray(bytes.length)
        : Buffer.allocUnsafeSlow(TURN_BYTES + 16 * 1024);
    return bytes;
  }

  clear(): void {
    this.#length = 0;
  }
}
