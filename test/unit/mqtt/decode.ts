import { type Decoded, Decoder } from '../../../src/mqtt/decoder.js';
import type { Packet, ProtocolVersion } from '../../../src/mqtt/packet.js';

/** `10 0c 00 04` and the like; spaces are for the eye. */
export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replace(/../g, '$& ').trim();
}

/** What a receiver makes of these bytes, which hold one packet. */
export function decodeOne(
  bytes: Uint8Array,
  receiver: 'server' | 'client',
  protocolVersion?: ProtocolVersion,
): Decoded {
  const decoder = new Decoder({ maximumPacketSize: 268_435_460, receiver, protocolVersion });
  decoder.push(bytes);
  return decoder.next();
}

/** Who receives packets of this type, where only one side may. */
export function receiverOf(packet: Packet): 'server' | 'client' {
  switch (packet.type) {
    case 'connack':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
      return 'client';
    default:
      return 'server';
  }
}

/** Wraps a body in a fixed header. */
export function packetOf(first: number, body: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push(rest > 127 ? (rest & 0x7f) | 0x80 : rest);
    rest >>>= 7;
  } while (rest > 0);
  return Uint8Array.of(first, ...length, ...body);
}
