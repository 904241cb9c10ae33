/** Packets become bytes, in both versions. (Signatures first; the body follows.) */
import type { QoS } from '../core/message.js';
import type { AckPacket, Packet, ProtocolVersion, PublishPacket } from './packet.js';

export function encode(_packet: Packet, _protocolVersion: ProtocolVersion): Uint8Array {
  throw new Error('not built yet');
}

export function encodedSize(_packet: Packet, _protocolVersion: ProtocolVersion): number {
  throw new Error('not built yet');
}

/**
 * As `encode`, but never longer than the peer's Maximum Packet Size: User Properties, then the Reason String, are
 * left out where they may be. Undefined: it does not fit; the packet counts as sent [MQTT5-3.1.2-25].
 */
export function encodeWithin(
  _packet: Packet,
  _protocolVersion: ProtocolVersion,
  _maximumPacketSize: number,
): Uint8Array | undefined {
  throw new Error('not built yet');
}

/** Writes the shortest form (success, no properties), 4 bytes; returns the offset behind it. */
export function writeAck(
  _buffer: Uint8Array,
  _offset: number,
  _type: AckPacket['type'],
  _packetIdentifier: number,
): number {
  throw new Error('not built yet');
}

/** A PUBLISH encoded once, to be sent to many: only identifier and DUP differ from copy to copy. */
export class PublishTemplate {
  readonly qos: QoS;
  readonly size: number;

  /** `packet.packetIdentifier` and `packet.dup` are ignored. */
  constructor(packet: PublishPacket, _protocolVersion: ProtocolVersion) {
    this.qos = packet.qos;
    this.size = 0;
  }

  /** The bytes for QoS 0: the same array each time, so it must not be written to. */
  get bytes(): Uint8Array {
    throw new Error('not built yet');
  }

  /** A copy of its own, for a socket that keeps the array. */
  withIdentifier(_packetIdentifier: number, _dup: boolean): Uint8Array {
    throw new Error('not built yet');
  }

  /** Writes a copy into `buffer`, which has `size` bytes left at `offset`; returns the offset behind it. */
  write(_buffer: Uint8Array, _offset: number, _packetIdentifier: number, _dup: boolean): number {
    throw new Error('not built yet');
  }
}
