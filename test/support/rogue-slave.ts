/**
 * A Modbus slave that misbehaves on purpose, one mischief at a time. Its registers tell which answer is right: an
 * even one holds unit and address, the odd one after it how many requests had been received when it was read.
 *
 * Like a real device it answers in order: an answer that is late makes the following ones late.
 */

import { decodeAsciiFrame, encodeAsciiFrame } from '../../src/drivers/modbus/ascii-frame.js';
import { encodeRtuFrame, isRtuFrame } from '../../src/drivers/modbus/rtu-frame.js';
import { decodeTcpFrame, encodeTcpFrame } from '../../src/drivers/modbus/tcp-frame.js';

export const MISCHIEFS = [
  'late',
  'very late',
  'silent',
  'twice',
  'twice, the second time later',
  'half',
  'corrupt',
  'for another unit',
  'the previous answer',
  'after noise',
  'in pieces',
  'wrong identifier',
] as const;

export type Mischief = (typeof MISCHIEFS)[number];

export interface Emission {
  readonly afterMs: number;
  readonly bytes: Uint8Array;
}

export interface RogueSettings {
  readonly framing: 'tcp' | 'rtu' | 'ascii';
  readonly timeoutMs: number;
  /** What to do with the next request; undefined: answer it as it should be. */
  readonly mischief: () => Mischief | undefined;
  readonly random: () => number;
  /** Whether these registers exist; exception 2 where not. */
  readonly exists?: (start: number, count: number) => boolean;
}

/** How soon it answers when it behaves. */
const PROMPT_MS = 2;

export class RogueSlave {
  requests = 0;
  refusals = 0;
  readonly #settings: RogueSettings;
  /** By unit and address, which requests asked for it. */
  readonly #asked = new Map<string, number[]>();
  #input = Buffer.alloc(0);
  #previous: Uint8Array | undefined;
  #busyUntilMs = 0;

  constructor(settings: RogueSettings) {
    this.#settings = settings;
  }

  /**
   * Whether a uint32 read at `address` (even) is what the newest request for it got, of those received when the
   * answer was accepted: `received` says how many.
   */
  isFresh(unit: number, address: number, value: unknown, received: number): boolean {
    const newest = this.#asked.get(`${unit}/${address}`)?.findLast((request) => request <= received);
    return this.isOf(unit, address, value) && Number(value) % 0x1_0000 === newest;
  }

  /** Whether it belongs to this unit and address, from whichever request. */
  isOf(unit: number, address: number, value: unknown): boolean {
    return Math.floor(Number(value) / 0x1_0000) === word(unit, address, 0);
  }

  /** A new connection: nothing of the old one is left to read or to send. */
  reset(): void {
    this.#input = Buffer.alloc(0);
    this.#previous = undefined;
    this.#busyUntilMs = 0;
  }

