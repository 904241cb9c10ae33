/** A packet in one line, for a person who follows a history. */
import type { Packet } from '../../src/mqtt/packet.js';

export function told(packet: Packet): string {
  const { type } = packet;
  switch (type) {
    case 'connect':
      return `CONNECT ${packet.protocolVersion} ${packet.cleanStart ? 'clean' : ''}`;
    case 'connack':
      return `CONNACK ${packet.reasonCode} ${packet.sessionPresent ? 'present' : ''}`;
    case 'publish': {
      const seq = new Map(packet.properties?.userProperties ?? []).get('seq') ?? '';
      const text = Buffer.from(packet.payload).toString().replace(/\.+$/, '');
      return `PUBLISH ${packet.packetIdentifier ?? ''} QoS ${packet.qos}${packet.dup ? ' DUP' : ''} ${packet.topic} seq ${seq} ${text}`;
    }
    default:
      return `${type.toUpperCase()} ${'packetIdentifier' in packet ? packet.packetIdentifier : ''} ${'reasonCode' in packet ? packet.reasonCode : ''}`;
  }
}
