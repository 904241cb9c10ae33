/**
 * A PUBLISH encoded once, to be sent to many: from copy to copy only the Packet Identifier and DUP differ, so only
 * they are patched. A fan-out costs one encoding and, at QoS 0, no copying at all.
 */
import { invariant } from '../core/error.js';
import type { QoS } from '../core/message.js';
import { encode, publishFirst } from './encoder.js';
import type { ProtocolVersion, PublishPacket } from './packet.js';
import { utf8Size, variableByteIntegerSize } from './wire.js';

export class PublishTemplate {
  readonly qos: QoS;
  /** Of the whole packet: to be held against the peer's Maximum Packet Size. */
  readonly size: number;

  readonly #bytes: Uint8Array;
  readonly #first: number;
  readonly #identifierAt: number;

  /** `packet.packetIdentifier` and `packet.dup` are ignored. */
  constructor(packet: PublishPacket, protocolVersion: ProtocolVersion) {
    this.qos = packet.qos;
    const { topic, payload, qos, retain, properties } = packet;
    const packetIdentifier = qos > 0 ? 1 : undefined;
    this.#bytes = encode(
      { type: 'publish', topic, payload, qos, retain, dup: false, packetIdentifier, properties },
      protocolVersion,
    );
    this.size = this.#bytes.length;
    this.#first = publishFirst({ qos, retain, dup: false });
    const headerSize = 1 + remainingLengthSize(this.size);
    this.#identifierAt = headerSize + 2 + utf8Size(topic);
  }

  /** For QoS 0: the same array each time, so it must not be written to. */
  get bytes(): Uint8Array {
    invariant(this.qos === 0, 'only QoS 0 needs no identifier');
    return this.#bytes;
  }

  /** A copy of its own, for a socket that keeps the array. */
  withIdentifier(packetIdentifier: number, dup: boolean): Uint8Array {
    const copy = Buffer.allocUnsafe(this.size);
    this.write(copy, 0, packetIdentifier, dup);
    return copy;
  }

  /** Writes a copy into `buffer`, which has `size` bytes left at `offset`; returns the offset behind it. */
  write(buffer: Uint8Array, offset: number, packetIdentifier: number, dup: boolean): number {
    buffer.set(this.#bytes, offset);
    if (this.qos > 0) {
      buffer[offset] = dup ? this.#first | 8 : this.#first;
      buffer[offset + this.#identifierAt] = packetIdentifier >>> 8;
      buffer[offset + this.#identifierAt + 1] = packetIdentifier & 0xff;
    }
    return offset + this.size;
  }
}

/** Octets of the Remaining Length in a packet of this whole size. */
function remainingLengthSize(size: number): number {
  for (let octets = 1; ; octets += 1) {
    if (variableByteIntegerSize(size - 1 - octets) <= octets) return octets;
  }
}
