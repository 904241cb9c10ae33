/** Serial, GPIO, 1-Wire, IIO, system and a driver of one's own: what the configuration takes and what it says otherwise. */
import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../../src/config/describe.js';
import { configOf, errorLines } from './fixtures.js';

const one = (bus: string, point: string, device = ''): string[] =>
  errorLines(
    `gateway: { id: a }\nbuses: { b: ${bus} }\ndevices: { d: { bus: b,${device} points: { p: ${point} } } }`,
  ).map((line) => line.replace(/^\d+:\d+: (devices\.d\.points\.p|buses\.b|devices\.d)\.?/, ''));

const SERIAL = '{ driver: serial, path: /dev/ttyUSB1 }';

test('the examples of the contract check, and say where each point comes from', () => {
  const report = describeConfig(
    configOf(`gateway: { id: well-17, tags: { site: north } }
buses:
  scale:
    driver: serial
    path: /dev/ttyUSB1
    baud_rate: 9600
    frame: { delimiter: "\\r\\n" }       # delimiter | length | regex | idle (inter-byte gap)
  probes: { driver: onewire }          # /sys/bus/w1
  adc: { driver: iio }                 # /sys/bus/iio: kernel-driven I2C and SPI sensors and ADCs
  host: { driver: system }             # CPU temperature, load, memory, disk, uptime, undervoltage
devices:
  hopper:
    bus: scale
    points:
      weight: { match: '^ST,GS,\\s*([-+0-9.]+)kg', type: number, unit: kg }
      tare:   { match: '^T,(\\d+)', request: "T\\r\\n", poll: 1m }
  room: { bus: probes, points: { warm: { probe: 28-0316a2794ef1 } } }
  level: { bus: adc, points: { volt: { channel: ads1015/voltage0 } } }
  pi: { bus: host, points: { cpu: { metric: cpu_temperature } } }
mappings: [ { from: "*/*", topic: "{device}/{point}" } ]
`),
  );
  expect(report.warnings).toEqual([]);
  expect(report.devices.flatMap(({ points }) => points.map(({ source }) => source))).toEqual([
    '/^ST,GS,\\s*([-+0-9.]+)kg/',
    '/^T,(\\d+)/ asked with "T\\r\\n"',
    'probe 28-0316a2794ef1',
    'channel ads1015/voltage0',
    'cpu_temperature',
  ]);
});

describe('a serial bus', () => {
  test.each([
    ['{ driver: serial }', ['path: found nothing, needed: the path of a serial port']],
    [
      '{ driver: serial, path: /dev/a, frame: {} }',
      ['frame: found no way to tell where a frame ends, needed: delimiter, length, end, idle or regex'],
    ],
    [
      '{ driver: serial, path: /dev/a, frame: { delimiter: "a", idle: 5ms } }',
      ['frame.idle: found delimiter and idle, allowed: one of delimiter, length, end, regex, idle'],
    ],
    [
      '{ driver: serial, path: /dev/a, frame: { end: "a" } }',
      ['frame.start: found nothing, needed: start, the bytes that every frame begins with'],
    ],
    [
      '{ driver: serial, path: /dev/a, frame: { regex: "a(?=b)" } }',
      [
        'frame.regex: found "a(?=b)", allowed: a regular expression without looking ahead or behind and without references back, which a line of noise could make run for ever',
      ],
    ],
    [
      '{ driver: serial, path: /dev/a, frame: { delimiter: { hex: "0" } } }',
      ['frame.delimiter.hex: found "0", allowed: pairs of hexadecimal digits such as "02 41 0d"'],
    ],
    [
      '{ driver: serial, path: /dev/a, protocol: nmea-0183, frame: { idle: 5ms } }',
      ['frame: found frame with protocol, which says it already; remove one of them'],
    ],
    [
      '{ driver: serial, path: /dev/a, checksum: { type: crc16-modbuss } }',
      [
        'checksum.type: found crc16-modbuss, did you mean crc16-modbus? allowed: xor, sum, sum16, lrc, crc8, crc8-maxim, crc16-modbus, crc16-ccitt, crc16-xmodem, crc16-kermit, crc16-arc, crc32 or crc32-mpeg2',
      ],
    ],
  ])('%s', (bus, lines) => expect(one(bus, '{ match: x }')).toEqual(lines));

  test.each([
    [
      '{ match: "(" }',
      ['match: found "(", allowed: a regular expression; this is none: /(/: Unterminated group'],
    ],
    ['{ match: "a(b)", group: 2 }', ['group: found 2, which match does not have, allowed: 0 to 1']],
    [
      '{ match: "a", type: string, scale: 2 }',
      ['scale: found scale on a value that is text, allowed: only on numbers'],
    ],
    [
      '{ match: "a", writable: true }',
      ['write: found nothing, needed: write, what is sent to set it, with {value} in it'],
    ],
    [
      '{ match: "a", write: x }',
      ['write: found write on a point that is not writable; add writable: true or remove it'],
    ],
    ['{ at: 1, type: string }', ['length: found nothing, needed: length, the bytes of the string']],
    [
      '{ at: 1, type: float32, bit: 1 }',
      ['bit: found bit of a float32, allowed: of a whole number of up to 32 bits'],
    ],
    [
      '{ nmea: latitude }',
      ['nmea: found nmea, but the bus does not speak it; write protocol: nmea-0183 there'],
    ],
    [
      '{ match: x, request: "€" }',
      ['request: found "€", allowed: text of one-byte characters such as "T\\r\\n", or { hex: "02 41 0d" }'],
    ],
    [
      '{ register: holding/1 }',
      ['register: found register, but the device is on a bus with driver serial, needed: match, at or nmea'],
    ],
    ['{ unit: kg }', ['match: found nothing, needed: a regular expression']],
    ['{ mach: x }', [expect.stringMatching(/^mach: found an unknown key, did you mean match\?/)]],
  ])('point %s', (point, lines) => expect(one(SERIAL, point)).toEqual(lines));

  test('has no unit numbers and no options', () => {
    expect(one(SERIAL, '{ match: x }', ' unit: 1, options: {},')).toEqual([
      'unit: found a unit number, which only Modbus devices have; remove it',
      'options: found options, which only a driver of your own has, and the bus has driver serial; remove them',
    ]);
  });
});

