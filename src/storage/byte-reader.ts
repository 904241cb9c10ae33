/**
 * Reads what ByteWriter wrote. Every length is held against what is there: bytes that were damaged on
 * their way throw a GodwitError `JOURNAL_DAMAGED`, and never make anybody allocate or loop.
 */
import { GodwitError } from '../core/error.js';

export class ByteReader {
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, from = 0, end = bytes.length) {
    this.#buffer = bytes;
    this.#at = from;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw damaged('a number has no end');
  }

  text(): string {
    return this.#string(this.u32());
  }

  shortText(): string {
    return this.#string(this.u16());
  }

  /** A view on the next bytes, not a copy. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  blob(): Buffer {
    return this.raw(this.u32());
  }

  #string(length: number): string {
    const at = this.#take(length);
    return this.#buffer.toString('utf8', at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#end) throw damaged('bytes are missing');
    this.#at = at + length;
    return at;
  }
}

export function damaged(why: string): GodwitError {
  return new GodwitError('JOURNAL_DAMAGED', `The journal holds bytes that cannot be read: ${why}`);
}
