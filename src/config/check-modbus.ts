/** A Modbus device and its points: what its registers, types and the ways to read and write them allow together. */
import type { Path } from './config-error.js';
import { modbusPointSchema } from './modbus-schema.js';
import {
  isBitTable,
  parseBits,
  parseRegister,
  type Register,
  type RegisterType,
  typeOf,
  widthOf,
} from './register.js';
import type { Report } from './report.js';
import type { ModbusPointConfig } from './schema.js';
import { entriesAt, nodeAt, plainValue, type Tree } from './tree.js';

const INTEGERS = new Set<RegisterType>([
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bcd16',
  'bcd32',
]);
const SERIAL = new Set(['modbus-rtu', 'modbus-ascii', 'modbus-rtu-over-tcp']);
const ONE_WAY = ['rate', 'table', 'smooth'] as const;
/** What fits in one reply. */
const REGISTERS_MAX = 125;

/** Keys of a device that only Modbus has. */
export const MODBUS_DEVICE_KEYS = ['unit', 'address_base', 'max_registers', 'max_bits', 'gap', 'frame_gap'];

export function checkModbusDevice(report: Report, path: Path, device: Tree, driver: string): void {
  const unit = nodeAt(device, ['unit']);
  if (unit === undefined) {
    report.missing([...path, 'unit'], "unit, the device's Modbus unit (slave) number");
    return;
  }
  const number = unit.kind === 'scalar' ? unit.value : undefined;
  if (!SERIAL.has(driver) || typeof number !== 'number') return;
  // 248 to 255 are reserved on a serial line.
  if (number > 247 && number <= 255) {
    report.at(
      [...path, 'unit'],
      `found ${number}, allowed on a serial bus: a whole number from 1 to 247, or 0 for broadcast`,
    );
  }
  if (number !== 0) return;
  for (const [point, node] of entriesAt(device, ['points'])) {
    if (valueAt(node, 'writable') === true) continue;
    report.at(
      [...path, 'points', point],
      'found a point to read on unit 0, the broadcast address, which nobody answers; allowed: writable: true',
    );
  }
}

export function checkModbusPoint(report: Report, path: Path, tree: Tree, device: Tree): void {
  // Each key alone is judged by the schema; here only what is right alone counts.
  const point: Partial<ModbusPointConfig> = {};
  for (const [key, node] of entriesAt(tree, [])) {
    const schema = modbusPointSchema.shape[key as keyof ModbusPointConfig];
    const parsed = schema?.safeParse(plainValue(node));
    if (parsed?.success === true) Object.assign(point, { [key]: parsed.data });
  }
  const base = valueAt(device, 'address_base') === 1 ? 1 : 0;
  const register = registerOf(report, path, point, 'register', base);
  if (register === undefined) return;
  const type = typeOf(point, register.table);
  const check = new PointCheck(report, path, point, register, type);
  check.width(numberOr(valueAt(device, 'max_registers'), REGISTERS_MAX), base);
  check.reading();
  check.writing();
}

class PointCheck {
  readonly #report: Report;
  readonly #path: Path;
  readonly #point: Partial<ModbusPointConfig>;
  readonly #register: Register;
  readonly #type: RegisterType;
  readonly #bits: boolean;

  constructor(
    report: Report,
    path: Path,
    point: Partial<ModbusPointConfig>,
    register: Register,
    type: RegisterType,
  ) {
    this.#report = report;
    this.#path = path;
    this.#point = point;
    this.#register = register;
    this.#type = type;
    this.#bits = isBitTable(register.table);
  }

