import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MessageProperties, QoS } from '../../../src/core/message.js';
import type { Content } from '../../../src/core/record.js';
import type { Quality, Sample } from '../../../src/core/sample.js';
import { ByteWriter } from '../../../src/storage/byte-writer.js';
import { Dictionary } from '../../../src/storage/dictionary.js';
import {
  CHUNK_VERSION,
  readRecord,
  readTopic,
  type Slot,
  visitSlots,
  writeGone,
  writeRecord,
} from '../../../src/storage/record-codec.js';

/** Objects as the program makes them: strict equality looks at the prototype too. */
const plain = { noNullPrototype: true } as const;
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const qos = fc.constantFrom<QoS>(0, 1, 2);

const properties: fc.Arbitrary<MessageProperties> = fc.record(
  {
    payloadFormatIndicator: fc.constantFrom<0 | 1>(0, 1),
    messageExpiryInterval: fc.nat(2 ** 32 - 1),
    contentType: text,
    responseTopic: text,
    correlationData: bytes,
    userProperties: fc.array(fc.tuple(text, text), { maxLength: 4 }),
  },
  { noNullPrototype: true, requiredKeys: [] },
);

const message: fc.Arbitrary<Content> = fc
  .record(
    { topic: text, payload: bytes, qos, retain: fc.boolean(), properties },
    { noNullPrototype: true, requiredKeys: ['topic', 'payload', 'qos', 'retain'] },
  )
  .map((each) => ({ kind: 'message', message: each }));

const stamp = fc.record(
  {
    wallMs: fc.double(),
    monotonicMs: fc.double({ noNaN: true }),
    bootId: fc.constantFrom('boot-1', 'boot-2'),
    trusted: fc.boolean(),
  },
  plain,
);

const sample: fc.Arbitrary<Sample> = fc.record(
  {
    device: text,
    point: text,
    unit: text,
    value: fc.oneof(
      fc.double(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.bigInt(),
      fc.boolean(),
      text,
      fc.constant(null),
    ),
    quality: fc.constantFrom<Quality>('good', 'stale', 'bad'),
    reason: text,
    stamp,
  },
  { noNullPrototype: true, requiredKeys: ['device', 'point', 'value', 'quality', 'stamp'] },
);

const samples: fc.Arbitrary<Content> = fc
  .record(
    {
      topic: text,
      qos,
      retain: fc.boolean(),
      format: fc.constantFrom({ kind: 'json' as const }, { kind: 'value' as const }),
      grouped: fc.boolean(),
      samples: fc.array(sample, { maxLength: 6 }),
    },
    plain,
  )
  // A poll's samples share one stamp: that has a shape of its own in the bytes.
  .chain((set) =>
    fc.boolean().map((shared) => {
      const first = set.samples[0];
      const own =
        shared && first ? set.samples.map((each) => ({ ...each, stamp: { ...first.stamp } })) : set.samples;
      return { kind: 'samples' as const, set: { ...set, samples: own } };
    }),
  );

const record = fc.record(
  {
    content: fc.oneof(message, samples),
    routes: fc.array(fc.integer({ min: 1, max: 2 ** 40 }), { maxLength: 5 }),
    acceptedAtMs: fc.double({ noNaN: true }),
  },
  plain,
);

function chunkOf(write: (to: ByteWriter) => void): Buffer {
  const to = new ByteWriter(new ArrayBuffer(8));
  to.u8(CHUNK_VERSION);
  write(to);
  return Buffer.from(to.bytes());
}

function slotsOf(chunk: Buffer, first: number): Slot[] {
  const slots: Slot[] = [];
  visitSlots(chunk, first, (slot) => {
    slots.push(slot);
    return true;
  });
  return slots;
}

test('what is written is read back exactly, one Record behind the other', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 5 }), (records) => {
      const dictionary = new Dictionary();
      const chunk = chunkOf((to) => {
        for (const each of records) writeRecord(to, each.content, each.routes, each.acceptedAtMs, dictionary);
      });
      const read = slotsOf(chunk, 7).map((slot) => readRecord(chunk, slot, dictionary));
      expect(read).toStrictEqual(records.map((each, index) => ({ offset: 7 + index, ...each })));
    }),
    { numRuns: 300 },
  );
});

test('a dictionary that is full writes texts out, and they are read back the same', () => {
  const none = { id: () => 0, text: () => undefined };
  fc.assert(
    fc.property(record, (each) => {
      const chunk = chunkOf((to) => writeRecord(to, each.content, each.routes, each.acceptedAtMs, none));
      const [slot] = slotsOf(chunk, 1);
      expect(readRecord(chunk, slot!, none)).toStrictEqual({ offset: 1, ...each });
      const topic = each.content.kind === 'message' ? each.content.message.topic : each.content.set.topic;
      expect(readTopic(chunk, slot!, none)).toBe(topic);
    }),
  );
});

test('Records that are no longer kept are passed by, and those behind them keep their offsets', () => {
  const dictionary = new Dictionary();
  const content: Content = {
    kind: 'message',
    message: { topic: 'a', payload: Buffer.from('x'), qos: 1, retain: false },
  };
  const chunk = chunkOf((to) => {
    writeGone(to, 3);
    writeRecord(to, content, [1], 5, dictionary);
    writeGone(to, 2);
    writeRecord(to, content, [1], 6, dictionary);
  });
  expect(slotsOf(chunk, 10).map((slot) => slot.offset)).toEqual([13, 16]);
});

test('bytes cut or changed anywhere are read as something or refused as damaged, never worse', () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.nat(255),
      (records, where, byte) => {
        const dictionary = new Dictionary();
        const chunk = chunkOf((to) => {
          for (const each of records)
            writeRecord(to, each.content, each.routes, each.acceptedAtMs, dictionary);
        });
        const cut = chunk.subarray(0, where % chunk.length);
        const changed = Buffer.from(chunk);
        changed[where % chunk.length] = byte;
        for (const bad of [cut, changed]) {
          try {
            for (const slot of slotsOf(bad, 1)) readRecord(bad, slot, dictionary);
          } catch (fault) {
            expect(fault).toMatchObject({ code: 'JOURNAL_DAMAGED' });
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
