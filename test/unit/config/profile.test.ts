/** Device profiles: what a device takes from one, what it says itself, and where mistakes are told. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { readConfig } from '../../../src/config/parse.js';
import { type ProfileSource, readProfile } from '../../../src/config/profile.js';
import { profileFiles } from '../../../src/config/profile-files.js';

const METER = `title: A meter
source: its manual
drivers: [modbus-tcp, modbus-rtu]
device: { poll: 7s }
points:
  voltage: { register: input/0, type: float32, unit: V }
  power: { register: input/12, type: float32, unit: W, poll: 1s }
  energy: { register: input/72, type: float32, unit: kWh }
`;
const BASE = `gateway: { id: a }
buses: { line: { driver: modbus-tcp, host: h }, sim: { driver: simulator } }
devices:
`;

function source(profiles: Readonly<Record<string, string>>): ProfileSource {
  return {
    names: Object.keys(profiles),
    read: (name) => {
      const text = profiles[name];
      return text === undefined
        ? { kind: 'problem', problem: 'there is no such profile' }
        : { kind: 'text', file: `${name}.yaml`, text };
    },
  };
}

function parse(devices: string, profiles: Readonly<Record<string, string>> = { meter: METER }) {
  const { config, errors } = readConfig(BASE + devices, 'f.yaml', {}, undefined, source(profiles));
  return { devices: config?.devices, lines: errors.map(({ line }) => line) };
}

describe('a device with a profile', () => {
  test('has its points and what the profile says of the device', () => {
    const { devices, lines } = parse('  m: { bus: line, unit: 1, profile: meter }');
    expect(lines).toEqual([]);
    expect(devices?.m?.poll).toBe(7000);
    expect(
      Object.entries(devices?.m?.points ?? {}).map(([name, { unit, poll }]) => [name, unit, poll]),
    ).toEqual([
      ['voltage', 'V', undefined],
      ['power', 'W', 1000],
      ['energy', 'kWh', undefined],
    ]);
  });

  test('overrides keys of the device and of its points, and adds points of its own', () => {
    const { devices, lines } = parse(
      '  m: { bus: line, unit: 1, poll: 2s, profile: meter, points: { power: { unit: kW, scale: 0.001 }, own: { register: holding/1 } } }',
    );
    expect(lines).toEqual([]);
    expect(devices?.m?.poll).toBe(2000);
    expect(devices?.m?.points.power).toMatchObject({
      register: 'input/12',
      unit: 'kW',
      scale: 0.001,
      poll: 1000,
    });
    expect(Object.keys(devices?.m?.points ?? {})).toEqual(['voltage', 'power', 'energy', 'own']);
  });

  test('takes only what it chooses', () => {
    const { devices } = parse('  m: { bus: line, unit: 1, profile: meter, only: [energy, voltage] }');
    expect(Object.keys(devices?.m?.points ?? {})).toEqual(['voltage', 'energy']);
  });

  test('two devices share a profile without sharing what they say themselves', () => {
    const { devices } = parse(
      '  one: { bus: line, unit: 1, profile: meter, points: { power: { scale: 2 } } }\n  two: { bus: line, unit: 2, profile: meter }',
    );
    expect(devices?.one?.points.power?.scale).toBe(2);
    expect(devices?.two?.points.power?.scale).toBeUndefined();
  });
});

describe('mistakes are told', () => {
  test.each([
    [
      '  m: { bus: line, unit: 1, profile: metre }',
      'f.yaml:4:37: devices.m.profile: found metre: there is no such profile, did you mean meter? allowed: the path of a profile, or meter',
    ],
    [
      '  m: { bus: line, unit: 1, profile: meter, only: [powr] }',
      'f.yaml:4:51: devices.m.only[0]: found powr, which the profile does not have, did you mean power? allowed: voltage, power, energy',
    ],
    [
      '  m: { bus: line, unit: 1, only: [power], points: {} }',
      'f.yaml:4:28: devices.m.only: found only, which chooses from the points of a profile; name a profile, or remove it',
    ],
  ])('%s', (devices, line) => {
    expect(parse(devices).lines).toEqual([line]);
  });

  test('where the bus of the device has a driver that the profile is not for', () => {
    expect(parse('  m: { bus: sim, profile: meter }').lines).toContain(
      'f.yaml:4:27: devices.m.profile: found meter, but the device is on a bus with driver simulator, allowed for it: modbus-tcp, modbus-rtu',
    );
  });

  test('in the file of the profile, where they stand', () => {
    const broken = METER.replace('type: float32, unit: W', 'type: float23, unit: W');
    const { lines } = parse('  m: { bus: line, unit: 1, profile: meter }', { meter: broken });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^meter\.yaml:7:38: devices\.m\.points\.power\.type: found float23, did you mean float32\?/,
    );
  });

  test('where the file is no profile', () => {
    const { lines } = parse('  m: { bus: line, unit: 1, profile: meter }', {
      meter: 'title: x\npoints: 3\n',
    });
    expect(lines.some((line) => line.startsWith('meter.yaml:2:9: points: no profile:'))).toBe(true);
    expect(lines.some((line) => line.startsWith('meter.yaml:1:1: drivers: no profile:'))).toBe(true);
  });

  test('where the file is no YAML', () => {
    const { lines } = parse('  m: { bus: line, unit: 1, profile: meter }', { meter: 'title: [\n' });
    expect(lines[0]).toMatch(/^meter\.yaml:\d+:\d+: no valid YAML/);
  });
});

describe('profiles in files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'godwit-profile-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('are found beside the configuration', () => {
    writeFileSync(join(folder, 'my-meter.yaml'), METER);
    const file = join(folder, 'godwit.yaml');
    writeFileSync(file, `${BASE}  m: { bus: line, unit: 1, profile: my-meter.yaml }`);
    expect(Object.keys(loadConfig(file, {}).config.devices.m?.points ?? {})).toHaveLength(3);
  });

  const shipped = profileFiles('/');
  test.each(shipped.names)('%s ships with godwit and has no mistakes', (name) => {
    const read = shipped.read(name);
    if (read.kind === 'problem') throw new Error(read.problem);
    const { profile, errors } = readProfile(read.text, read.file);
    expect(errors).toEqual([]);
    expect(profile?.source).not.toBe('');
    for (const driver of profile?.drivers ?? []) {
      const bus = {
        'modbus-tcp': '{ driver: modbus-tcp, host: h }',
        'modbus-rtu': '{ driver: modbus-rtu, path: /dev/ttyUSB0 }',
      }[driver];
      // A driver of a later version cannot be judged here.
      if (bus === undefined) continue;
      const yaml = `gateway: { id: a }\nbuses: { b: ${bus} }\ndevices: { d: { bus: b, unit: 1, profile: ${name} } }`;
      const { config, errors: found } = readConfig(yaml, 'f.yaml', {}, undefined, shipped);
      expect(found.map(({ line }) => line)).toEqual([]);
      expect(Object.keys(config?.devices.d?.points ?? {}).length).toBeGreaterThan(1);
    }
  });
});
