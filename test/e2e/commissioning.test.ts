/**
 * Putting devices into operation with the real commands against a Modbus slave that is not ours: scan, profiles, read,
 * write, trace, sub, alone and beside a running gateway.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ModbusSlave, type RegisterKind } from '../support/modbus-slave.js';
import { godwit, type Running, runningGateway, scratch } from '../support/process.js';

const float = (value: number): number[] => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
};
const text = (said: string, registers: number): number[] => {
  const bytes = Buffer.alloc(2 * registers);
  bytes.write(said, 'latin1');
  return Array.from({ length: registers }, (_, at) => bytes.readUInt16BE(2 * at));
};
/** 32 bits, the low word first. */
const low = (value: number): number[] => [value & 0xffff, (value >>> 16) & 0xffff];

type Registers = readonly (readonly [kind: RegisterKind, address: number, words: readonly number[]])[];

interface Documented {
  readonly unit: number;
  readonly registers: Registers;
  /** What its points must be worth, by name. */
  readonly worth: Readonly<Record<string, number | string>>;
}

/** Registers as the makers document them, with values of a plausible day. */
const DEVICES: Readonly<Record<string, Documented>> = {
  'eastron-sdm120': {
    unit: 1,
    registers: [
      ['input', 0x0000, float(230.1)],
      ['input', 0x0006, float(5.25)],
      ['input', 0x000c, float(1200.5)],
      ['input', 0x001e, float(0.98)],
      ['input', 0x0046, float(50.02)],
      ['input', 0x0048, float(1234.5)],
      ['input', 0x0156, float(1240.25)],
    ],
    worth: {
      voltage: 230.1,
      current: 5.25,
      power: 1200.5,
      power_factor: 0.98,
      frequency: 50.02,
      import_energy: 1234.5,
      total_energy: 1240.25,
    },
  },
  'eastron-sdm230': {
    unit: 2,
    registers: [
      ['input', 0x0000, float(229.5)],
      ['input', 0x0046, float(49.98)],
      ['input', 0x0054, float(811)],
      ['input', 0x0102, float(3.5)],
      ['input', 0x0108, float(16.25)],
    ],
    worth: {
      voltage: 229.5,
      frequency: 49.98,
      power_demand: 811,
      current_demand: 3.5,
      current_demand_max: 16.25,
    },
  },
  'eastron-sdm630': {
    unit: 3,
    registers: [
      ['input', 0x0000, [...float(230.1), ...float(231.2), ...float(229.3)]],
      ['input', 0x000c, [...float(100), ...float(200), ...float(300)]],
      ['input', 0x0034, float(600)],
      ['input', 0x0046, float(50)],
      ['input', 0x00c8, [...float(400.1), ...float(399.9), ...float(400.4)]],
      ['input', 0x015a, [...float(1), ...float(2), ...float(3)]],
    ],
    worth: { voltage_l2: 231.2, power_l3: 300, power_total: 600, voltage_l1_l2: 400.1, import_energy_l3: 3 },
  },
  'pzem-016': {
    unit: 4,
    registers: [['input', 0, [2305, ...low(70_000), ...low(123_456), ...low(9999), 500, 97, 0xffff]]],
    worth: {
      voltage: 230.5,
      current: 70,
      power: 12345.6,
      energy: 9999,
      frequency: 50,
      power_factor: 0.97,
      alarm: 'on',
    },
  },
  'xy-md02': {
    unit: 5,
    registers: [
      ['input', 1, [0xff33, 431]],
      ['holding', 0x0101, [5, 0, 0xfff6, 12]],
    ],
    worth: { temperature: -20.5, humidity: 43.1, temperature_correction: -1, humidity_correction: 1.2 },
  },
  'epever-tracer': {
    unit: 6,
    registers: [
      ['input', 0x3000, [10_000, 2000, ...low(26_000)]],
      ['input', 0x3100, [3651, 412, ...low(15_042), 1323, 1137]],
      ['input', 0x310c, [1322, 55, ...low(727), 0xff9c, 2750]],
      ['input', 0x311a, [86]],
      ['input', 0x330c, [...low(123), ...low(4567), ...low(89_012), ...low(3_456_789)]],
      ['input', 0x331b, low(-1234)],
    ],
    worth: {
      rated_pv_power: 260,
      pv_voltage: 36.51,
      pv_power: 150.42,
      battery_voltage: 13.23,
      load_power: 7.27,
      battery_temperature: -1,
      case_temperature: 27.5,
      state_of_charge: 86,
      generated_energy_total: 34567.89,
      battery_current: -12.34,
    },
  },
  'sunspec-common': {
    unit: 7,
    registers: [
      ['holding', 40_000, [0x5375, 0x6e53, 1, 66]],
      ['holding', 40_004, text('Example', 16)],
      ['holding', 40_020, text('SUN-10', 16)],
      ['holding', 40_052, text('0042', 16)],
    ],
    worth: { manufacturer: 'Example', model: 'SUN-10', serial_number: '0042' },
  },
  'sunspec-inverter': {
    unit: 8,
    registers: [
      ['holding', 40_000, [0x5375, 0x6e53, 1, 66]],
      // Model 103, 50 registers; A with A_SF -2 at 6.
      ['holding', 40_070, [103, 50, 1234, 411, 412, 0xffff, 0xfffe]],
      ['holding', 40_070 + 10, [2301, 2302, 2303, 0xffff, 841, 1, 5001, 0xfffe]],
      ['holding', 40_070 + 24, [0x0001, 0xe240, 0]],
      ['holding', 40_070 + 33, [415, 0x8000, 0x8000, 0x8000, 0xffff, 4]],
      ['holding', 40_070 + 40, [0, 0b1010]],
    ],
    worth: {
      ...{
        current: 12.34,
        current_a: 4.11,
        voltage_an: 230.1,
        power: 8410,
        frequency: 50.01,
        energy: 123456,
      },
      ...{ temperature_cabinet: 41.5, state: 'mppt', events: 'dc-over-voltage,dc-disconnect' },
    },
  },
};

