/**
 * Bytes appended one field after another into one buffer that grows. Numbers are little-endian;
 * `varint` is the usual seven bits a byte, lowest first, for whole numbers up to 2^53.
 *
 * A field that may be long asks `reserve` first; the small ones do it themselves.
 */
const GROW_MIN = 1024;

export class ByteWriter {
  #buffer: Buffer;
  #at = 0;
  /** A view on the same bytes: writing a double through it is much cheaper than Buffer's checks. */
  #view: DataView;

  constructor(room: ArrayBuffer = new ArrayBuffer(GROW_MIN)) {
    this.#buffer = Buffer.from(room);
    this.#view = new DataView(room);
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#at;
  }

  /** What was written: a view, valid until the next write. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  /** Gives the room away, for a transfer to another thread; the writer must not be used again. */
  release(): ArrayBuffer {
    return this.#view.buffer as ArrayBuffer;
  }

  /** Back to an earlier length: what followed is forgotten. */
  rewind(length: number): void {
    this.#at = length;
  }

  reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const room = new ArrayBuffer(Math.max(needed, this.#buffer.length * 2, GROW_MIN));
    const grown = Buffer.from(room);
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
    this.#view = new DataView(room);
  }

  u8(value: number): void {
    this.reserve(1);
    this.#buffer[this.#at++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** Fills in a u32 whose value was not known when its place was passed. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  f64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  varint(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at++] = rest;
  }

  /** UTF-8 with its length in front. Half a surrogate pair becomes U+FFFD: MQTT and JSON have none. */
  text(value: string): void {
    this.reserve(value.length * 3 + 4);
    const bytes = this.#buffer.write(value, this.#at + 4, 'utf8');
    this.#view.setUint32(this.#at, bytes, true);
    this.#at += 4 + bytes;
  }

  /** The same with two bytes of length, for what MQTT keeps below 65,536 bytes. */
  shortText(value: string): void {
    this.reserve(value.length * 3 + 2);
    const bytes = this.#buffer.write(value, this.#at + 2, 'utf8');
    if (bytes > 0xffff) throw new RangeError(`a text of ${bytes} bytes does not fit two bytes of length`);
    this.#view.setUint16(this.#at, bytes, true);
    this.#at += 2 + bytes;
  }

  /** Bytes as they are, their length known elsewhere. */
  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** Bytes with their length in front. */
  blob(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }
}
