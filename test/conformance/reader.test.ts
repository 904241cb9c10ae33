/** The strict reader of the suite is strict: what no server may send is found. Names carry no ids on purpose. */
import { expect, test } from 'vitest';
import type { Version } from './support/build.js';
import { properties } from './support/property.js';
import { read, Violation } from './support/read.js';
import { hex, packet, text, u8, u16 } from './support/wire.js';

const wrong: ReadonlyArray<readonly [string, Version, Uint8Array]> = [
  ['CONNACK with flags', 4, hex('21 02 00 00')],
  ['CONNACK with Acknowledge Flags 2', 4, hex('20 02 02 00')],
  ['CONNACK with code 6', 4, hex('20 02 00 06')],
  ['CONNACK without code', 4, hex('20 01 00')],
  ['CONNACK of 5.0 for a 3.1.1 client', 4, hex('20 03 00 00 00')],
  ['CONNACK of 3.1.1 for a 5.0 client', 5, hex('20 02 00 00')],
  ['CONNACK with code 1', 5, hex('20 03 00 01 00')],
  ['CONNACK with a Topic Alias', 5, packet(0x20, u16(0), properties([[0x23, 1]]))],
  [
    'CONNACK with Receive Maximum twice',
    5,
    packet(
      0x20,
      u16(0),
      properties([
        [0x21, 1],
        [0x21, 2],
      ]),
    ),
  ],
  ['CONNACK with Maximum QoS 2', 5, packet(0x20, u16(0), properties([[0x24, 2]]))],
  ['PUBLISH at QoS 3', 4, hex('36 05 00 01 61 00 01')],
  ['PUBLISH at QoS 0 with DUP', 4, hex('38 03 00 01 61')],
  ['PUBLISH with Packet Identifier 0', 4, hex('32 05 00 01 61 00 00')],
  ['PUBLISH with a wildcard', 4, packet(0x30, text('a/#'))],
  ['PUBLISH with a surrogate', 4, packet(0x30, text(hex('ED A0 80')))],
  ['PUBLISH with NUL', 4, packet(0x30, text('\0'))],
  ['PUBLISH on no topic', 4, packet(0x30, text(''))],
  ['PUBLISH with a Reason String', 5, packet(0x30, text('a'), properties([[0x1f, 'x']]))],
  ['PUBLISH with properties beyond its end', 5, packet(0x30, text('a'), u8(9))],
  ['PUBREL without its flag', 4, hex('60 02 00 01')],
  ['PUBACK with a code in 3.1.1', 4, hex('40 03 00 01 00')],
  ['PUBACK with the code of PUBCOMP', 5, hex('40 03 00 01 92')],
  ['SUBACK with code 3', 4, hex('90 03 00 01 03')],
  ['UNSUBACK with a payload in 3.1.1', 4, hex('B0 03 00 01 00')],
  ['PINGRESP with a payload', 4, hex('D0 01 00')],
  ['DISCONNECT in 3.1.1', 4, hex('E0 00')],
  ['DISCONNECT with a Session Expiry Interval', 5, packet(0xe0, u8(0x8e), properties([[0x11, 1]]))],
  ['DISCONNECT with the code of a client', 5, hex('E0 01 04')],
  ['AUTH 0x19', 5, hex('F0 01 19')],
  ['CONNECT', 5, hex('10 00')],
  ['a Remaining Length in more octets than it needs', 5, hex('D0 80 00')],
  ['a Property Length in more octets than it needs', 5, hex('20 04 00 00 80 00')],
];
for (const [what, version, bytes] of wrong) {
  test(`${what} is a violation`, () => {
    expect(() => read(Buffer.from(bytes), version)).toThrow(Violation);
  });
}

test('a packet is read only when it is whole', () => {
  const bytes = packet(0x32, text('a/b'), u16(7), Buffer.from('payload'));
  for (let length = 0; length < bytes.length; length++) {
    expect(read(bytes.subarray(0, length), 4)).toBeUndefined();
  }
  expect(read(Buffer.concat([bytes, hex('D0 00')]), 4)).toMatchObject({
    topic: 'a/b',
    qos: 1,
    packetIdentifier: 7,
    payload: Buffer.from('payload'),
    bytes,
  });
});
