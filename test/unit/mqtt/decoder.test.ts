import { describe, expect, test } from 'vitest';
import { Decoder } from '../../../src/mqtt/decoder.js';
import { encode } from '../../../src/mqtt/encoder.js';
import type { ProtocolVersion } from '../../../src/mqtt/packet.js';
import { decodeOne, hex, packetOf } from './decode.js';

type Refusal = readonly [
  name: string,
  bytes: string,
  version: ProtocolVersion | undefined,
  reasonCode: number,
  receiver?: 'server' | 'client',
];

const MQTT4 = '00 04 4d 51 54 54 04';
const MQTT5 = '00 04 4d 51 54 54 05';

const REFUSALS: readonly Refusal[] = [
  // The fixed header.
  ['packet type 0 [MQTT5-2.1.3-1]', '00 00', 5, 0x81],
  ['packet type 15 in 3.1.1 [MQTT311-2.2.2-2]', 'f0 00', 4, 0x81],
  ['a first packet that is no CONNECT [MQTT311-3.1.0-1] [MQTT5-3.1.0-1]', 'c0 00', undefined, 0x82],
  ['a second CONNECT [MQTT311-3.1.0-2] [MQTT5-3.1.0-2]', '10 00', 4, 0x82],
  ['PINGREQ with flags [MQTT311-2.2.2-2] [MQTT5-2.1.3-1]', 'c1 00', 4, 0x81],
  ['CONNECT with flags', `11 0c ${MQTT4} 02 00 00 00 00`, undefined, 0x81],
  ['PUBREL without its flag [MQTT311-3.6.1-1] [MQTT5-3.6.1-1]', '60 02 00 01', 4, 0x81],
  ['SUBSCRIBE without its flag [MQTT311-3.8.1-1] [MQTT5-3.8.1-1]', '80 06 00 01 00 01 61 00', 4, 0x81],
  ['UNSUBSCRIBE without its flag [MQTT311-3.10.1-1] [MQTT5-3.10.1-1]', 'a0 05 00 01 00 01 61', 4, 0x81],
  ['DISCONNECT with flags [MQTT311-3.14.1-1] [MQTT5-3.14.1-1]', 'e1 00', 5, 0x81],
  ['AUTH with flags [MQTT5-3.15.1-1]', 'f1 00', 5, 0x81],
  ['CONNACK sent to a server', '20 02 00 00', 4, 0x82],
  ['SUBACK sent to a server', '90 03 00 01 00', 4, 0x82],
  ['PINGRESP sent to a server', 'd0 00', 5, 0x82],
  ['SUBSCRIBE sent to a client', '82 06 00 01 00 01 61 00', 4, 0x82, 'client'],
  ['CONNECT sent to a client', `10 0c ${MQTT4} 02 00 00 00 00`, 4, 0x82, 'client'],
  ['DISCONNECT sent to a 3.1.1 client', 'e0 00', 4, 0x82, 'client'],
  ['a Remaining Length of five octets', 'c0 80 80 80 80', 4, 0x81],
  ['an overlong Remaining Length in 5.0 [MQTT5-1.5.5-1]', 'c0 80 00', 5, 0x81],
  ['an overlong Remaining Length in CONNECT 5.0', `10 8d 00 ${MQTT5} 02 00 00 00 00 00`, undefined, 0x81],
  // CONNECT.
  [
    'a foreign protocol name [MQTT311-3.1.2-1] [MQTT5-3.1.2-1]',
    '10 0c 00 04 4d 51 54 58 04 02 00 00 00 00',
    undefined,
    0x84,
  ],
  [
    'an unknown level [MQTT311-3.1.2-2] [MQTT5-3.1.2-2]',
    '10 0c 00 04 4d 51 54 54 06 02 00 00 00 00',
    undefined,
    0x84,
  ],
  [
    'Connect Flags with bit 0 [MQTT311-3.1.2-3] [MQTT5-3.1.2-3]',
    `10 0c ${MQTT4} 03 00 00 00 00`,
    undefined,
    0x81,
  ],
  ['Will QoS without Will [MQTT311-3.1.2-13]', `10 0c ${MQTT4} 0a 00 00 00 00`, undefined, 0x81],
  ['Will QoS 2 without Will [MQTT5-3.1.2-11]', `10 0d ${MQTT5} 12 00 00 00 00 00`, undefined, 0x81],
  [
    'Will Retain without Will [MQTT311-3.1.2-15] [MQTT5-3.1.2-13]',
    `10 0c ${MQTT4} 22 00 00 00 00`,
    undefined,
    0x81,
  ],
  [
    'Will QoS 3 [MQTT311-3.1.2-14] [MQTT5-3.1.2-12]',
    `10 12 ${MQTT4} 1e 00 00 00 00 00 01 61 00 01 62`,
    undefined,
    0x81,
  ],
  [
    'a Will that is missing [MQTT311-3.1.2-9] [MQTT5-3.1.2-9]',
    `10 0c ${MQTT4} 06 00 00 00 00`,
    undefined,
    0x81,
  ],
  [
    'a Will Topic with a wildcard [MQTT311-4.7.1-1] [MQTT5-4.7.0-1]',
    `10 12 ${MQTT4} 06 00 00 00 00 00 01 23 00 01 62`,
    undefined,
    0x82,
  ],
  ['an empty Will Topic [MQTT311-4.7.3-1]', `10 11 ${MQTT4} 06 00 00 00 00 00 00 00 01 62`, undefined, 0x82],
  [
    'a 3.1.1 password without user name [MQTT311-3.1.2-22]',
    `10 0f ${MQTT4} 42 00 00 00 00 00 01 70`,
    undefined,
    0x81,
  ],
  [
    'a user name that is missing [MQTT311-3.1.2-19] [MQTT5-3.1.2-17]',
    `10 0c ${MQTT4} 82 00 00 00 00`,
    undefined,
    0x81,
  ],
  [
    'a user name without its flag [MQTT311-3.1.2-18] [MQTT5-3.1.2-16]',
    `10 0f ${MQTT4} 02 00 00 00 00 00 01 75`,
    undefined,
    0x81,
  ],
  [
    'a password without its flag [MQTT5-3.1.2-18]',
    `10 10 ${MQTT5} 02 00 00 00 00 00 00 01 70`,
    undefined,
    0x81,
  ],
  ['CONNECT that ends in its header', `10 07 ${MQTT4}`, undefined, 0x81],
  ['authenticationData without method', `10 10 ${MQTT5} 02 00 00 03 16 00 00 00 00`, undefined, 0x82],
  [
    'NUL in the Client Identifier [MQTT311-1.5.3-2] [MQTT5-1.5.4-2]',
    `10 0d ${MQTT4} 02 00 00 00 01 00`,
    undefined,
    0x81,
  ],
  // CONNACK.
  ['CONNACK with reserved flags [MQTT5-3.2.2-1]', '20 02 02 00', 4, 0x81, 'client'],
  ['CONNACK with a reserved return code', '20 02 00 06', 4, 0x81, 'client'],
  ['CONNACK with a foreign code [MQTT5-3.2.2-8]', '20 03 00 8e 00', 5, 0x82, 'client'],
  ['CONNACK without properties', '20 02 00 00', 5, 0x81, 'client'],
  ['CONNACK with trailing bytes', '20 03 00 00 00', 4, 0x81, 'client'],
  // PUBLISH.
  ['PUBLISH of QoS 3 [MQTT311-3.3.1-4] [MQTT5-3.3.1-4]', '36 05 00 01 61 00 01', 4, 0x81],
  ['PUBLISH of QoS 0 with DUP [MQTT311-3.3.1-2] [MQTT5-3.3.1-2]', '38 03 00 01 61', 4, 0x81],
  ['PUBLISH with Packet Identifier 0 [MQTT311-2.3.1-1] [MQTT5-2.2.1-3]', '32 05 00 01 61 00 00', 4, 0x82],
  ['PUBLISH without its Packet Identifier', '32 04 00 01 61 00', 4, 0x81],
  ['PUBLISH to a filter [MQTT311-3.3.2-2] [MQTT5-3.3.2-2]', '30 05 00 03 61 2f 23', 4, 0x82],
  ['PUBLISH to + [MQTT311-3.3.2-2]', '30 05 00 03 61 2f 2b', 4, 0x82],
  ['PUBLISH to nothing in 3.1.1 [MQTT311-4.7.3-1]', '30 02 00 00', 4, 0x82],
  ['PUBLISH to nothing without an alias [MQTT5-4.7.3-1]', '30 03 00 00 00', 5, 0x82],
  ['PUBLISH with Topic Alias 0 [MQTT5-3.3.2-8]', '30 07 00 01 61 03 23 00 00', 5, 0x94],
  ['PUBLISH without a Topic Name length', '30 01 00', 4, 0x81],
  ['PUBLISH whose Topic Name is cut', '30 03 00 05 61', 4, 0x81],
  ['PUBLISH without its Property Length', '30 03 00 01 61', 5, 0x81],
  ['a Subscription Identifier from a client [MQTT5-3.3.4-6]', '30 06 00 01 61 02 0b 01', 5, 0x82],
  ['a Topic Name with an overlong NUL [MQTT311-1.5.3-1] [MQTT5-1.5.4-1]', '30 04 00 02 c0 80', 4, 0x81],
  ['a wildcard in the Response Topic [MQTT5-3.3.2-14]', '30 09 00 01 61 05 08 00 02 72 23', 5, 0x82],
  // Acknowledgements.
  ['PUBACK with Packet Identifier 0', '40 02 00 00', 4, 0x82],
  ['PUBACK of 5.0 with Packet Identifier 0', '40 03 00 00 00', 5, 0x82],
  ['PUBACK that is cut', '40 01 00', 4, 0x81],
  ['PUBACK with a code in 3.1.1', '40 03 00 01 00', 4, 0x81],
  ['PUBACK with a foreign code [MQTT5-3.4.2-1]', '40 03 00 01 92', 5, 0x82],
  ['PUBREC with a foreign code [MQTT5-3.5.2-1]', '50 03 00 01 8e', 5, 0x82],
  ['PUBREL with a foreign code [MQTT5-3.6.2-1]', '62 03 00 01 80', 5, 0x82],
  ['PUBCOMP with a foreign code [MQTT5-3.7.2-1]', '70 03 00 01 10', 5, 0x82],
  ['PUBCOMP with trailing bytes', '70 05 00 01 00 00 00', 5, 0x81],
  // SUBSCRIBE and its like.
  ['SUBSCRIBE with Packet Identifier 0 [MQTT311-2.3.1-1]', '82 06 00 00 00 01 61 00', 4, 0x82],
  ['SUBSCRIBE without a filter [MQTT311-3.8.3-3]', '82 02 00 01', 4, 0x82],
  ['SUBSCRIBE without a filter [MQTT5-3.8.3-2]', '82 03 00 01 00', 5, 0x82],
  ['SUBSCRIBE to an empty filter [MQTT311-4.7.3-1] [MQTT5-4.7.3-1]', '82 05 00 01 00 00 00', 4, 0x82],
  ['SUBSCRIBE that ends before its options', '82 05 00 01 00 01 61', 4, 0x81],
  ['QoS 3 in a 3.1.1 SUBSCRIBE [MQTT311-3.8.3-4]', '82 06 00 01 00 01 61 03', 4, 0x81],
  ['reserved bits in a 3.1.1 SUBSCRIBE [MQTT311-3.8.3-4]', '82 06 00 01 00 01 61 04', 4, 0x81],
  ['reserved Subscription Options [MQTT5-3.8.3-5]', '82 07 00 01 00 00 01 61 40', 5, 0x81],
  ['QoS 3 in Subscription Options', '82 07 00 01 00 00 01 61 03', 5, 0x82],
  ['Retain Handling 3', '82 07 00 01 00 00 01 61 30', 5, 0x82],
  [
    'No Local on a shared filter [MQTT5-3.8.3-4]',
    '82 10 00 01 00 00 0a 24 73 68 61 72 65 2f 67 2f 61 04',
    5,
    0x82,
  ],
  ['bad UTF-8 in a filter [MQTT311-3.8.3-1] [MQTT5-3.8.3-1]', '82 06 00 01 00 01 ff 00', 4, 0x81],
  ['a Subscription Identifier of 0', '82 09 00 01 02 0b 00 00 01 61 00', 5, 0x82],
  ['SUBACK with a foreign code [MQTT5-3.9.3-2]', '90 04 00 01 00 03', 5, 0x82, 'client'],
  ['SUBACK with a 5.0 code in 3.1.1 [MQTT311-3.9.3-2]', '90 03 00 01 87', 4, 0x81, 'client'],
  ['SUBACK without a code', '90 02 00 01', 4, 0x82, 'client'],
  ['UNSUBSCRIBE without a filter [MQTT311-3.10.3-2]', 'a2 02 00 01', 4, 0x82],
  ['UNSUBSCRIBE without a filter [MQTT5-3.10.3-2]', 'a2 03 00 01 00', 5, 0x82],
  ['bad UTF-8 in UNSUBSCRIBE [MQTT311-3.10.3-1] [MQTT5-3.10.3-1]', 'a2 05 00 01 00 01 80', 4, 0x81],
  ['UNSUBACK with a foreign code [MQTT5-3.11.3-2]', 'b0 04 00 01 00 01', 5, 0x82, 'client'],
  ['UNSUBACK with a payload in 3.1.1', 'b0 03 00 01 00', 4, 0x81, 'client'],
  // The rest.
  ['PINGREQ with a body', 'c0 01 00', 4, 0x81],
  ['PINGRESP with a body', 'd0 01 00', 5, 0x81, 'client'],
  ['DISCONNECT with a body in 3.1.1', 'e0 01 00', 4, 0x81],
  ['DISCONNECT with a code of servers [MQTT5-3.14.2-1]', 'e0 01 8b', 5, 0x82],
  ['DISCONNECT with a code of clients', 'e0 01 04', 5, 0x82, 'client'],
  [
    'Session Expiry in a server’s DISCONNECT [MQTT5-3.14.2-2]',
    'e0 07 00 05 11 00 00 00 01',
    5,
    0x82,
    'client',
  ],
  ['Server Reference in a client’s DISCONNECT', 'e0 06 00 04 1c 00 01 61', 5, 0x82],
  ['AUTH with a foreign code [MQTT5-3.15.2-1]', 'f0 06 8c 04 15 00 01 6d', 5, 0x82],
  ['AUTH 0x00 from a client [MQTT5-3.15.2-1]', 'f0 06 00 04 15 00 01 6d', 5, 0x82],
  ['AUTH 0x19 from a server [MQTT5-3.15.2-1]', 'f0 06 19 04 15 00 01 6d', 5, 0x82, 'client'],
  ['AUTH without a method', 'f0 00', 5, 0x82, 'client'],
  // Property lists.
  ['an unknown property', '30 06 00 01 61 02 7f 00', 5, 0x81],
  ['a property identifier of five octets', '30 09 00 01 61 05 80 80 80 80 00', 5, 0x81],
  ['an overlong Property Length [MQTT5-1.5.5-1]', '30 05 00 01 61 80 00', 5, 0x81],
  ['a Property Length beyond the packet', '30 04 00 01 61 05', 5, 0x81],
  ['a property that its list cuts off', '30 06 00 01 61 01 01 00', 5, 0x81],
  ['bad UTF-8 in a User Property [MQTT5-1.5.7-1]', '30 0a 00 01 61 06 26 00 01 ff 00 00', 5, 0x81],
];

