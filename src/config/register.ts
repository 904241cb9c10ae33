/** Modbus registers as the configuration names them: `holding/100` with its type. */
import type { ModbusPointConfig } from './schema.js';

export type RegisterTable = 'holding' | 'input' | 'coil' | 'discrete';
export type RegisterType = NonNullable<ModbusPointConfig['type']>;

export interface Register {
  readonly table: RegisterTable;
  /** Counted from 0. */
  readonly address: number;
}

/** Undefined where the text is no register. */
export function parseRegister(text: string): Register | undefined {
  const match = /^(holding|input|coil|discrete)\/(\d{1,5})$/.exec(text);
  const address = Number(match?.[2]);
  return match === null || address > 65_535 ? undefined : { table: match[1] as RegisterTable, address };
}

export function isBitTable(table: RegisterTable): boolean {
  return table === 'coil' || table === 'discrete';
}

export function defaultType(table: RegisterTable): RegisterType {
  return isBitTable(table) ? 'bool' : 'uint16';
}

/** How many registers, or coils, one value takes. */
export function widthOf(type: RegisterType): number {
  if (type.endsWith('64')) return 4;
  return type.endsWith('32') ? 2 : 1;
}
