import { describe, expect, test } from 'vitest';
import { parseRegister } from '../../../src/config/register.js';
import { configOf, errorLines } from './fixtures.js';

const BASE =
  'gateway: { id: a }\nbuses: { tcp: { driver: modbus-tcp, host: h }, rtu: { driver: modbus-rtu, path: /dev/a } }\ndevices:\n';

function point(keys: string, device = ''): string[] {
  const yaml = `${BASE}  d: { bus: tcp, unit: 1, ${device} points: { p: { ${keys} } } }\n`;
  return errorLines(yaml).map((line) => line.replace(/^\d+:\d+: devices\.d\.points\.p\.?/, ''));
}

describe('registers are named', () => {
  test.each([
    ['holding/100', 0, 'holding', 100],
    ['holding/100', 1, 'holding', 99],
    [40_101, 0, 'holding', 100],
    [40_101, 1, 'holding', 100],
    ['400101', 0, 'holding', 100],
    [465_536, 0, 'holding', 65_535],
    [30_001, 0, 'input', 0],
    [10_013, 0, 'discrete', 12],
    ['00004', 0, 'coil', 3],
    ['000004', 0, 'coil', 3],
  ] as const)('%s with base %i is %s %i', (written, base, table, address) => {
    expect(parseRegister(written, base)).toEqual({ table, address });
  });

  test.each([[40_000], [4], ['20001'], ['holding/65536'], [465_537], ['holdng/1']])(
    '%s is none',
    (written) => {
      expect(parseRegister(written)).toBeUndefined();
    },
  );

  test('holding/0 is none where the document counts from 1', () => {
    expect(point('register: holding/0', 'address_base: 1,')).toEqual([
      'register: found holding/0, but the device counts from 1 (address_base: 1), allowed: from 1 on',
    ]);
  });
});

test.each([
  'register: holding/1, type: int8, byte: high',
  'register: holding/1, type: string, length: 16, pad: space, writable: true',
  'register: holding/1, length: 3',
  'register: 40101, type: uint64, order: GHEFCDAB',
  'register: holding/1, bit: 15',
  'register: holding/1, type: uint32, bit: "4-31", scale: 0.1',
  'register: holding/1, enum: { 0: "off", 1: auto, -1: x }',
  'register: coil/1, enum: { 0: closed, 1: open }',
  'register: holding/1, type: uint32, flags: { 0: hot, 31: cold }',
  'register: holding/2, type: int16, scale_register: holding/10, nan: [0x8000, -1]',
  'register: holding/2, type: uint64, nan: "0xFFFFFFFFFFFFFFFF"',
  'register: holding/2, writable: true, min: 0, max: 80, write_function: 16',
  'register: holding/2, bit: 3, writable: true, write_function: 22, read_back: false',
  'register: coil/2, writable: true, write_function: 15',
])('%s is right', (keys) => {
  expect(point(keys)).toEqual([]);
});

test.each([
  ['register: holding/1, type: string', 'found nothing, needed: length, that of the string in bytes'],
  ['register: holding/1, bit: 16', 'bit: found bit 16 of a value of type uint16, allowed: 0 to 15'],
  [
    'register: holding/1, bit: "7-4"',
    'bit: found "7-4", allowed: the number of a bit from 0 to 63, or a range of bits such as "4-7"',
  ],
  [
    'register: holding/1, type: float32, bit: 1',
    'bit: found bit on a value of type float32, allowed: only on uint8, uint16, uint32 or uint64',
  ],
  [
    'register: holding/1, order: ABCD',
    'order: found 4 letters for a value of type uint16, allowed: 2 letters',
  ],
  [
    'register: holding/1, type: uint32, order: ABCC',
    'order: found ABCC, allowed: the bytes by letter as they come, A the highest: such as CDAB or GHEFCDAB',
  ],
  [
    'register: holding/1, byte: low',
    'byte: found byte on a value of type uint16, allowed: only on int8 or uint8',
  ],
  [
    'register: holding/1, length: 4, scale: 2',
    'scale: found scale on a value that is text, allowed: only on numbers',
  ],
  [
    'register: holding/1, enum: { 0: a }, offset: 2',
    'offset: found offset beside enum, whose values are names',
  ],
  ['register: holding/1, enum: { a: b }', 'enum.a: found a as a name, allowed: a whole number from'],
  [
    'register: holding/1, scale_register: input/2',
    'scale_register: found input/2, allowed: another register of holding, since both are read at once',
  ],
  [
    'register: holding/1, scale_register: holding/400',
    'scale_register: found holding/400, which together with the value spans 400 registers, allowed: 125, since both are read at once',
  ],
  [
    'register: holding/1, nan: abc',
    'nan: found abc, allowed: a number, such as 0x8000 or -9999, or a list of them; those beyond 2^53 as text',
  ],
  [
    'register: input/1, writable: true',
    'writable: found writable on an input register, allowed: holding and coil; the others cannot be written',
  ],
  ['register: holding/1, min: 3', 'min: found min on a point that is not writable, needed: writable: true'],
  [
    'register: holding/1, writable: true, min: 3, max: 1',
    'min: found min 3 above max 1, allowed: min up to max',
  ],
  [
    'register: holding/1, type: uint32, writable: true, write_function: 6',
    'write_function: found 6, allowed here: 16, 23',
  ],
])('%s is told', (keys, line) => {
  expect(point(keys)).toEqual([expect.stringContaining(line)]);
});

test('a value that the device cannot give at once is told', () => {
  expect(point('register: holding/1, type: uint64', 'max_registers: 2,')).toEqual([
    'register: found a value of 4 registers, but the device gives only 2 at once',
  ]);
});

test('the keys of Modbus are refused on other devices', () => {
  expect(
    errorLines(
      'gateway: { id: a }\nbuses: { sim: { driver: simulator } }\ndevices: { d: { bus: sim, gap: 1, points: {} } }',
    ),
  ).toEqual(['3:27: devices.d.gap: found gap, which only Modbus devices have; remove it']);
});

test('buses of every framing have their own keys', () => {
  const { buses } = configOf(`gateway: { id: a }
buses:
  a: { driver: modbus-ascii, path: /dev/a, data_bits: 7, parity: even, rts: while-sending, rts_after: 1ms }
  b: { driver: modbus-rtu-over-tcp, host: h, port: 4001, frame_gap: 5ms, turnaround: 200ms }
  c: { driver: modbus-tcp, host: h, concurrency: 4, connect_delay: 1s }
`);
  expect(buses.a).toMatchObject({ rts: 'while-sending', rts_before: 0, rts_after: 1, turnaround: 100 });
  expect(buses.b).toMatchObject({ port: 4001, frame_gap: 5, turnaround: 200 });
  expect(buses.c).toMatchObject({ concurrency: 4, connect_delay: 1000 });
});
