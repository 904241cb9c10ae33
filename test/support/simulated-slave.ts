/**
 * A well-behaved Modbus slave of ours: units with four tables, functions 1 to 6, 15, 16, 22, 23 and 43/14, in every
 * framing. Pure: bytes in, bytes out. What a device may be like is a switch each.
 */

import { decodeAsciiFrame, encodeAsciiFrame } from '../../src/drivers/modbus/ascii-frame.js';
import { encodeRtuFrame, isRtuFrame } from '../../src/drivers/modbus/rtu-frame.js';
import { decodeTcpFrame, encodeTcpFrame } from '../../src/drivers/modbus/tcp-frame.js';

export type Framing = 'tcp' | 'rtu' | 'ascii';

/** What came in, for tests that count. */
export interface SeenRequest {
  readonly unit: number;
  readonly functionCode: number;
  readonly start: number;
  readonly count: number;
}

const ILLEGAL_FUNCTION = 1;
const ILLEGAL_ADDRESS = 2;
const ILLEGAL_VALUE = 3;

export class SimulatedUnit {
  readonly holding = new Uint16Array(0x1_0000);
  readonly input = new Uint16Array(0x1_0000);
  readonly coils = new Uint8Array(0x1_0000);
  readonly discretes = new Uint8Array(0x1_0000);
  /** Function codes that it does not know. */
  readonly unknownFunctions = new Set<number>();
  registersMax = 125;
  /** Whether a register exists. */
  exists: (address: number) => boolean = () => true;
  /** What it makes of a register that is written: a device may clamp or ignore. */
  accept: (address: number, value: number) => number = (_, value) => value;
  identification: readonly string[] = ['godwit', 'slave', '1.0'];
  silent = false;

  /** The answering PDU; undefined where it says nothing. */
  answer(pdu: Uint8Array): Uint8Array | undefined {
    if (this.silent) return undefined;
    const functionCode = pdu[0] ?? 0;
    if (this.unknownFunctions.has(functionCode)) return refuse(functionCode, ILLEGAL_FUNCTION);
    const view = new DataView(pdu.buffer, pdu.byteOffset, pdu.byteLength);
    const start = pdu.length >= 3 ? view.getUint16(1) : 0;
    const second = pdu.length >= 5 ? view.getUint16(3) : 0;
    switch (functionCode) {
      case 1:
        return this.#bits(functionCode, this.coils, start, second);
      case 2:
        return this.#bits(functionCode, this.discretes, start, second);
      case 3:
        return this.#registers(functionCode, this.holding, start, second);
      case 4:
        return this.#registers(functionCode, this.input, start, second);
      case 5:
        if (!this.exists(start)) return refuse(functionCode, ILLEGAL_ADDRESS);
        if (second !== 0 && second !== 0xff00) return refuse(functionCode, ILLEGAL_VALUE);
        this.coils[start] = second === 0 ? 0 : 1;
        return pdu;
      case 6:
        return this.#write(functionCode, start, [second]) ?? pdu;
      case 15: {
        if (!this.#all(start, second)) return refuse(functionCode, ILLEGAL_ADDRESS);
        for (let index = 0; index < second; index++) {
          this.coils[start + index] = ((pdu[6 + (index >> 3)] ?? 0) >> (index & 7)) & 1;
        }
        return pdu.slice(0, 5);
      }
      case 16:
        return this.#write(functionCode, start, wordsIn(view, 6, second)) ?? pdu.slice(0, 5);
      case 22: {
        const and = second;
        const or = view.getUint16(5);
        const present = this.holding[start] ?? 0;
        return this.#write(functionCode, start, [(present & and) | (or & ~and & 0xffff)]) ?? pdu;
      }
      case 23: {
        const to = view.getUint16(5);
        const refused = this.#write(functionCode, to, wordsIn(view, 10, view.getUint16(7)));
        return refused ?? this.#registers(functionCode, this.holding, start, second);
      }
      case 43:
        return this.#identify(pdu);
      default:
        return refuse(functionCode, ILLEGAL_FUNCTION);
    }
  }

  #all(start: number, count: number): boolean {
    for (let index = 0; index < count; index++) if (!this.exists(start + index)) return false;
    return start + count <= 0x1_0000;
  }

  #bits(functionCode: number, table: Uint8Array, start: number, count: number): Uint8Array {
    if (count < 1 || count > 2000) return refuse(functionCode, ILLEGAL_VALUE);
    if (!this.#all(start, count)) return refuse(functionCode, ILLEGAL_ADDRESS);
    const bytes = new Uint8Array(2 + Math.ceil(count / 8));
    bytes[0] = functionCode;
    bytes[1] = bytes.length - 2;
    for (let index = 0; index < count; index++) {
      const at = 2 + (index >> 3);
      bytes[at] = (bytes[at] ?? 0) | ((table[start + index] ?? 0) << (index & 7));
    }
    return bytes;
  }

  #registers(functionCode: number, table: Uint16Array, start: number, count: number): Uint8Array {
    if (count < 1 || count > this.registersMax) return refuse(functionCode, ILLEGAL_VALUE);
    if (!this.#all(start, count)) return refuse(functionCode, ILLEGAL_ADDRESS);
    const bytes = new Uint8Array(2 + count * 2);
    bytes[0] = functionCode;
    bytes[1] = count * 2;
    for (let index = 0; index < count; index++) {
      const word = table[start + index] ?? 0;
      bytes[2 + index * 2] = word >> 8;
      bytes[3 + index * 2] = word & 0xff;
    }
    return bytes;
  }

