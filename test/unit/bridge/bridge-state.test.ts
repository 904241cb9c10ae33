import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeState, encodeState, newState, type SavedState } from '../../../src/bridge/bridge-state.js';
import { NORMAL } from '../../../src/bridge/stream.js';
import type { QoS } from '../../../src/core/message.js';

const state: fc.Arbitrary<SavedState> = fc
  .record({
    probing: fc.boolean(),
    server: fc.string(),
    clientId: fc.string({ unit: 'grapheme' }),
    generation: fc.nat(),
    lastPacketIdentifier: fc.integer({ min: 0, max: 0xffff }),
    offsets: fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 45 }), { maxLength: 50 }),
    entries: fc.array(
      fc.record({
        packetIdentifier: fc.integer({ min: 1, max: 0xffff }),
        qos: fc.constantFrom<QoS>(0, 1, 2),
        phase: fc.constantFrom('published' as const, 'released' as const),
      }),
      { minLength: 50, maxLength: 50 },
    ),
    replay: fc.string(),
    beyond: fc.integer({ min: 1, max: 1000 }),
    received: fc.array(fc.integer({ min: 1, max: 0xffff }), { maxLength: 100 }),
  })
  .map(({ offsets, entries, beyond, ...rest }) => {
    const open = offsets
      .sort((a, b) => a - b)
      .map((offset, index) => ({ offset, ...(entries[index] as (typeof entries)[number]) }));
    const next = (open.at(-1)?.offset ?? 0) + beyond;
    const streams = newState.streams.map((one, id) => (id === beyond % 5 ? { next, open } : one));
    return {
      ...rest,
      streams,
      historyUntil: next,
      gaps:
        beyond % 2 === 0
          ? []
          : [
              [1, 7],
              [next + 10, next + 15],
            ],
    };
  });

test('any state reads back as it was written', () => {
  fc.assert(
    fc.property(state, (one) => {
      expect(decodeState(encodeState(one))).toEqual(one);
    }),
  );
});

test('what an earlier version wrote is read', () => {
  const bytes = Buffer.from(
    '01126d717474733a2f2f636c6f75643a383838330777656c6c2d313703bc05c096b10202b696b102bb050105bc0506020509',
    'hex',
  );
  expect(decodeState(bytes)).toEqual({
    ...newState,
    server: 'mqtts://cloud:8883',
    clientId: 'well-17',
    generation: 3,
    lastPacketIdentifier: 700,
    streams: newState.streams.map((one, id) =>
      id === NORMAL
        ? {
            next: 5_000_000,
            open: [
              { offset: 4_999_990, packetIdentifier: 699, qos: 1, phase: 'published' },
              { offset: 4_999_995, packetIdentifier: 700, qos: 2, phase: 'released' },
            ],
          }
        : one,
    ),
    received: [5, 9],
  });
});

test('what an earlier version wrote of four streams is read, and there is no replay', () => {
  const bytes = Buffer.from('020a6d7174743a2f2f613a3101770102070100780164070601000100090103050104', 'hex');
  expect(decodeState(bytes)).toEqual({
    ...newState,
    server: 'mqtt://a:1',
    clientId: 'w',
    probing: true,
    generation: 2,
    lastPacketIdentifier: 7,
    streams: newState.streams.map((one, id) =>
      id === NORMAL
        ? { next: 120, open: [{ offset: 100, packetIdentifier: 7, qos: 2, phase: 'released' }] }
        : one,
    ),
    historyUntil: 9,
    gaps: [[3, 5]],
    received: [4],
  });
});

test('a thousand open exchanges take a few bytes each', () => {
  const open = Array.from({ length: 1000 }, (_, n) => ({
    offset: 5_000_000 + n,
    packetIdentifier: 1 + n,
    qos: 2 as const,
    phase: 'published' as const,
  }));
  const streams = [{ next: 6_000_000, open }, ...newState.streams.slice(1)];
  const bytes = encodeState({ ...newState, streams });
  expect(bytes.length).toBeLessThan(5000);
});

describe('what is damaged is refused, never misread as something to crash on', () => {
  test('cut anywhere', () => {
    fc.assert(
      fc.property(state, fc.nat(), (one, cut) => {
        const bytes = encodeState(one);
        expect(decodeState(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
      }),
    );
  });

  test('any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodeState(bytes);
        if (decoded !== undefined) expect(decodeState(encodeState(decoded))).toEqual(decoded);
      }),
      { numRuns: 2000 },
    );
  });

  test('a later format', () => {
    const bytes = encodeState(newState);
    bytes[0] = 4;
    expect(decodeState(bytes)).toBeUndefined();
  });
});
