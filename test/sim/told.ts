/** A packet in one line, for a person who follows a history. */
import type { Packet } from '../../src/mqtt/packet.js';
import { unpacked } from './unpacked.js';

export function told(packet: Packet): string {
  const { type } = packet;
  switch (type) {
    case 'connect':
      return `CONNECT ${packet.protocolVersion} ${packet.cleanStart ? 'clean' : ''}`;
    case 'connack':
      return `CONNACK ${packet.reasonCode} ${packet.sessionPresent ? 'present' : ''}`;
    case 'publish': {
      const head = `PUBLISH ${packet.packetIdentifier ?? ''} QoS ${packet.qos}${packet.dup ? ' DUP' : ''} ${packet.topic}`;
      const brought = unpacked(packet);
      const seqs = brought.map(({ identity }) => identity.get('seq') ?? '').join(',');
      const replay = brought[0]?.identity.get('replay');
      const text = packet.topic.endsWith('/batch')
        ? ''
        : Buffer.from(packet.payload).toString().replace(/\.+$/, '');
      return `${head} seq ${seqs}${replay === undefined ? '' : ` replay ${replay}`} ${text}`;
    }
    default:
      return `${type.toUpperCase()} ${'packetIdentifier' in packet ? packet.packetIdentifier : ''} ${'reasonCode' in packet ? packet.reasonCode : ''}`;
  }
}