test.each([
  [
    '{ driver: onewire }',
    '{ probe: 28-xyz }',
    [
      'probe: found 28-xyz, allowed: the id of a probe such as 28-0316a2794ef1, or any where there is only one',
    ],
  ],
  [
    '{ driver: iio }',
    '{ channel: "a b" }',
    ['channel: found "a b", allowed: CHANNEL or CHIP/CHANNEL, such as voltage0, temp or ads1015/voltage0'],
  ],
  [
    '{ driver: system }',
    '{ metric: cpu_temp }',
    [expect.stringMatching(/^metric: found cpu_temp,.*allowed: cpu_temperature, /)],
  ],
  [
    '{ driver: system }',
    '{ metric: uptime, path: /a }',
    ['path: found path, which only disk_… metrics have; remove it'],
  ],
])('%s with %s', (bus, point, lines) => expect(one(bus, point)).toEqual(lines));

describe('a GPIO bus', () => {
  const GPIO = '{ driver: gpio }';
  test.each([
    [
      '{ gpio: 28 }',
      [
        'gpio: found 28, allowed: a BCM number from 0 to 27, { chip: pinctrl-bcm2711, line: 17 }, or { sysfs: 529 }',
      ],
    ],
    ['{ gpio: { chip: x } }', ['gpio.line: found nothing, needed: a whole number from 0 to 1023']],
    [
      '{ gpio: 1, direction: out, count: rising }',
      ['count: found count, which an output does not have; change direction or remove it'],
    ],
    [
      '{ gpio: 1, initial: true }',
      ['initial: found initial, which an input does not have; change direction or remove it'],
    ],
    [
      '{ gpio: 1, count: rising, frequency: rising }',
      ['frequency: found count and frequency, allowed: one of them; make two points of it'],
    ],
    [
      '{ gpio: 1, writable: true }',
      ['writable: found writable on an input, allowed: on outputs and on counters'],
    ],
    [
      '{ gpio: 1, scale: 2 }',
      ['scale: found scale on a value that is true or false, allowed: only on numbers'],
    ],
    ['{ gpoi: 1 }', [expect.stringMatching(/^gpoi: found an unknown key, did you mean gpio\?/)]],
  ])('point %s', (point, lines) => expect(one(GPIO, point)).toEqual(lines));

  test('several points may read one line, and an output has one owner', () => {
    const lines = (points: string): string[] =>
      errorLines(`gateway: { id: a }\nbuses: { b: ${GPIO} }\ndevices: { d: { bus: b, points: ${points} } }`);
    expect(lines('{ a: { gpio: 1, count: rising }, b: { gpio: 1, frequency: rising } }')).toEqual([]);
    expect(lines('{ a: { gpio: 1 }, b: { gpio: 1, direction: out } }')).toEqual([
      '3:62: devices.d.points.b.gpio: found a line that d/a has already, allowed: one point for a line, unless all of them read it',
    ]);
  });

  test('the example of the contract checks, and says where each point comes from', () => {
    const report = describeConfig(
      configOf(`gateway: { id: a }
buses: { header: { driver: gpio } }
devices:
  door:
    bus: header
    points:
      open:  { gpio: 17, direction: in, active_low: true, debounce: 20ms }       # BCM number
      flow:  { gpio: 27, direction: in, count: rising, scale: 0.0025, unit: L }  # pulse counter, kept across restarts
      relay: { gpio: 22, direction: out, writable: true, initial: false }
mappings: [ { from: "*/*", topic: "{device}/{point}" } ]
`),
    );
    expect(report.devices[0]?.points.map(({ source }) => source)).toEqual([
      'gpio 17 in active low',
      'gpio 27 counting rising edges',
      'gpio 22 out',
    ]);
    expect(report.devices[0]?.points[0]?.publishes[0]?.payload).toBe('{"ts":1732147200123,"value":true}');
  });
});
