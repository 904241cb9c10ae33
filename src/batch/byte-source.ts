/** Reads what ByteSink writes; any bytes are taken, and what cannot be is told as damage. */
import { damaged } from './batch.js';
import { fromZigzag } from './byte-sink.js';

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ByteSource {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw damaged('it ends too early');
    this.#at += 1;
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    throw damaged('a number is too large');
  }

  /** How many of something follow, each of which takes `bytesLeast` at least: so a count cannot promise more than is there. */
  count(bytesLeast = 1): number {
    const count = this.varint();
    if (count * bytesLeast > this.left) throw damaged('it counts more than it holds');
    return count;
  }

  zigzag(): number {
    return fromZigzag(this.varint());
  }

  raw(length: number): Uint8Array {
    if (length > this.left) throw damaged('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  blob(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    return decodeText(this.blob());
  }
}

export function decodeText(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    throw damaged('a text that is not UTF-8');
  }
}