let slave: ModbusSlave;
let folder: string;
let remove: () => void;
let file: string;
let running: Running[];

beforeAll(async () => {
  slave = await ModbusSlave.tcp(Object.values(DEVICES).map(({ unit }) => unit));
  for (const { unit, registers } of Object.values(DEVICES)) {
    for (const [kind, address, words] of registers) await slave.set(kind, address, words, unit);
  }
});
afterAll(() => slave.stop());

beforeEach(() => {
  ({ folder, remove } = scratch());
  running = [];
  file = join(folder, 'godwit.yaml');
  const devices = Object.entries(DEVICES).map(
    ([profile, { unit }]) => `  d${unit}: { bus: line, unit: ${unit}, profile: ${profile} }\n`,
  );
  writeFileSync(
    file,
    `gateway: { id: field }
broker: { listeners: [ { url: "mqtt://127.0.0.1:0" } ] }
buses: { line: { driver: modbus-tcp, host: 127.0.0.1, port: ${slave.port} }, nobody: { driver: modbus-tcp, host: 127.0.0.1, port: 1 } }
devices:
${devices.join('')}  spare:
    bus: line
    unit: 1
    poll: 1h
    points:
      setpoint: { register: holding/200, type: uint16, scale: 0.1, writable: true, min: 0, max: 80 }
      reading: { register: holding/201 }
mappings: [ { from: "d1/*", topic: "plant/{point}", retain: true } ]
`,
  );
});
afterEach(async () => {
  await Promise.all(running.map((child) => child.kill()));
  remove();
});

async function ends(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = godwit([...args, '-c', file]);
  running.push(child);
  const code = await child.exit();
  return { code, out: child.lines.join('\n'), err: child.errors };
}

async function startGateway(): Promise<void> {
  running.push(await runningGateway(file));
}

interface Read {
  readonly point: string;
  readonly value: number | string;
  readonly raw?: string;
  readonly source: string;
}

describe('a profile reads what the maker documents', () => {
  test.each(Object.entries(DEVICES))('%s', async (profile, { unit, worth }) => {
    const { code, out, err } = await ends('read', `d${unit}`, '--json');
    expect(err).toBe('');
    const values = new Map((JSON.parse(out) as Read[]).map(({ point, value }) => [point, value]));
    // What an inverter does not have is bad, and only that.
    if (profile !== 'sunspec-inverter') expect(code).toBe(0);
    for (const [point, value] of Object.entries(worth))
      expect([point, values.get(point)]).toEqual([point, value]);
  });
});

