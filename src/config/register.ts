/**
 * Modbus registers as the configuration names them: `holding/100`, or a Modicon number, whose first digit is the
 * table and which counts from 1.
 *
 *   40101, 400101 ──▶ holding/100      30001 ──▶ input/0      10013 ──▶ discrete/12      "00004" ──▶ coil/3
 */
import type { ModbusPointConfig } from './schema.js';

export type RegisterTable = 'holding' | 'input' | 'coil' | 'discrete';
export type RegisterType = NonNullable<ModbusPointConfig['type']>;

export interface Register {
  readonly table: RegisterTable;
  /** Counted from 0. */
  readonly address: number;
}

const MODICON_TABLES: Readonly<Record<string, RegisterTable>> = {
  '0': 'coil',
  '1': 'discrete',
  '3': 'input',
  '4': 'holding',
};

/**
 * Undefined where it is no register. `base` is what the device's document counts from in `holding/N`; Modicon
 * numbers count from 1 whatever it says.
 */
export function parseRegister(written: string | number, base: 0 | 1 = 0): Register | undefined {
  const text = String(written);
  const named = /^(holding|input|coil|discrete)\/(\d{1,5})$/.exec(text);
  if (named !== null) return register(named[1] as RegisterTable, Number(named[2]) - base);
  const modicon = /^([0134])(\d{4,5})$/.exec(text);
  if (modicon === null) return undefined;
  return register(MODICON_TABLES[modicon[1] as string] as RegisterTable, Number(modicon[2]) - 1);
}

export function isBitTable(table: RegisterTable): boolean {
  return table === 'coil' || table === 'discrete';
}

/** What a point is where it names no type. */
export function typeOf(
  point: Pick<ModbusPointConfig, 'type' | 'length'>,
  table: RegisterTable,
): RegisterType {
  if (isBitTable(table)) return point.type ?? 'bool';
  return point.type ?? (point.length === undefined ? 'uint16' : 'string');
}

/** How many registers, or coils, one value takes; `length` is that of a string, in bytes. */
export function widthOf(type: RegisterType, length = 1): number {
  if (type === 'string') return Math.ceil(length / 2);
  if (type.endsWith('64')) return 4;
  return type.endsWith('32') ? 2 : 1;
}

/** The bits that a point takes of its number: `3`, or `4-7`; undefined where the text is neither. */
export function parseBits(bit: number | string): { readonly from: number; readonly to: number } | undefined {
  if (typeof bit === 'number') return { from: bit, to: bit };
  const match = /^(\d{1,2})-(\d{1,2})$/.exec(bit);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  return match === null || from > to ? undefined : { from, to };
}

/** Where Modbus itself has it, so that Modicon numbers and a base of 1 can be checked against a document. */
export function registerSource(point: ModbusPointConfig, base: 0 | 1 = 0): string {
  const register = parseRegister(point.register, base);
  if (register === undefined) return String(point.register);
  const type = point.type ?? (point.length === undefined ? '' : 'string');
  const bit = point.bit === undefined ? '' : ` bit ${point.bit}`;
  return `${register.table}/${register.address} ${type}`.trimEnd() + bit;
}

function register(table: RegisterTable, address: number): Register | undefined {
  return address >= 0 && address <= 65_535 ? { table, address } : undefined;
}
