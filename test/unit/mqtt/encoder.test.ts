import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encode,
  encodedSize,
  encodeWithin,
  PublishTemplate,
  plainPublishSize,
  writeAck,
  writePlainPublish,
} from '../../../src/mqtt/encoder.js';
import type { Packet, ProtocolVersion, PublishPacket } from '../../../src/mqtt/packet.js';
import { arbitraryPacket } from './arbitrary-packet.js';
import { decodeOne, toHex } from './decode.js';

const publish: PublishPacket = {
  type: 'publish',
  topic: 'a/b',
  payload: Uint8Array.of(0x78),
  qos: 0,
  retain: false,
  dup: false,
};

const BYTES: readonly (readonly [name: string, packet: Packet, version: ProtocolVersion, bytes: string])[] = [
  [
    'PUBLISH of QoS 0 has no identifier [MQTT311-2.3.1-5] [MQTT5-2.2.1-2]',
    publish,
    4,
    '30 06 00 03 61 2f 62 78',
  ],
  ['no properties are one zero byte [MQTT5-2.2.2-1]', publish, 5, '30 07 00 03 61 2f 62 00 78'],
  [
    'QoS 0 never has DUP [MQTT311-3.3.1-2] [MQTT5-3.3.1-2]',
    { ...publish, dup: true },
    4,
    '30 06 00 03 61 2f 62 78',
  ],
  [
    'DUP, QoS 2 and RETAIN',
    { ...publish, dup: true, qos: 2, retain: true, packetIdentifier: 258 },
    4,
    '3d 08 00 03 61 2f 62 01 02 78',
  ],
  [
    'PUBREL has its flag [MQTT311-2.2.2-1] [MQTT5-2.1.3-1]',
    { type: 'pubrel', packetIdentifier: 1, reasonCode: 0 },
    5,
    '62 02 00 01',
  ],
  [
    'PUBACK with a code alone',
    { type: 'puback', packetIdentifier: 1, reasonCode: 0x10 },
    5,
    '40 03 00 01 10',
  ],
  [
    'PUBACK in 3.1.1 has no code',
    { type: 'puback', packetIdentifier: 1, reasonCode: 0x87 },
    4,
    '40 02 00 01',
  ],
  [
    'PUBACK with a reason',
    { type: 'puback', packetIdentifier: 1, reasonCode: 0, properties: { reasonString: 'x' } },
    5,
    '40 08 00 01 00 04 1f 00 01 78',
  ],
  ['CONNACK', { type: 'connack', sessionPresent: true, reasonCode: 0 }, 5, '20 03 01 00 00'],
  ['CONNACK in 3.1.1', { type: 'connack', sessionPresent: false, reasonCode: 0x87 }, 4, '20 02 00 05'],
  [
    'CONNACK for an unknown version',
    { type: 'connack', sessionPresent: false, reasonCode: 0x84 },
    4,
    '20 02 00 01',
  ],
  [
    'CONNACK 3.1.1 has its own words for busy',
    { type: 'connack', sessionPresent: false, reasonCode: 0x89 },
    4,
    '20 02 00 03',
  ],
  [
    'CONNACK 3.1.1 has its own words for banned',
    { type: 'connack', sessionPresent: false, reasonCode: 0x8a },
    4,
    '20 02 00 05',
  ],
  [
    'SUBACK in 3.1.1 knows one failure [MQTT311-3.9.3-2]',
    { type: 'suback', packetIdentifier: 1, reasonCodes: [0, 1, 2, 0x87] },
    4,
    '90 06 00 01 00 01 02 80',
  ],
  [
    'UNSUBACK in 3.1.1 has no payload',
    { type: 'unsuback', packetIdentifier: 1, reasonCodes: [0x11] },
    4,
    'b0 02 00 01',
  ],
  [
    'SUBSCRIBE in 3.1.1 has QoS alone',
    {
      type: 'subscribe',
      packetIdentifier: 1,
      subscriptions: [
        { topicFilter: 'a', qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 },
      ],
    },
    4,
    '82 06 00 01 00 01 61 01',
  ],
  [
    'SUBSCRIBE in 5.0 has all options',
    {
      type: 'subscribe',
      packetIdentifier: 1,
      subscriptions: [
        { topicFilter: 'a', qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 },
      ],
    },
    5,
    '82 07 00 01 00 00 01 61 2d',
  ],
  ['DISCONNECT is two bytes where nothing is to be said', { type: 'disconnect', reasonCode: 0 }, 5, 'e0 00'],
  ['DISCONNECT in 3.1.1 says nothing', { type: 'disconnect', reasonCode: 0x04 }, 4, 'e0 00'],
  ['PINGREQ', { type: 'pingreq' }, 4, 'c0 00'],
  [
    'CONNECT has its fields in order [MQTT5-3.1.3-1]',
    {
      type: 'connect',
      protocolVersion: 5,
      clientId: 'c',
      cleanStart: true,
      keepAlive: 60,
      will: { topic: 'w', payload: Uint8Array.of(1), qos: 1, retain: true },
      username: 'u',
      password: Uint8Array.of(2),
    },
    5,
    '10 1b 00 04 4d 51 54 54 05 ee 00 3c 00 00 01 63 00 00 01 77 00 01 01 00 01 75 00 01 02',
  ],
];

