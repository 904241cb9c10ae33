/** Properties that hold for every packet and every run of bytes. A failure prints its seed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Decoder } from '../../../src/mqtt/decoder.js';
import { encode, encodedSize } from '../../../src/mqtt/encoder.js';
import type { Packet, ProtocolVersion } from '../../../src/mqtt/packet.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { arbitraryConnect, arbitraryPacket } from './arbitrary-packet.js';
import { decodeOne } from './decode.js';

const KNOWN_CODES = new Set<number>(Object.values(ReasonCode));

/** Everything a decoder says until it wants more; a decoder that never ends fails the test. */
function drain(decoder: Decoder, bytesMax: number): Packet[] {
  const packets: Packet[] = [];
  for (let count = 0; count <= bytesMax; count += 1) {
    const decoded = decoder.next();
    if (decoded.kind === 'incomplete') {
      expect(decoded.bytesNeeded).toBeGreaterThan(0);
      return packets;
    }
    if (decoded.kind === 'malformed') {
      expect(KNOWN_CODES.has(decoded.reasonCode)).toBe(true);
      expect(decoded.why).not.toBe('');
      return packets;
    }
    expect(decoded.bytesUsed).toBeGreaterThanOrEqual(2);
    packets.push(decoded.packet);
  }
  throw new Error('more packets than bytes');
}

describe.each([
  ['client', 'server', 4],
  ['client', 'server', 5],
  ['server', 'client', 4],
  ['server', 'client', 5],
] as const)('what a %s sends to a %s in version %i', (side, receiver, version) => {
  test('comes back as it was sent, in the size that was computed', () => {
    fc.assert(
      fc.property(arbitraryPacket(version, side), (packet) => {
        const bytes = encode(packet, version);
        expect(bytes.length).toBe(encodedSize(packet, version));
        expect(decodeOne(bytes, receiver, version)).toEqual({
          kind: 'packet',
          packet,
          bytesUsed: bytes.length,
        });
      }),
      { numRuns: 600 },
    );
  });

  test('may be cut anywhere', () => {
    const packets = fc.array(arbitraryPacket(version, side), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(packets, fc.array(fc.nat(40), { minLength: 1 }), fc.boolean(), (sent, cuts, eager) => {
        const stream = Buffer.concat(sent.map((packet) => encode(packet, version)));
        const decoder = new Decoder({ maximumPacketSize: 10_000_000, receiver, protocolVersion: version });
        const received: Packet[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = 1 + cuts[turn % cuts.length]!;
          decoder.push(Uint8Array.from(stream.subarray(at, at + size)));
          at += size;
          if (eager) received.push(...drain(decoder, stream.length));
        }
        received.push(...drain(decoder, stream.length));
        expect(received).toEqual(sent);
      }),
      { numRuns: 300 },
    );
  });

  test('with bytes changed gives packets, a wait, or a Reason Code: nothing is thrown, nothing hangs', () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), kind: fc.nat(2) });
    fc.assert(
      fc.property(
        fc.array(arbitraryPacket(version, side), { minLength: 1, maxLength: 3 }),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (sent, changes) => {
          let stream = Buffer.concat(sent.map((packet) => encode(packet, version)));
          for (const { at, to, kind } of changes) {
            const where = at % stream.length;
            const before = stream.subarray(0, where);
            if (kind === 0) stream = Buffer.concat([before, Uint8Array.of(to), stream.subarray(where + 1)]);
            if (kind === 1) stream = Buffer.concat([before, Uint8Array.of(to), stream.subarray(where)]);
            if (kind === 2 && stream.length > 1) stream = Buffer.concat([before, stream.subarray(where + 1)]);
          }
          const decoder = new Decoder({ maximumPacketSize: 100_000, receiver, protocolVersion: version });
          decoder.push(stream);
          // What was understood can be said again.
          for (const packet of drain(decoder, stream.length)) encode(packet, version);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test('CONNECT comes back as it was sent, whole or byte by byte', () => {
  fc.assert(
    fc.property(arbitraryConnect, (packet) => {
      const version = packet.type === 'connect' ? packet.protocolVersion : 5;
      const bytes = encode(packet, version);
      expect(decodeOne(bytes, 'server')).toEqual({ kind: 'packet', packet, bytesUsed: bytes.length });
      const decoder = new Decoder({ maximumPacketSize: 1_000_000, receiver: 'server' });
      for (const octet of bytes) decoder.push(Uint8Array.of(octet));
      expect(decoder.next()).toMatchObject({ kind: 'packet', packet });
      expect(decoder.protocolVersion).toBe(version);
    }),
    { numRuns: 500 },
  );
});

test('CONNECT with a byte changed is a packet, a wait, or a Reason Code', () => {
  fc.assert(
    fc.property(arbitraryConnect, fc.nat(), fc.integer({ min: 0, max: 255 }), (packet, at, to) => {
      const bytes = encode(packet, packet.type === 'connect' ? packet.protocolVersion : 5);
      bytes[at % bytes.length] = to;
      const decoder = new Decoder({ maximumPacketSize: 1_000_000, receiver: 'server' });
      decoder.push(bytes);
      drain(decoder, bytes.length);
    }),
    { numRuns: 3000 },
  );
});

test.each([4, 5] as const)('any bytes at all are judged, in version %i and before', (version) => {
  const receiver = fc.constantFrom('server' as const, 'client' as const);
  const known = fc.boolean();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), receiver, known, (bytes, who, versionKnown) => {
      const protocolVersion: ProtocolVersion | undefined =
        versionKnown || who === 'client' ? version : undefined;
      const decoder = new Decoder({ maximumPacketSize: 1000, receiver: who, protocolVersion });
      decoder.push(bytes);
      drain(decoder, bytes.length);
    }),
    { numRuns: 3000 },
  );
});
