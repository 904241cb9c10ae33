/**
 * A point of the configuration as the driver needs it: which table, what is read at once, and how its bytes become
 * a value. Pure.
 *
 *   bytes ──layout──▶ number ──no value?──▶ bad        its bits, where the point is about some
 *                            └─× 10^exponent of the scale register, where there is one
 *
 * Names, scale and offset are the mapping's; `meaning.ts` has them for single values.
 */

import { parseBits, parseRegister, registerSource, typeOf } from '../../config/register.js';
import type { DeviceConfig, ModbusPointConfig, PointConfig } from '../../config/schema.js';
import { GodwitError } from '../../core/error.js';
import { makeScale } from '../../core/scale.js';
import type { Value } from '../../core/value.js';
import { decodeBit, decodeRegisters, exact, type NoValue } from './decode.js';
import { type Layout, layoutOf } from './layout.js';

export type Table = 'holding' | 'input' | 'coil' | 'discrete';

export interface ModbusPoint {
  readonly name: string;
  readonly table: Table;
  /** What is read at once: the value, with its scale register where it has one. */
  readonly address: number;
  /** In registers, or in bits for coil and discrete. */
  readonly width: number;
  readonly pollMs: number;
  readonly layout: Layout;
  /** First register of the value itself. */
  readonly valueAddress: number;
  readonly scaleAddress?: number;
  readonly notValues?: ReadonlySet<Value>;
  readonly bits?: { readonly from: number; readonly to: number };
  readonly config: ModbusPointConfig;
  readonly source: string;
}

/** One past the last address of every table. */
export const ADDRESS_END = 0x1_0000;

const NOT_AVAILABLE: NoValue = { reason: 'not available' };
const WRONG_SCALE: NoValue = { reason: 'wrong scale factor' };
/** SunSpec: this exponent says that the value does not exist. */
const NO_EXPONENT = -0x8000;
const EXPONENT_MAX = 10;

export function isBits(table: Table): boolean {
  return table === 'coil' || table === 'discrete';
}

/** Throws a GodwitError `CONFIG` that names the point where it cannot be read. */
export function modbusPoints(device: string, config: DeviceConfig): ModbusPoint[] {
  return Object.entries(config.points).map(([name, point]) => modbusPoint(device, name, point, config));
}

/** The point's value from the bytes of a block that begins at `start`: as the device means it, before scale and offset. */
export function valueIn(point: ModbusPoint, bytes: Uint8Array, start: number): Value | NoValue {
  const { layout, table } = point;
  if (isBits(table)) return decodeBit(bytes, point.address - start);
  const wire = rawIn(point, bytes, start);
  const decoded = decodeRegisters(wire, layout);
  if (typeof decoded === 'object') return decoded;
  if (point.notValues?.has(decoded) === true) return NOT_AVAILABLE;
  if (point.scaleAddress === undefined) return bitsOf(point, decoded);
  return scaled(decoded, exponentIn(point.scaleAddress, bytes, start));
}

/** The registers of the value itself, as the wire had them; of a coil its bit, as a byte. */
export function rawIn(point: ModbusPoint, bytes: Uint8Array, start: number): Uint8Array {
  if (isBits(point.table)) return Uint8Array.of(decodeBit(bytes, point.address - start) ? 1 : 0);
  const from = (point.valueAddress - start) * 2;
  return bytes.subarray(from, from + point.layout.registers * 2);
}

/** The SunSpec exponent in a block; undefined: it says that there is none. */
export function exponentIn(address: number, bytes: Uint8Array, start: number): number | undefined {
  const at = (address - start) * 2;
  const exponent = (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16)) >> 16;
  return exponent === NO_EXPONENT ? undefined : exponent;
}

function modbusPoint(device: string, name: string, config: PointConfig, of: DeviceConfig): ModbusPoint {
  if (!isModbus(config)) {
    throw refused(device, name, 'has no register; a point on a Modbus bus needs one, such as holding/100');
  }
  const register = parseRegister(config.register, of.address_base);
  if (register === undefined) throw refused(device, name, `has register ${config.register}, which is none`);
  const { table, address: valueAddress } = register;
  const type = typeOf(config, table);
  if (isBits(table) && type !== 'bool') {
    throw refused(device, name, `has type ${type}; a ${table} is one bit, so its type is bool`);
  }
  const layout = layoutOf({
    type,
    wordOrder: config.word_order,
    byteOrder: config.byte_order,
    order: config.order,
    byte: config.byte,
    length: config.length,
  });
  const scale =
    config.scale_register === undefined ? undefined : parseRegister(config.scale_register, of.address_base);
  if (scale !== undefined && scale.table !== table) {
    throw refused(
      device,
      name,
      `has its scale register in another table, so that they cannot be read at once`,
    );
  }
  const end = Math.max(valueAddress + layout.registers, (scale?.address ?? 0) + 1);
  const address = Math.min(valueAddress, scale?.address ?? valueAddress);
  const width = scale === undefined ? layout.registers : end - address;
  if (address + width > ADDRESS_END) {
    throw refused(device, name, `ends beyond address 65535, the last that Modbus has`);
  }
  const bits = config.bit === undefined ? undefined : parseBits(config.bit);
  return {
    name,
    table,
    address,
    width,
    pollMs: config.poll ?? of.poll,
    layout,
    valueAddress,
    ...(scale && { scaleAddress: scale.address }),
    ...(config.nan !== undefined && { notValues: notValues([config.nan].flat(), layout) }),
    ...(bits && { bits }),
    config,
    source: registerSource(config, of.address_base),
  };
}

/** The bits of a number that the point is about. */
function bitsOf({ bits }: ModbusPoint, value: Value): Value {
  if (bits === undefined || typeof value === 'string') return value;
  const taken = (BigInt(value) >> BigInt(bits.from)) & (2n ** BigInt(bits.to - bits.from + 1) - 1n);
  return bits.from === bits.to ? taken === 1n : exact(taken);
}

/** In decimals: 2215 with exponent -1 is 221.5, and nothing near it. */
function scaled(value: Value, exponent: number | undefined): Value | NoValue {
  if (exponent === undefined) return NOT_AVAILABLE;
  if (Math.abs(exponent) > EXPONENT_MAX) return WRONG_SCALE;
  if (exponent === 0 || typeof value === 'boolean' || typeof value === 'string') return value;
  return makeScale(Number(`1e${exponent}`))?.(value) ?? value;
}

/** As the number that it is, and as the bits that it is made of: documents say both -32768 and 0x8000. */
function notValues(written: readonly (number | string)[], { type, registers }: Layout): Set<Value> {
  const values = new Set<Value>();
  const bits = type === 'int8' ? 8 : registers * 16;
  for (const each of written) {
    if (typeof each === 'number' && !Number.isInteger(each)) {
      values.add(each);
      continue;
    }
    const whole = String(each).startsWith('-') ? -BigInt(String(each).slice(1)) : BigInt(each);
    values.add(exact(whole));
    if (type.startsWith('int')) values.add(exact(BigInt.asIntN(bits, whole)));
  }
  return values;
}

function isModbus(config: PointConfig): config is ModbusPointConfig {
  return 'register' in config;
}

function refused(device: string, point: string, what: string): GodwitError {
  return new GodwitError('CONFIG', `devices.${device}.points.${point} ${what}`, { device, point });
}
