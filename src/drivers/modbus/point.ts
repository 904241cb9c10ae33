/** A point of the configuration as the driver needs it: which table, where, how wide, how to read its bytes. */

import type { DeviceConfig, ModbusPointConfig, PointConfig } from '../../config/schema.js';
import { GodwitError } from '../../core/error.js';
import type { Value } from '../../core/value.js';
import { type ByteLayout, decodeBit, decodeRegisters, REGISTERS } from './decode.js';

export type Table = 'holding' | 'input' | 'coil' | 'discrete';

export interface ModbusPoint {
  readonly name: string;
  readonly table: Table;
  readonly address: number;
  /** In registers, or in bits for coil and discrete. */
  readonly width: number;
  readonly pollMs: number;
  readonly layout: ByteLayout;
}

/** One past the last address of every table. */
export const ADDRESS_END = 0x1_0000;

export function isBits(table: Table): boolean {
  return table === 'coil' || table === 'discrete';
}

/** Throws a GodwitError `CONFIG` that names the point where it cannot be read. */
export function modbusPoints(device: string, config: DeviceConfig): ModbusPoint[] {
  return Object.entries(config.points).map(([name, point]) => modbusPoint(device, name, point, config.poll));
}

/** The point's value from the bytes of a block that begins at `start`; undefined: these bytes are no number. */
export function valueIn(point: ModbusPoint, bytes: Uint8Array, start: number): Value | undefined {
  const offset = point.address - start;
  if (isBits(point.table)) return decodeBit(bytes, offset);
  return decodeRegisters(bytes.subarray(offset * 2, (offset + point.width) * 2), point.layout);
}

function modbusPoint(device: string, name: string, config: PointConfig, devicePollMs: number): ModbusPoint {
  if (!isModbus(config)) {
    throw refused(device, name, 'has no register; a point on a Modbus bus needs one, such as holding/100');
  }
  const [table, digits] = config.register.split('/') as [Table, string];
  const address = Number(digits);
  const type = config.type ?? (isBits(table) ? 'bool' : 'uint16');
  if (isBits(table) && type !== 'bool') {
    throw refused(device, name, `has type ${type}; a ${table} is one bit, so its type is bool`);
  }
  const width = REGISTERS[type];
  if (address + width > ADDRESS_END) {
    throw refused(device, name, `ends beyond address 65535, the last that Modbus has`);
  }
  const layout: ByteLayout = { type, wordOrder: config.word_order, byteOrder: config.byte_order };
  return { name, table, address, width, pollMs: config.poll ?? devicePollMs, layout };
}

function isModbus(config: PointConfig): config is ModbusPointConfig {
  return 'register' in config;
}

function refused(device: string, point: string, what: string): GodwitError {
  return new GodwitError('CONFIG', `devices.${device}.points.${point} ${what}`, { device, point });
}