describe('Decoder', () => {
  test.each(REFUSALS.map((row) => ({ name: row[0], row })))('refuses $name', ({ row }) => {
    const [, bytes, version, reasonCode, receiver = 'server'] = row;
    expect(decodeOne(hex(bytes), receiver, version)).toMatchObject({ kind: 'malformed', reasonCode });
  });

  test('tells apart what a polite answer needs: the level of a CONNECT that is MQTT’s', () => {
    const level = (bytes: string) => {
      const decoded = decodeOne(hex(bytes), 'server');
      return decoded.kind === 'malformed' ? decoded.protocolLevel : 'not malformed';
    };
    expect(level('10 0c 00 04 4d 51 54 54 06 02 00 00 00 00')).toBe(6);
    expect(level('10 0e 00 06 4d 51 49 73 64 70 03 02 00 00 00 00')).toBe(3);
    expect(level('10 0c 00 04 4d 51 54 58 04 02 00 00 00 00')).toBeUndefined();
  });

  test('knows the version of a CONNECT whose rest is malformed, so that the refusal can be written', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server' });
    decoder.push(hex(`10 0d ${MQTT5} 03 00 00 00 00 00`));
    expect(decoder.next().kind).toBe('malformed');
    expect(decoder.protocolVersion).toBe(5);
  });

  test('refuses a packet above Maximum Packet Size from its header alone', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server', protocolVersion: 5 });
    decoder.push(hex('30 ff ff ff 7f'));
    expect(decoder.next()).toMatchObject({ kind: 'malformed', reasonCode: 0x95 });
  });

  test('takes a packet of exactly Maximum Packet Size, and none of a byte more', () => {
    for (const [payloadBytes, kind] of [
      [995, 'packet'],
      [996, 'malformed'],
    ] as const) {
      const decoder = new Decoder({ maximumPacketSize: 1001, receiver: 'server', protocolVersion: 4 });
      decoder.push(packetOf(0x30, Uint8Array.of(0, 1, 0x61, ...new Uint8Array(payloadBytes))));
      expect(decoder.next().kind).toBe(kind);
    }
  });

  test('refuses wrong flags before the rest of the packet is there', () => {
    expect(decodeOne(hex('83'), 'server', 5)).toMatchObject({ kind: 'malformed', reasonCode: 0x81 });
  });

  test('stays malformed, whatever comes later', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server', protocolVersion: 4 });
    decoder.push(hex('00 00'));
    const first = decoder.next();
    decoder.push(hex('c0 00'));
    expect(decoder.next()).toBe(first);
  });

  test('accepts an overlong Remaining Length in 3.1.1, which has no rule against it', () => {
    expect(decodeOne(hex('c0 80 00'), 'server', 4)).toMatchObject({ kind: 'packet', bytesUsed: 3 });
  });

  test('says how many bytes are missing', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server', protocolVersion: 4 });
    expect(decoder.next()).toEqual({ kind: 'incomplete', bytesNeeded: 2 });
    decoder.push(hex('30'));
    expect(decoder.next()).toEqual({ kind: 'incomplete', bytesNeeded: 1 });
    decoder.push(hex('05 00 01'));
    expect(decoder.next()).toEqual({ kind: 'incomplete', bytesNeeded: 3 });
    decoder.push(hex('61 78 79'));
    expect(decoder.next()).toMatchObject({ kind: 'packet', packet: { topic: 'a' } });
    expect(decoder.next().kind).toBe('incomplete');
  });

  test('reads packets from chunks that were pushed before the first was read', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server', protocolVersion: 4 });
    for (const chunk of ['40 02 00', '01 40 02', '', '00 02 40', '02 00 03']) decoder.push(hex(chunk));
    const identifiers = [decoder.next(), decoder.next(), decoder.next()].map((decoded) =>
      decoded.kind === 'packet' && decoded.packet.type === 'puback'
        ? decoded.packet.packetIdentifier
        : decoded,
    );
    expect(identifiers).toEqual([1, 2, 3]);
    expect(decoder.next().kind).toBe('incomplete');
  });

  test('gives a payload as a slice of the chunk it came in', () => {
    const chunk = hex('30 05 00 01 61 78 79');
    const decoded = decodeOne(chunk, 'server', 4);
    if (decoded.kind !== 'packet' || decoded.packet.type !== 'publish') throw new Error(decoded.kind);
    expect(decoded.packet.payload.buffer).toBe(chunk.buffer);
  });

  test('collects a packet of many chunks in about its own size, whatever its length claims', () => {
    const decoder = new Decoder({ maximumPacketSize: 268_435_460, receiver: 'server', protocolVersion: 4 });
    const before = process.memoryUsage().arrayBuffers;
    decoder.push(hex('30 ff ff ff 7f'));
    expect(decoder.next().kind).toBe('incomplete');
    for (let count = 0; count < 1000; count += 1) {
      decoder.push(new Uint8Array(10).fill(0x61));
      expect(decoder.next().kind).toBe('incomplete');
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });

  test('keeps U+FEFF at the start of a Topic Name [MQTT311-1.5.3-3] [MQTT5-1.5.4-3]', () => {
    expect(decodeOne(hex('30 06 00 04 ef bb bf 61'), 'server', 4)).toMatchObject({
      packet: { topic: '\ufeffa' },
    });
  });

  test('gives equal Topic Names as equal strings, and refuses a wildcard however often it comes', () => {
    for (let round = 0; round < 3; round += 1) {
      expect(decodeOne(hex('30 05 00 03 61 2f 62'), 'server', 4)).toMatchObject({ packet: { topic: 'a/b' } });
      expect(decodeOne(hex('30 05 00 03 61 2f 2b'), 'server', 4).kind).toBe('malformed');
    }
  });

  test('never mixes up Topic Names, however many there are', () => {
    const decoder = new Decoder({ maximumPacketSize: 1000, receiver: 'server', protocolVersion: 4 });
    for (let index = 0; index < 60_000; index += 1) {
      const topic = `t/${(index * 7919) % 50_021}`;
      decoder.push(
        encode({ type: 'publish', topic, payload: new Uint8Array(), qos: 0, retain: false, dup: false }, 4),
      );
      const decoded = decoder.next();
      if (decoded.kind !== 'packet' || decoded.packet.type !== 'publish' || decoded.packet.topic !== topic) {
        expect(decoded).toMatchObject({ packet: { topic } });
      }
    }
  });

  test('accepts the 3.1.1 refusal of a server that does not know 5.0', () => {
    expect(decodeOne(hex('20 02 00 01'), 'client', 5)).toMatchObject({
      packet: { type: 'connack', reasonCode: 0x84 },
    });
  });

  test('lets ill-formed filters through, for their answer belongs in SUBACK', () => {
    expect(decodeOne(hex('82 07 00 01 00 02 61 23 00'), 'server', 4)).toMatchObject({
      packet: { subscriptions: [{ topicFilter: 'a#' }] },
    });
  });

  test('accepts a password without user name in 5.0 [MQTT5-3.1.2-19]', () => {
    expect(decodeOne(hex(`10 10 ${MQTT5} 42 00 00 00 00 00 00 01 70`), 'server')).toMatchObject({
      packet: { type: 'connect', username: undefined, password: hex('70') },
    });
  });
});
