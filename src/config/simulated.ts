/**
 * A real configuration on simulated devices: every bus becomes the simulator, every point a wave of values that the
 * device could hold, with the point's own names, scale and limits. Mappings, bridges and broker stay as they are.
 */
import type { Config, DeviceConfig, PointConfig, SimulatorPointConfig } from './schema.js';

type Simulation = SimulatorPointConfig['simulate'];

/** What is plausible where only the unit says what is measured; raw values of nothing else are known. */
const SPANS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  V: [215, 245],
  A: [0, 16],
  W: [0, 3500],
  Hz: [49.9, 50.1],
  '°C': [15, 30],
  '%': [20, 80],
  bar: [1, 6],
};
const SPAN: readonly [number, number] = [0, 100];
const PERIOD_MS = 60_000;

export function simulatedConfig(config: Config): Config {
  return {
    ...config,
    buses: Object.fromEntries(
      Object.keys(config.buses).map((bus) => [bus, { driver: 'simulator' as const }]),
    ),
    devices: Object.fromEntries(
      Object.entries(config.devices).map(([name, device]) => [name, simulatedDevice(device)]),
    ),
  };
}

function simulatedDevice({ bus, poll, points }: DeviceConfig): DeviceConfig {
  return {
    bus,
    poll,
    points: Object.fromEntries(Object.entries(points).map(([name, point]) => [name, simulatedPoint(point)])),
  };
}

function simulatedPoint(point: PointConfig): SimulatorPointConfig {
  if ('simulate' in point) return point;
  const {
    invert,
    enum: names,
    flags,
    rate,
    scale,
    offset,
    table,
    raw_unit,
    unit,
    valid,
    clamp,
    smooth,
    resolution,
    poll,
  } = point;
  const kept = {
    invert,
    enum: names,
    flags,
    rate,
    scale,
    offset,
    table,
    raw_unit,
    unit,
    valid,
    clamp,
    smooth,
    resolution,
    poll,
  };
  const writable = 'writable' in point && point.writable === true;
  const { min, max } = point as { readonly min?: number; readonly max?: number };
  return {
    ...(Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as typeof kept),
    simulate: simulationOf(point),
    writable,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

function simulationOf(point: PointConfig): Simulation {
  const base: Simulation = {
    wave: 'sine',
    min: 0,
    max: 1,
    period: PERIOD_MS,
    noise: 0,
    decimals: 6,
    type: 'number',
    dropout: 0,
  };
  if (isSwitch(point)) return { ...base, wave: 'square', type: 'boolean' };
  if (point.enum !== undefined) {
    const codes = Object.keys(point.enum).map(Number);
    return { ...base, wave: 'ramp', min: Math.min(...codes), max: Math.max(...codes), type: 'integer' };
  }
  if (point.flags !== undefined) {
    const bits = Object.keys(point.flags).map(Number);
    return { ...base, wave: 'ramp', max: 2 ** Math.min(Math.max(...bits) + 1, 31) - 1, type: 'integer' };
  }
  if (point.rate !== undefined || ('count' in point && point.count !== undefined)) {
    return { ...base, wave: 'ramp', max: 10_000, period: 60 * PERIOD_MS, type: 'integer' };
  }
  const [least, most] = heldSpan(point);
  // A curve says itself what is read.
  return { ...base, min: least, max: most, type: isWhole(point) ? 'integer' : 'number' };
}

/** True or false, as the device has it. */
function isSwitch(point: PointConfig): boolean {
  if (point.enum !== undefined || point.flags !== undefined) return false;
  if ('gpio' in point) return !('count' in point && point.count !== undefined);
  if ('bit' in point && point.bit !== undefined) return /^\d+$/.test(String(point.bit));
  return 'type' in point && point.type === 'bool';
}

/** The span of what the device holds: what the point is worth, before its scale and offset. */
function heldSpan(point: PointConfig): readonly [number, number] {
  if (point.table !== undefined)
    return [point.table.points[0]?.[0] ?? 0, point.table.points.at(-1)?.[0] ?? 1];
  const { min, max } = point as { readonly min?: number; readonly max?: number };
  const [usualLeast, usualMost] = SPANS[point.raw_unit ?? point.unit ?? ''] ?? SPAN;
  const least = min ?? point.valid?.min ?? usualLeast;
  const most = max ?? point.valid?.max ?? Math.max(usualMost, least + 1);
  const { scale = 1, offset = 0 } = point;
  const held = [least, most].map((worth) => (worth - offset) / scale);
  return [Math.min(...held), Math.max(...held)];
}

function isWhole(point: PointConfig): boolean {
  return 'register' in point && !(point.type ?? 'uint16').startsWith('float');
}