describe('scan', () => {
  test('finds the units, knows them by their profiles, and prints what to paste', async () => {
    const { code, out } = await ends('scan', 'modbus', 'line', '--units', '1-9');
    expect(code).toBe(0);
    expect(out).toMatch(/^devices:\n {2}unit1: \{ bus: line, unit: 1, profile: eastron-sdm/);
    for (const [unit, profile] of [
      [1, 'eastron-sdm120 } # Peer; PM; 3.0; or profile eastron-sdm230\n'],
      [3, 'eastron-sdm120 } # Peer; PM; 3.0; or profile eastron-sdm230, eastron-sdm630\n'],
      [4, 'pzem-016'],
      [5, 'xy-md02'],
      [6, 'epever-tracer'],
      [7, 'sunspec-common'],
      [8, 'sunspec-common } # Peer; PM; 3.0; or profile sunspec-inverter'],
    ])
      expect(`${out}\n`).toContain(`  unit${unit}: { bus: line, unit: ${unit}, profile: ${profile}`);
    expect(out).not.toContain('unit9');
  });

  test('works beside a running gateway, whose polls go on', async () => {
    await startGateway();
    const { code, out } = await ends('scan', 'modbus', 'line', '--units', '4,6', '--json');
    expect(code).toBe(0);
    expect(
      out.split('\n').map((line) => JSON.parse(line) as { unit: number; profiles: string[] }),
    ).toMatchObject([
      { unit: 4, profiles: ['pzem-016'] },
      { unit: 6, profiles: ['epever-tracer'] },
    ]);
    const refused = await ends('scan', 'modbus', 'line', '--speeds', '9600');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('stop it to try others');
  });

  test('says why a bus cannot be used, and which buses there are', async () => {
    expect((await ends('scan', 'modbus', 'nobody', '--units', '1')).err).toMatch(
      /Bus nobody cannot be used: .*/,
    );
    expect((await ends('scan', 'modbus', 'other')).err).toContain(
      'There is no bus other; there are line, nobody',
    );
  });
});

describe.each([['alone'], ['beside a running gateway']])('by hand, %s', (how) => {
  beforeEach(async () => {
    if (how !== 'alone') await startGateway();
  });

  test('a point is read with its bytes, in every type where that is asked', async () => {
    const { code, out } = await ends('read', 'd1/voltage', '--types');
    expect(code).toBe(0);
    expect(out).toMatch(/^voltage +230\.1 V +input\/0 float32 {2}\[4366 199A\]$/m);
    expect(out).toMatch(/^ +float32 ABCD +230\.1$/m);
    expect(out).toMatch(/^ +uint32 CDAB +\d+$/m);
  });

  test('a value is written and read back; one that does not fit is refused', async () => {
    await slave.set('holding', 200, [0], 1);
    expect(await ends('write', 'spare/setpoint', '21.5')).toMatchObject({
      code: 0,
      out: 'spare/setpoint is 21.5',
    });
    expect(JSON.parse((await ends('read', 'spare/setpoint', '--json')).out)).toMatchObject([
      { value: 21.5, raw: '00d7' },
    ]);
    const refused = [
      ['spare/setpoint', '99', 'out of range'],
      ['spare/setpoint', 'warm', 'does not fit'],
      ['spare/reading', '1', 'not writable'],
      ['spare/other', '1', 'has no point other'],
      ['nobody/other', '1', 'there is no device nobody'],
    ] as const;
    await Promise.all(
      refused.map(async ([place, value, why]) => {
        const { code, err } = await ends('write', place, value);
        expect([place, code]).toEqual([place, 1]);
        expect(err).toContain(why);
      }),
    );
    expect(JSON.parse((await ends('read', 'spare/setpoint', '--json')).out)).toMatchObject([{ raw: '00d7' }]);
  });
});

describe('what goes on', () => {
  test('frames are shown as they go over the bus', async () => {
    await startGateway();
    const trace = godwit(['trace', 'line', '-c', file]);
    running.push(trace);
    const sent = await trace.line((line) => line.includes('→') && / 04 00 00 /.test(line));
    expect(sent).toMatch(/^\d\d:\d\d:\d\d\.\d{3} +\+\d+\.\d ms → ([0-9a-f]{2} ?)+$/);
    await trace.line((line) => line.includes('←'));
    trace.process.kill('SIGINT');
    expect(await trace.exit()).toBe(0);
  });

  test('messages are shown as they are published, retained ones first', async () => {
    await startGateway();
    const sub = godwit(['sub', 'plant/#', '-c', file]);
    running.push(sub);
    expect(await sub.line((line) => line.startsWith('plant/voltage '))).toMatch(
      /"value":230\.1,"unit":"V"\}$/,
    );
    sub.process.kill('SIGINT');
    expect(await sub.exit()).toBe(0);
    expect((await ends('sub', '##')).code).toBe(2);
  });

  test('a device out of service is not asked until it is put back, over a restart too', async () => {
    await startGateway();
    expect((await ends('service', 'd1', 'out')).out).toContain('d1 is out of service');
    await Promise.all(running.map((child) => child.kill()));
    await startGateway();
    const state = async (): Promise<unknown> =>
      (JSON.parse((await ends('status', '--json')).out) as { devices: Record<string, { reason?: string }> })
        .devices.d1?.reason;
    expect(await state()).toBe('out of service');
    expect((await ends('service', 'd1', 'in')).code).toBe(0);
    while ((await state()) !== undefined);
  });
});