  received(bytes: Uint8Array, nowMs: number): Emission[] {
    this.#input = Buffer.concat([this.#input, bytes]);
    const emissions: Emission[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) {
      emissions.push(...this.#answer(frame.unit, frame.transaction, frame.pdu, nowMs));
    }
    return emissions;
  }

  #take(): { unit: number; transaction: number; pdu: Uint8Array } | undefined {
    if (this.#settings.framing === 'tcp') {
      const decoded = decodeTcpFrame(this.#input);
      if (decoded.kind !== 'frame') return undefined;
      this.#input = this.#input.subarray(decoded.bytesUsed);
      return decoded.frame;
    }
    if (this.#settings.framing === 'ascii') {
      const end = this.#input.indexOf(0x0a);
      if (end === -1) return undefined;
      const request = decodeAsciiFrame(this.#input.subarray(0, end + 1));
      if (request === undefined) throw new Error('the driver sent something that is no read request');
      this.#input = this.#input.subarray(end + 1);
      return { unit: request[0] ?? 0, transaction: 0, pdu: request.subarray(1) };
    }
    if (this.#input.length < 8) return undefined;
    const frame = this.#input.subarray(0, 8);
    if (!isRtuFrame(frame)) throw new Error('the driver sent something that is no read request');
    this.#input = this.#input.subarray(8);
    return { unit: frame[0] ?? 0, transaction: 0, pdu: frame.subarray(1, 6) };
  }

  #answer(unit: number, transaction: number, request: Uint8Array, nowMs: number): Emission[] {
    this.requests += 1;
    const { timeoutMs, random, mischief, exists } = this.#settings;
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const start = view.getUint16(1);
    const count = view.getUint16(3);
    let pdu: Uint8Array;
    if (exists !== undefined && !exists(start, count)) {
      this.refusals += 1;
      pdu = Uint8Array.of((request[0] ?? 0) | 0x80, 2);
    } else {
      const registers = new DataView(new ArrayBuffer(count * 2));
      for (let index = 0; index < count; index++) {
        registers.setUint16(index * 2, word(unit, start + index, this.requests));
      }
      for (let address = start; address + 2 <= start + count; address++) {
        if (address % 2 === 0) this.#note(`${unit}/${address}`);
      }
      pdu = Uint8Array.of(request[0] ?? 0, count * 2, ...new Uint8Array(registers.buffer));
    }

    const right = this.#frame(unit, transaction, pdu);
    const previous = this.#previous ?? right;
    this.#previous = right;
    const inOrder = (waitMs: number, bytes: Uint8Array): Emission => {
      const atMs = Math.max(nowMs + waitMs, this.#busyUntilMs);
      this.#busyUntilMs = atMs;
      return { afterMs: atMs - nowMs, bytes };
    };
    const prompt = (bytes: Uint8Array): Emission => inOrder(PROMPT_MS, bytes);
    switch (mischief()) {
      case undefined:
        return [prompt(right)];
      case 'late':
        return [inOrder(timeoutMs * (1.05 + 0.9 * random()), right)];
      case 'very late':
        return [inOrder(timeoutMs * (2 + 3 * random()), right)];
      case 'silent':
        return [];
      case 'twice':
        return [prompt(right), prompt(right)];
      case 'twice, the second time later':
        return [prompt(right), inOrder(PROMPT_MS + 8 * random(), right)];
      case 'half':
        return [prompt(right.subarray(0, Math.ceil(right.length * random())))];
      case 'corrupt': {
        const bytes = Uint8Array.from(right);
        // TCP's own checksum guards the registers; what can be wrong there is the header that the server wrote.
        const at = Math.floor(random() * (this.#settings.framing === 'tcp' ? 7 : bytes.length));
        bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(random() * 255));
        return [prompt(bytes)];
      }
      case 'for another unit':
        return [{ afterMs: PROMPT_MS, bytes: this.#frame(3 - unit, transaction, pdu) }];
      case 'the previous answer':
        return [prompt(previous)];
      case 'after noise':
        return [prompt(Uint8Array.from({ length: 3 }, () => Math.floor(random() * 256))), prompt(right)];
      case 'in pieces':
        return Array.from(right, (byte) => prompt(Uint8Array.of(byte)));
      case 'wrong identifier':
        return [prompt(this.#frame(unit, transaction ^ 0x0101, pdu))];
    }
  }

  #note(register: string): void {
    const requests = this.#asked.get(register) ?? [];
    requests.push(this.requests);
    this.#asked.set(register, requests.slice(-32));
  }

  #frame(unit: number, transaction: number, pdu: Uint8Array): Uint8Array {
    if (this.#settings.framing === 'tcp') return encodeTcpFrame({ transaction, unit, pdu });
    return this.#settings.framing === 'ascii' ? encodeAsciiFrame(unit, pdu) : encodeRtuFrame(unit, pdu);
  }
}

function word(unit: number, address: number, version: number): number {
  return address % 2 === 0 ? unit * 0x1000 + address : version;
}
