/**
 * What one connection has to say, gathered in one buffer and written once per turn of the event loop: a write costs as
 * much as twenty messages. The buffer comes from a pool and goes back when the kernel has taken it, so that an idle
 * connection holds none.
 *
 *   publish / ack / packet ──▶ buffer ──flush, or full──▶ transport.write
 *
 * Held, it gathers the same and hands over nothing: what it says rests on a commit that is still to come.
 *
 * While the socket is blocked nothing more is handed to it until the buffer is full; `congested` says when there is too
 * much of it, and the caller drops or waits.
 */

import type { PlainPublish, PublishTemplate } from '../mqtt/encoder.js';
import { plainPublishSize, writeAck, writePlainPublish } from '../mqtt/encoder.js';
import type { AckPacket, ProtocolVersion } from '../mqtt/packet.js';
import type { Counters } from './counters.js';
import type { Transport } from './transport.js';
import type { Turn } from './turn.js';

/** Fifty of them still fit into a processor's second cache, and a write of 16 KiB costs little more than one of 64. */
const BUFFER_BYTES = 16 * 1024;
/** Kept for the next turn; more were needed only by a burst. */
const POOL_BUFFERS_MAX = 256;
/** A client that lets this much wait is too slow: it gets no QoS 0 until some of it has gone. */
export const CONGESTED_BYTES = 256 * 1024;

const pool: Buffer[] = [];

export class Outbox {
  readonly #transport: Transport;
  readonly #turn: Turn;
  readonly #counters: Counters;
  #buffer: Buffer | undefined;
  #used = 0;
  #scheduled = false;
  #blocked = false;
  #closed = false;
  /** What is full already, while held. */
  #held: Uint8Array[] | undefined;
  #heldBytes = 0;

  constructor(transport: Transport, turn: Turn, counters: Counters) {
    this.#transport = transport;
    this.#turn = turn;
    this.#counters = counters;
  }

  get congested(): boolean {
    return (this.#blocked || this.#held !== undefined) && this.pendingBytes > CONGESTED_BYTES;
  }

  get pendingBytes(): number {
    return this.#transport.pendingBytes + this.#heldBytes + this.#used;
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const bytes of held) this.#write(bytes);
    if (!this.#blocked) this.#handOver();
  }

  ack(type: AckPacket['type'], packetIdentifier: number): void {
    this.#counters.packetsSent += 1;
    const buffer = this.#reserve(4);
    if (buffer !== undefined) this.#used = writeAck(buffer, this.#used, type, packetIdentifier);
  }

  /** False: it is too large to be written here. */
  publishPlain(
    packet: PlainPublish,
    version: ProtocolVersion,
    packetIdentifier: number,
    dup: boolean,
  ): boolean {
    const size = plainPublishSize(packet, version);
    if (size > BUFFER_BYTES) return false;
    this.#counters.packetsSent += 1;
    const buffer = this.#reserve(size);
    if (buffer === undefined) return true;
    this.#used = writePlainPublish(buffer, this.#used, packet, version, packetIdentifier, dup);
    return true;
  }

  publish(template: PublishTemplate, packetIdentifier: number, dup: boolean): void {
    const { size } = template;
    if (size > BUFFER_BYTES) {
      this.packet(packetIdentifier === 0 ? template.bytes : template.withIdentifier(packetIdentifier, dup));
      return;
    }
    this.#counters.packetsSent += 1;
    const buffer = this.#reserve(size);
    if (buffer !== undefined) this.#used = template.write(buffer, this.#used, packetIdentifier, dup);
  }

  /** Any encoded packet; a large one is handed over as it is, so it must not be written to afterwards. */
  packet(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#counters.packetsSent += 1;
    if (bytes.length > BUFFER_BYTES) {
      this.#handOver();
      if (this.#held === undefined) this.#write(bytes);
      else this.#keepHeld(bytes);
      return;
    }
    const buffer = this.#reserve(bytes.length);
    if (buffer === undefined) return;
    buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** At the end of the turn. */
  flush(): void {
    this.#scheduled = false;
    if (!this.#blocked && this.#held === undefined) this.#handOver();
  }

  drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    if (this.#held === undefined) this.#handOver();
  }

  /** Hands over everything, blocked or not: nothing follows. What is held was never said. */
  close(): void {
    if (this.#closed) return;
    if (this.#held === undefined) this.#handOver();
    this.#closed = true;
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#used = 0;
    this.#giveBack();
  }

  /** Room for `bytes`, at most BUFFER_BYTES, at `#used`. */
  #reserve(bytes: number): Buffer | undefined {
    if (this.#closed) return undefined;
    if (this.#buffer !== undefined && this.#used + bytes > BUFFER_BYTES) this.#handOver();
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#turn.flushLater(this);
    }
    this.#buffer ??= pool.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return this.#buffer;
  }

  #handOver(): void {
    const buffer = this.#buffer;
    if (buffer === undefined || this.#used === 0) return;
    const bytes = buffer.subarray(0, this.#used);
    this.#used = 0;
    if (this.#held !== undefined) {
      this.#keepHeld(bytes);
      this.#buffer = undefined;
      return;
    }
    this.#counters.bytesSent += bytes.length;
    if (this.#transport.write(bytes)) {
      this.#giveBack();
    } else {
      // The socket keeps the buffer.
      this.#buffer = undefined;
      this.#blocked = true;
    }
  }

  #write(bytes: Uint8Array): void {
    this.#counters.bytesSent += bytes.length;
    if (!this.#transport.write(bytes)) this.#blocked = true;
  }

  #keepHeld(bytes: Uint8Array): void {
    this.#held?.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #giveBack(): void {
    if (this.#buffer !== undefined && pool.length < POOL_BUFFERS_MAX) pool.push(this.#buffer);
    this.#buffer = undefined;
  }
}