  /** The refusal, where there is one. */
  #write(functionCode: number, start: number, words: readonly number[]): Uint8Array | undefined {
    if (!this.#all(start, words.length)) return refuse(functionCode, ILLEGAL_ADDRESS);
    for (const [index, word] of words.entries())
      this.holding[start + index] = this.accept(start + index, word);
    return undefined;
  }

  #identify(pdu: Uint8Array): Uint8Array {
    if (pdu[1] !== 14) return refuse(43, ILLEGAL_FUNCTION);
    if ((pdu[2] ?? 0) > 1) return refuse(43, ILLEGAL_VALUE);
    // One object at a time: whoever asks must come back for the next.
    const at = pdu[3] ?? 0;
    const text = Buffer.from(this.identification[at] ?? '', 'latin1');
    const more = at + 1 < this.identification.length;
    return Uint8Array.of(
      43,
      14,
      pdu[2] ?? 1,
      1,
      more ? 0xff : 0,
      more ? at + 1 : 0,
      1,
      at,
      text.length,
      ...text,
    );
  }
}

export class SimulatedSlave {
  readonly units = new Map<number, SimulatedUnit>();
  readonly seen: SeenRequest[] = [];
  readonly #framing: Framing;

  constructor(framing: Framing, units: readonly number[] = [1]) {
    this.#framing = framing;
    for (const unit of units) this.units.set(unit, new SimulatedUnit());
  }

  unit(number = 1): SimulatedUnit {
    const unit = this.units.get(number);
    if (unit === undefined) throw new Error(`the slave has no unit ${number}`);
    return unit;
  }

  /** One for each connection: it keeps what has come in so far. */
  session(): (bytes: Uint8Array) => Uint8Array[] {
    let input = Buffer.alloc(0);
    return (bytes) => {
      input = Buffer.concat([input, bytes]);
      const replies: Uint8Array[] = [];
      for (let taken = this.#take(input); taken !== undefined; taken = this.#take(input)) {
        input = input.subarray(taken.bytesUsed);
        const reply = this.#serve(taken.unit, taken.pdu);
        if (reply !== undefined) replies.push(this.#frame(taken.unit, taken.transaction, reply));
      }
      return replies;
    };
  }

  #serve(number: number, pdu: Uint8Array): Uint8Array | undefined {
    this.seen.push(seenRequest(number, pdu));
    if (number === 0 && this.#framing !== 'tcp') {
      for (const unit of this.units.values()) unit.answer(pdu);
      return undefined;
    }
    return this.units.get(number)?.answer(pdu);
  }

  #take(input: Uint8Array):
    | {
        readonly unit: number;
        readonly transaction: number;
        readonly pdu: Uint8Array;
        readonly bytesUsed: number;
      }
    | undefined {
    if (this.#framing === 'tcp') {
      const decoded = decodeTcpFrame(input);
      return decoded.kind === 'frame' ? { ...decoded.frame, bytesUsed: decoded.bytesUsed } : undefined;
    }
    if (this.#framing === 'ascii') {
      const end = input.indexOf(0x0a);
      const frame = end === -1 ? undefined : decodeAsciiFrame(input.subarray(0, end + 1));
      if (frame === undefined) return undefined;
      return { unit: frame[0] ?? 0, transaction: 0, pdu: frame.subarray(1), bytesUsed: end + 1 };
    }
    const length = requestBytes(input);
    if (length === undefined || input.length < length) return undefined;
    const frame = input.subarray(0, length);
    if (!isRtuFrame(frame)) throw new Error('the driver sent something that is no request');
    return {
      unit: frame[0] ?? 0,
      transaction: 0,
      pdu: Uint8Array.from(frame.subarray(1, -2)),
      bytesUsed: length,
    };
  }

  #frame(unit: number, transaction: number, pdu: Uint8Array): Uint8Array {
    if (this.#framing === 'tcp') return encodeTcpFrame({ transaction, unit, pdu });
    return this.#framing === 'rtu' ? encodeRtuFrame(unit, pdu) : encodeAsciiFrame(unit, pdu);
  }
}

/** Unit and CRC included; undefined where too little has come in to tell. */
export function requestBytes(input: Uint8Array): number | undefined {
  switch (input[1]) {
    case 15:
    case 16:
      return input.length < 7 ? undefined : 9 + (input[6] ?? 0);
    case 22:
      return 10;
    case 23:
      return input.length < 11 ? undefined : 13 + (input[10] ?? 0);
    case 43:
      return 7;
    default:
      return input.length < 2 ? undefined : 8;
  }
}

function seenRequest(unit: number, pdu: Uint8Array): SeenRequest {
  const view = new DataView(pdu.buffer, pdu.byteOffset, pdu.byteLength);
  const word = (at: number): number => (pdu.length >= at + 2 ? view.getUint16(at) : 0);
  return { unit, functionCode: pdu[0] ?? 0, start: word(1), count: word(3) };
}

function wordsIn(view: DataView, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => view.getUint16(at + index * 2));
}

function refuse(functionCode: number, code: number): Uint8Array {
  return Uint8Array.of(functionCode | 0x80, code);
}
