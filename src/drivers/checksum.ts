/**
 * Check sums by the names that data sheets use. CRCs are bit by bit by the Rocksoft parameters: frames are short and
 * lines slow, and a table per CRC would be the larger program. Each has the well-known value for "123456789".
 */

export type ChecksumName =
  | 'xor'
  | 'sum'
  | 'sum16'
  | 'lrc'
  | 'crc8'
  | 'crc8-maxim'
  | 'crc16-modbus'
  | 'crc16-ccitt'
  | 'crc16-xmodem'
  | 'crc16-kermit'
  | 'crc16-arc'
  | 'crc32'
  | 'crc32-mpeg2';

interface Crc {
  readonly width: 8 | 16 | 32;
  readonly polynomial: bigint;
  readonly initial: bigint;
  readonly reflected: boolean;
  readonly final: bigint;
}

const CRCS: Readonly<Record<Exclude<ChecksumName, 'xor' | 'sum' | 'sum16' | 'lrc'>, Crc>> = {
  crc8: { width: 8, polynomial: 0x07n, initial: 0n, reflected: false, final: 0n },
  'crc8-maxim': { width: 8, polynomial: 0x31n, initial: 0n, reflected: true, final: 0n },
  'crc16-modbus': { width: 16, polynomial: 0x8005n, initial: 0xffffn, reflected: true, final: 0n },
  'crc16-ccitt': { width: 16, polynomial: 0x1021n, initial: 0xffffn, reflected: false, final: 0n },
  'crc16-xmodem': { width: 16, polynomial: 0x1021n, initial: 0n, reflected: false, final: 0n },
  'crc16-kermit': { width: 16, polynomial: 0x1021n, initial: 0n, reflected: true, final: 0n },
  'crc16-arc': { width: 16, polynomial: 0x8005n, initial: 0n, reflected: true, final: 0n },
  crc32: { width: 32, polynomial: 0x04c11db7n, initial: 0xffffffffn, reflected: true, final: 0xffffffffn },
  'crc32-mpeg2': { width: 32, polynomial: 0x04c11db7n, initial: 0xffffffffn, reflected: false, final: 0n },
};

export function checksumBytes(name: ChecksumName): 1 | 2 | 4 {
  if (name === 'sum16') return 2;
  return name in CRCS ? ((CRCS[name as keyof typeof CRCS].width / 8) as 1 | 2 | 4) : 1;
}

/** Which byte goes first where nothing else is said: reflected 16-bit CRCs are sent low byte first. */
export function isLittleByDefault(name: ChecksumName): boolean {
  return name === 'crc16-modbus' || name === 'crc16-kermit' || name === 'crc16-arc';
}

export function checksum(name: ChecksumName, bytes: Uint8Array): bigint {
  switch (name) {
    case 'xor':
      return BigInt(bytes.reduce((xor, byte) => xor ^ byte, 0));
    case 'sum':
      return BigInt(sum(bytes) & 0xff);
    case 'sum16':
      return BigInt(sum(bytes) & 0xffff);
    case 'lrc':
      return BigInt(-sum(bytes) & 0xff);
    default:
      return crc(CRCS[name], bytes);
  }
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0);
}

function crc({ width, polynomial, initial, reflected, final }: Crc, bytes: Uint8Array): bigint {
  // Beyond 31 bits a number's own operators turn negative, so the register is kept unsigned with >>> 0.
  const top = 2 ** (width - 1);
  const mask = width === 32 ? 0xffff_ffff : 2 ** width - 1;
  const forward = Number(polynomial);
  const backward = reflect(forward, width);
  let register = Number(initial);
  for (const byte of bytes) {
    if (reflected) {
      register = (register ^ byte) >>> 0;
      for (let bit = 0; bit < 8; bit += 1) {
        register = (register & 1) === 1 ? ((register >>> 1) ^ backward) >>> 0 : register >>> 1;
      }
    } else {
      register = (register ^ (byte << (width - 8))) >>> 0;
      for (let bit = 0; bit < 8; bit += 1) {
        const out = (register & top) !== 0;
        register = (((register << 1) >>> 0) & mask) >>> 0;
        if (out) register = (register ^ forward) >>> 0;
      }
    }
  }
  return BigInt(register) ^ final;
}

function reflect(value: number, width: number): number {
  let out = 0;
  for (let bit = 0; bit < width; bit += 1) {
    if ((value & (2 ** bit)) !== 0) out = (out | (2 ** (width - 1 - bit))) >>> 0;
  }
  return out;
}