describe('encode', () => {
  test.each(BYTES)('%s', (_name, packet, version, bytes) => {
    expect(toHex(encode(packet, version))).toBe(bytes);
    expect(encodedSize(packet, version)).toBe(bytes.split(' ').length);
  });

  test('refuses what no version can say, loudly: it is a bug', () => {
    expect(() => encode({ type: 'auth', reasonCode: 0 }, 4)).toThrow('AUTH');
    expect(() => encode({ ...publish, topic: 'a'.repeat(65_536) }, 4)).toThrow('length field');
    expect(() => encode({ ...publish, qos: 1 }, 4)).toThrow('Packet Identifier');
    expect(() => encode({ ...publish, properties: { serverKeepAlive: 1 } }, 5)).toThrow('serverKeepAlive');
  });

  test('writes Remaining Length in its shortest form at every step [MQTT5-1.5.5-1]', () => {
    for (const remaining of [127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
      const packet = { ...publish, payload: new Uint8Array(remaining - 5) };
      const bytes = encode(packet, 4);
      expect(decodeOne(bytes, 'server', 4)).toMatchObject({ kind: 'packet', bytesUsed: bytes.length });
      expect(bytes.length).toBe(encodedSize(packet, 4));
    }
  });
});

describe('encodeWithin', () => {
  const properties = { reasonString: 'r'.repeat(10), userProperties: [['name', 'value']] as const };

  test.each([
    ['puback', '[MQTT5-3.4.2-2] [MQTT5-3.4.2-3]'],
    ['pubrec', '[MQTT5-3.5.2-2] [MQTT5-3.5.2-3]'],
    ['pubrel', '[MQTT5-3.6.2-2] [MQTT5-3.6.2-3]'],
    ['pubcomp', '[MQTT5-3.7.2-2] [MQTT5-3.7.2-3]'],
  ] as const)('drops User Properties, then the Reason String of %s %s', (type, _ids) => {
    const packet: Packet = { type, packetIdentifier: 7, reasonCode: 0x92, properties };
    const kept = (maximum: number) => {
      const bytes = encodeWithin(packet, 5, maximum);
      return bytes && decodeOneProperties(bytes);
    };
    const full = encodedSize(packet, 5);
    expect(kept(full)).toEqual(['reasonString', 'userProperties']);
    expect(kept(full - 1)).toEqual(['reasonString']);
    expect(kept(19)).toEqual(['reasonString']);
    expect(kept(18)).toEqual([]);
    expect(kept(5)).toEqual([]);
    expect(kept(4)).toBeUndefined();
  });

  /** The codes above are not all allowed there, so the bytes are searched, not decoded. */
  function decodeOneProperties(bytes: Uint8Array): string[] {
    const text = Buffer.from(bytes).toString('latin1');
    return [
      ...(text.includes('rrrrrrrrrr') ? ['reasonString'] : []),
      ...(text.includes('value') ? ['userProperties'] : []),
    ];
  }

  test.each<readonly [string, Packet]>([
    [
      'CONNACK [MQTT5-3.2.2-19] [MQTT5-3.2.2-20]',
      { type: 'connack', sessionPresent: false, reasonCode: 0x87, properties },
    ],
    [
      'SUBACK [MQTT5-3.9.2-1] [MQTT5-3.9.2-2]',
      { type: 'suback', packetIdentifier: 1, reasonCodes: [0], properties },
    ],
    [
      'UNSUBACK [MQTT5-3.11.2-1] [MQTT5-3.11.2-2]',
      { type: 'unsuback', packetIdentifier: 1, reasonCodes: [0], properties },
    ],
    ['DISCONNECT [MQTT5-3.14.2-3] [MQTT5-3.14.2-4]', { type: 'disconnect', reasonCode: 0x87, properties }],
    [
      'AUTH [MQTT5-3.15.2-2] [MQTT5-3.15.2-3]',
      { type: 'auth', reasonCode: 0x18, properties: { ...properties, authenticationMethod: 'm' } },
    ],
  ])('drops what only explains from %s', (_name, packet) => {
    const bytes = encodeWithin(packet, 5, 12);
    expect(bytes && decodeOneProperties(bytes)).toEqual([]);
  });

  test('keeps everything else of a CONNACK', () => {
    const packet: Packet = {
      type: 'connack',
      sessionPresent: false,
      reasonCode: 0,
      properties: { ...properties, assignedClientIdentifier: 'c1' },
    };
    expect(decodeOne(encodeWithin(packet, 5, 20)!, 'client', 5)).toMatchObject({
      packet: { properties: { assignedClientIdentifier: 'c1' } },
    });
  });

  test('gives up a PUBLISH whose content does not fit [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]', () => {
    const packet: Packet = { ...publish, properties: { userProperties: [['a', 'b']] } };
    expect(encodeWithin(packet, 5, encodedSize(packet, 5))).toBeDefined();
    expect(encodeWithin(packet, 5, encodedSize(packet, 5) - 1)).toBeUndefined();
  });

  test('never gives more than the limit, and nothing that cannot be read', () => {
    fc.assert(
      fc.property(arbitraryPacket(5, 'server'), fc.integer({ min: 2, max: 200 }), (packet, limit) => {
        const bytes = encodeWithin(packet, 5, limit);
        if (bytes === undefined) return;
        expect(bytes.length).toBeLessThanOrEqual(limit);
        expect(decodeOne(bytes, 'client', 5).kind).toBe('packet');
      }),
    );
  });
});

describe('PublishTemplate', () => {
  test('writes what encode writes, with each identifier and DUP', () => {
    const publishes = fc.constantFrom<ProtocolVersion>(4, 5).chain((version) =>
      arbitraryPacket(version, 'server')
        .filter((packet) => packet.type === 'publish')
        .map((packet) => ({ packet, version })),
    );
    fc.assert(
      fc.property(
        publishes,
        fc.integer({ min: 1, max: 65_535 }),
        fc.boolean(),
        ({ packet, version }, id, dup) => {
          const template = new PublishTemplate(packet, version);
          const identifier = packet.qos > 0 ? id : undefined;
          const expected = encode({ ...packet, packetIdentifier: identifier, dup }, version);
          expect(template.size).toBe(expected.length);
          const bytes = packet.qos === 0 ? template.bytes : template.withIdentifier(id, dup);
          expect(toHex(bytes)).toBe(toHex(expected));
          const buffer = new Uint8Array(template.size + 5);
          expect(template.write(buffer, 3, id, dup)).toBe(template.size + 3);
          expect(toHex(buffer.subarray(3, template.size + 3))).toBe(toHex(expected));
          expect([...buffer.subarray(0, 3), ...buffer.subarray(template.size + 3)]).toEqual([0, 0, 0, 0, 0]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takes the Topic Name from the bytes in which it came, and writes the same', () => {
    const plain = fc.constantFrom<ProtocolVersion>(4, 5).chain((version) =>
      arbitraryPacket(version, 'server')
        .filter((packet) => packet.type === 'publish')
        .map((packet) => ({ packet: { ...packet, properties: undefined }, version })),
    );
    fc.assert(
      fc.property(plain, ({ packet, version }) => {
        const name = Buffer.from(packet.topic);
        const nameBytes = Buffer.concat([Buffer.from('xy'), name, Buffer.from('z')]);
        const named = { nameBytes, nameStart: 2, nameEnd: 2 + name.length };
        const template = new PublishTemplate(packet, version, named);
        const expected = new PublishTemplate(packet, version);
        expect(template.size).toBe(expected.size);
        expect(toHex(template.withIdentifier(258, true))).toBe(toHex(expected.withIdentifier(258, true)));
        const plain = { named, payload: packet.payload, qos: packet.qos, retain: packet.retain };
        expect(plainPublishSize(plain, version)).toBe(expected.size);
        const buffer = new Uint8Array(expected.size + 3);
        expect(writePlainPublish(buffer, 3, plain, version, 258, true)).toBe(expected.size + 3);
        expect(toHex(buffer.subarray(3))).toBe(toHex(expected.withIdentifier(258, true)));
      }),
      { numRuns: 300 },
    );
  });

  test.each([118, 119, 120, 121, 122, 123, 124, 16_374, 16_375, 16_376, 16_377, 16_378])(
    'finds its identifier where Remaining Length grows (payload of %i bytes)',
    (payloadBytes) => {
      const packet: PublishPacket = { ...publish, qos: 1, payload: new Uint8Array(payloadBytes) };
      const bytes = new PublishTemplate(packet, 4).withIdentifier(0x0102, true);
      expect(toHex(bytes)).toBe(toHex(encode({ ...packet, packetIdentifier: 0x0102, dup: true }, 4)));
    },
  );

  test('has no bytes to share above QoS 0', () => {
    expect(() => new PublishTemplate({ ...publish, qos: 1 }, 4).bytes).toThrow('identifier');
  });
});

test('writeAck writes the shortest form of each acknowledgement', () => {
  const buffer = new Uint8Array(16);
  let at = 0;
  for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)
    at = writeAck(buffer, at, type, 0x0102);
  expect(toHex(buffer)).toBe('40 02 01 02 50 02 01 02 62 02 01 02 70 02 01 02');
});