  width(registersMax: number, base: 0 | 1): void {
    const { table, address } = this.#register;
    const point = this.#point;
    if (this.#bits) {
      if (this.#type !== 'bool') this.#value('type', `found ${this.#type}, allowed for a ${table}: bool`);
      return;
    }
    if (this.#type === 'string' && point.length === undefined) {
      this.#report.missing([...this.#path, 'length'], 'length, that of the string in bytes');
      return;
    }
    const width = widthOf(this.#type, point.length);
    if (address + width > 65_536) {
      this.#value(
        'register',
        `found a value of type ${this.#type} that goes beyond register 65535, allowed: up to ${table}/${65_536 - width}`,
      );
    }
    const scale = registerOf(this.#report, this.#path, point, 'scale_register', base);
    if (scale === undefined) {
      if (width > registersMax) {
        this.#value(
          'register',
          `found a value of ${width} registers, but the device gives only ${registersMax} at once`,
        );
      }
      return;
    }
    const span = Math.max(address + width, scale.address + 1) - Math.min(address, scale.address);
    if (scale.table !== table) {
      this.#value(
        'scale_register',
        `found ${point.scale_register}, allowed: another register of ${table}, since both are read at once`,
      );
    } else if (span > registersMax) {
      this.#value(
        'scale_register',
        `found ${point.scale_register}, which together with the value spans ${span} registers, allowed: ${registersMax}, since both are read at once`,
      );
    }
  }

  reading(): void {
    const { bit, order, length } = this.#point;
    const type = this.#type;
    const isBool = this.#bits || type === 'bool';
    const isInteger = INTEGERS.has(type);
    const bits = bit === undefined ? undefined : parseBits(bit);
    const isFlag = bits !== undefined && bits.from === bits.to;
    this.#only('bit', !isBool && isInteger && type.startsWith('uint'), 'uint8, uint16, uint32 or uint64');
    this.#only('flags', !isBool && isInteger && bits === undefined, 'a whole number without bit');
    this.#only('enum', isBool || isInteger, 'true or false, or a whole number');
    this.#only('byte', type === 'int8' || type === 'uint8', 'int8 or uint8');
    this.#only('length', type === 'string', 'string');
    this.#only('pad', type === 'string', 'string');
    this.#only('nan', !isBool && type !== 'string', 'a number');
    for (const key of ['scale', 'offset', 'scale_register'] as const) {
      if (this.#point[key] === undefined) continue;
      if (isBool || isFlag) {
        this.#key(key, `found ${key} on a value that is true or false, allowed: only on numbers`);
      } else if (type === 'string') {
        this.#key(key, `found ${key} on a value that is text, allowed: only on numbers`);
      }
    }
    const width = type === 'string' ? 8 * (length ?? 1) : this.#bits ? 1 : bitsOf(type);
    if (bits !== undefined && bits.to >= width) {
      this.#value('bit', `found bit ${bits.to} of a value of type ${type}, allowed: 0 to ${width - 1}`);
    }
    if (order !== undefined && order.length * 8 !== 16 * widthOf(type)) {
      this.#value(
        'order',
        `found ${order.length} letters for a value of type ${type}, allowed: ${2 * widthOf(type)} letters`,
      );
    }
    this.#only('order', !isBool && type !== 'string', 'a number');
  }

  writing(): void {
    const { writable, min, max, write_function: written } = this.#point;
    const { table } = this.#register;
    if (writable === true && (table === 'input' || table === 'discrete')) {
      this.#key(
        'writable',
        `found writable on ${table === 'input' ? 'an' : 'a'} ${table} register, allowed: holding and coil; the others cannot be written`,
      );
    }
    for (const key of writable === true ? ONE_WAY : []) {
      if (this.#point[key] === undefined) continue;
      this.#key(
        key,
        `found ${key} on a point that is writable, allowed: only on points to read, since there is no way back`,
      );
    }
    if (writable !== true) {
      for (const key of ['min', 'max', 'write_function', 'read_back', 'pad'] as const) {
        if (this.#point[key] !== undefined)
          this.#key(key, `found ${key} on a point that is not writable, needed: writable: true`);
      }
    }
    if (min !== undefined && max !== undefined && min > max) {
      this.#value('min', `found min ${min} above max ${max}, allowed: min up to max`);
    }
    if (written === undefined) return;
    const allowed = this.#writeFunctions();
    if (!allowed.includes(written))
      this.#value('write_function', `found ${written}, allowed here: ${allowed.join(', ')}`);
  }

  #writeFunctions(): number[] {
    const { type } = { type: this.#type };
    if (this.#bits) return [5, 15];
    if (this.#point.bit !== undefined || type === 'int8' || type === 'uint8') return [6, 16, 22, 23];
    return widthOf(type, this.#point.length) === 1 ? [6, 16, 23] : [16, 23];
  }

  #only(key: keyof ModbusPointConfig, fits: boolean, allowed: string): void {
    if (this.#point[key] === undefined || fits) return;
    this.#key(key, `found ${key} on a value of type ${this.#type}, allowed: only on ${allowed}`);
  }

  #key(key: string, message: string): void {
    this.#report.atKey([...this.#path, key], message);
  }

  #value(key: string, message: string): void {
    this.#report.at([...this.#path, key], message);
  }
}

/** Undefined where there is none, or where it is wrong and told so. */
function registerOf(
  report: Report,
  path: Path,
  point: Partial<ModbusPointConfig>,
  key: 'register' | 'scale_register',
  base: 0 | 1,
): Register | undefined {
  const written = point[key];
  if (written === undefined) return undefined;
  const register = parseRegister(written, base);
  if (register === undefined) {
    report.at(
      [...path, key],
      `found ${written}, but the device counts from 1 (address_base: 1), allowed: from 1 on`,
    );
  }
  return register;
}

function bitsOf(type: RegisterType): number {
  return Number(/\d+$/.exec(type)?.[0] ?? 16);
}

function valueAt(tree: Tree, key: string): unknown {
  const node = nodeAt(tree, [key]);
  return node?.kind === 'scalar' ? node.value : undefined;
}

function numberOr(value: unknown, standard: number): number {
  return typeof value === 'number' ? value : standard;
}
