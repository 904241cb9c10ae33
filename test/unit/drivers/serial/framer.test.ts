import { describe, expect, test } from 'vitest';
import { serialBusSchema } from '../../../../src/config/serial-schema.js';
import type { Framer } from '../../../../src/drivers/serial/framer.js';
import { framerOf } from '../../../../src/drivers/serial/framer-rules.js';
import { seeded } from '../../../support/driver-bench.js';

function framer(bus: object): Framer {
  return framerOf(serialBusSchema.parse({ driver: 'serial', path: '/dev/x', ...bus }));
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytes = (from: string): Uint8Array => Uint8Array.from(Buffer.from(from, 'latin1'));

/** All frames' bodies of what comes in these pieces, all at one time unless they say when. */
function bodies(of: Framer, pieces: readonly (string | readonly [string, number])[]): string[] {
  return pieces.flatMap((piece) => {
    const [from, atMs] = typeof piece === 'string' ? [piece, 0] : piece;
    return of.push(bytes(from), atMs).map(({ body }) => text(body));
  });
}

describe('delimiter', () => {
  test('splits wherever the pieces are cut, and leaves out empty frames', () => {
    const of = framer({ frame: { delimiter: '\r\n' } });
    expect(bodies(of, ['ST,GS', ',1kg\r', '\n\r\nUS,', 'GS,2kg\r\n', 'rest'])).toEqual([
      'ST,GS,1kg',
      'US,GS,2kg',
    ]);
    expect(of.discarded).toBe(0);
  });

  test('lines are the default, with or without a carriage return', () => {
    expect(bodies(framer({}), ['a\nb\r\nc\n'])).toEqual(['a', 'b', 'c']);
  });

  test('a line that never ends is thrown away to its end, and the next is whole', () => {
    const of = framer({ frame: { delimiter: '\n', max: '16B' } });
    expect(bodies(of, ['x'.repeat(1000), 'tail\ngood\n'])).toEqual(['good']);
    expect(of.discarded).toBe(1005);
  });

  test('with a start, noise before it is left out', () => {
    const of = framer({ frame: { delimiter: '\r', start: '@' } });
    expect(bodies(of, ['\xff\x00@17\r', 'no start\r', '@half@18\r'])).toEqual(['17', '18']);
    expect(of.discarded).toBe(2 + 9 + 5);
  });
});

describe('length', () => {
  test('fixed, found again by its start after noise', () => {
    const of = framer({ frame: { length: 4, start: { hex: 'aa' } } });
    expect(bodies(of, ['zz\xaa123', '\xaa4', '56'])).toEqual(['123', '456']);
    expect(of.discarded).toBe(2);
  });

  test('said by the frame itself, in either byte order', () => {
    const of = framer({ frame: { length: { at: 1, add: 3 }, start: { hex: '68' } } });
    expect(bodies(of, ['\x68\x02ab!', '\x68\x00!'])).toEqual(['\x02ab!', '\x00!']);
    const wide = framer({ frame: { length: { at: 0, type: 'uint16', byte_order: 'little' } } });
    expect(bodies(wide, ['\x05\x00abc\x03\x00d'])).toEqual(['\x05\x00abc', '\x03\x00d']);
  });

  test('a frame that ends before its own length is none', () => {
    const of = framer({ frame: { length: { at: 0 } } });
    expect(bodies(of, ['\x00\x02a'])).toEqual(['\x02a']);
    expect(of.discarded).toBe(1);
  });

  test('what stays incomplete is thrown away after a pause', () => {
    const of = framer({ frame: { length: 4, idle: '50ms' } });
    expect(
      bodies(of, [
        ['ab', 0],
        ['cdef', 100],
      ]),
    ).toEqual(['cdef']);
    expect(of.discarded).toBe(2);
  });
});

describe('start and end', () => {
  test('the body is between them, what follows the end is part of the frame', () => {
    const of = framer({ frame: { start: '\x02', end: '\x03', after_end: 1 } });
    const [frame] = of.push(bytes('??\x0212.5\x03#'), 0);
    expect(text(frame?.body as Uint8Array)).toBe('12.5');
    expect(text(frame?.bytes as Uint8Array)).toBe('\x0212.5\x03#');
  });

  test('a frame that broke off gives way to the next', () => {
    expect(bodies(framer({ frame: { start: '\x02', end: '\x03' } }), ['\x02ab', '\x02cd\x03'])).toEqual([
      'cd',
    ]);
  });
});

test('a pause ends an idle frame', () => {
  const of = framer({ frame: { idle: '20ms' } });
  expect(
    bodies(of, [
      ['ab', 0],
      ['cd', 10],
      ['ef', 40],
    ]),
  ).toEqual(['abcd']);
  expect(of.deadlineMs).toBe(60);
  expect(of.tick(59)).toEqual([]);
  expect(of.tick(60).map(({ body }) => text(body))).toEqual(['ef']);
  expect(of.deadlineMs).toBe(Infinity);
});

test('every match of an expression is a frame, and one at the end of the bytes waits for more', () => {
  const of = framer({ frame: { regex: 'T=\\d+' } });
  expect(bodies(of, ['..T=1', '2 T=7'])).toEqual(['T=12']);
  expect(of.tick(100).map(({ body }) => text(body))).toEqual(['T=7']);
  expect(of.discarded).toBe(3);
});

describe('check sums', () => {
  test('in hexadecimal at a place from the end, over a range', () => {
    const of = framer({
      frame: { delimiter: '\r\n' },
      checksum: { type: 'xor', format: 'hex', from: 1, to: -3, at: -2 },
    });
    expect(bodies(of, ['$ABC*40\r\n$ABC*41\r\n'])).toEqual(['$ABC*40']);
    expect(of.corrupt).toBe(1);
  });

  test('binary at the end: crc16-modbus low byte first', () => {
    const of = framer({ frame: { length: 11 }, checksum: { type: 'crc16-modbus' } });
    expect(bodies(of, ['123456789\x37\x4b'])).toHaveLength(1);
  });

  test('where it fails, the search goes on inside the frame', () => {
    const of = framer({ frame: { length: 4, start: '@' }, checksum: { type: 'sum' } });
    const good = `@1\x02${String.fromCharCode((0x40 + 0x31 + 2) & 0xff)}`;
    expect(bodies(of, [`@x${good}${good}`])).toEqual([good.slice(1), good.slice(1)]);
    expect(of.corrupt).toBeGreaterThan(0);
  });
});

test.each([
  [{ frame: { delimiter: '\n', max: '64B' } }],
  [{ frame: { length: 7, start: { hex: 'aa 55' }, max: '64B' }, checksum: { type: 'crc16-arc' } }],
  [{ frame: { length: { at: 1, add: 2 }, max: '64B' } }],
  [{ frame: { start: '\x02', end: '\x03', max: '64B' }, checksum: { type: 'lrc' } }],
  [{ frame: { idle: '5ms', max: '64B' } }],
  [{ frame: { regex: 'a+b', max: '64B' } }],
])('whatever comes, no byte is unaccounted for and no frame exceeds its bound: %j', (bus) => {
  const seed = 20261129;
  const random = seeded(seed);
  const of = framer(bus);
  let [sent, framed] = [0, 0];
  const alphabet = [0x02, 0x03, 0x0a, 0x0d, 0xaa, 0x55, 0x61, 0x62, 0x05];
  const count = (frames: { readonly bytes: Uint8Array }[]): void => {
    for (const frame of frames) {
      expect(frame.bytes.length, `seed ${seed}`).toBeLessThanOrEqual(64);
      framed += frame.bytes.length;
    }
  };
  for (let round = 0; round < 3000; round += 1) {
    const piece = Uint8Array.from(
      { length: Math.floor(random() * 40) },
      () => alphabet[Math.floor(random() * 9)] as number,
    );
    sent += piece.length;
    count(of.push(piece, round * (random() < 0.1 ? 10 : 1)));
  }
  of.reset();
  // Delimiters are part of neither.
  expect(framed + of.discarded, `seed ${seed}`).toBeLessThanOrEqual(sent);
  if (!('delimiter' in bus.frame)) expect(framed + of.discarded, `seed ${seed}`).toBe(sent);
});
