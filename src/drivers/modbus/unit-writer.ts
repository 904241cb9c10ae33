/**
 * Writes to one device, one at a time with all that belongs to them: what must be known first, the write, and what
 * the device holds afterwards.
 *
 *   changeFor ──unfit──▶ refused, nothing sent
 *      │ scale register, or the register's other bits: read first
 *      ▼
 *   write ──▶ answered ──▶ read back ──same──▶ ok         ──other──▶ mismatch, with what it holds
 *         ──▶ refused                                        silent ──▶ read back: it may have obeyed all the same
 *
 * A write is never repeated by itself: the device may have obeyed the first, and not every register forgives a second.
 */

import type { Value } from '../../core/value.js';
import { worth } from '../meaning.js';
import { refuseWrite, UnfitValue, type WriteResult } from '../write-result.js';
import type { Asker, Wire } from './asker.js';
import type { Outcome } from './exchange.js';
import { exceptionName, type Question } from './pdu.js';
import { exponentIn, type ModbusPoint, rawIn, valueIn } from './point.js';
import {
  type Change,
  changeFor,
  checkValue,
  coilQuestion,
  isChanged,
  maskFor,
  merged,
  registersQuestion,
} from './point-write.js';

const EXCEPTION_ILLEGAL_FUNCTION = 1;

export interface UnitWriterParts {
  readonly device: string;
  readonly points: readonly ModbusPoint[];
  readonly asker: Asker;
  readonly retries: number;
}

export class UnitWriter {
  readonly #parts: UnitWriterParts;
  readonly #byName = new Map<string, ModbusPoint>();
  /** It does not know function 22: registers are read, changed and written whole. */
  #noMask = false;

  constructor(parts: UnitWriterParts) {
    this.#parts = parts;
    for (const point of parts.points) this.#byName.set(point.name, point);
  }

  async write(name: string, value: Value): Promise<WriteResult> {
    const point = this.#byName.get(name);
    const path = `${this.#parts.device}/${name}`;
    if (point === undefined) return refuseWrite('unknown', `there is no point ${path}`);
    if (point.config.writable !== true) return refuseWrite('not writable', `${path} is not writable`);
    try {
      checkValue(point, value);
      return await this.#parts.asker.hold(true, (wire) => this.#write(wire, point, value));
    } catch (fault) {
      if (fault instanceof UnfitValue) return refuseWrite(fault.fault, `${path}: ${fault.message}`);
      throw fault;
    }
  }

  async #write(wire: Wire, point: ModbusPoint, value: Value): Promise<WriteResult> {
    let exponent = 0;
    if (point.scaleAddress !== undefined) {
      const outcome = await this.#read(wire, point);
      if (outcome.kind !== 'data') return failed(outcome, 'its scale register could not be read');
      const read = exponentIn(point.scaleAddress, outcome.bytes, point.address);
      if (read === undefined || Math.abs(read) > 10)
        return refuseWrite('out of range', 'its scale register holds no scale factor');
      exponent = read;
    }
    const change = changeFor(point, value, exponent);
    const outcome = await this.#carryOut(wire, point, change);
    switch (outcome.kind) {
      case 'sent':
        return { ok: true, value, verified: false };
      case 'exception':
      case 'broken':
        return failed(outcome, 'the write');
      case 'data':
        if (point.config.read_back === false) return { ok: true, value, verified: false };
        return this.#verify(wire, point, change, value, undefined);
      case 'silent':
        return this.#verify(wire, point, change, value, outcome.why);
    }
  }

  async #carryOut(wire: Wire, point: ModbusPoint, change: Change): Promise<Outcome> {
    const { asker } = this.#parts;
    if (change.kind === 'coil') return asker.ask(coilQuestion(point, change.on), wire);
    if (change.kind === 'whole') return asker.ask(registersQuestion(point, change.bytes), wire);
    const wanted = point.config.write_function;
    const mask: Question | undefined =
      this.#noMask || (wanted !== undefined && wanted !== 22) ? undefined : maskFor(point, change);
    if (mask !== undefined) {
      const outcome = await asker.ask(mask, wire);
      const isUnknown = outcome.kind === 'exception' && outcome.code === EXCEPTION_ILLEGAL_FUNCTION;
      if (!isUnknown || wanted === 22) return outcome;
      this.#noMask = true;
    }
    const present = await this.#read(wire, point);
    if (present.kind !== 'data') return present;
    return asker.ask(
      registersQuestion(point, merged(change, rawIn(point, present.bytes, point.address))),
      wire,
    );
  }

  /** @param silence why the write had no answer, where it had none */
  async #verify(
    wire: Wire,
    point: ModbusPoint,
    change: Change,
    wanted: Value,
    silence: string | undefined,
  ): Promise<WriteResult> {
    const outcome = await this.#read(wire, point);
    if (outcome.kind !== 'data') {
      if (silence !== undefined) {
        return refuseWrite(
          'timeout',
          `no answer (${silence}): it is not known whether the value was written`,
        );
      }
      // It obeyed, and gives nothing to read: a register for commands alone.
      if (outcome.kind === 'exception') return { ok: true, value: wanted, verified: false };
      return failed(outcome, 'the write was confirmed, but reading back');
    }
    const holds = valueIn(point, outcome.bytes, point.address);
    const value = typeof holds === 'object' ? undefined : worth(point.config, holds);
    if (isChanged(change, rawIn(point, outcome.bytes, point.address))) {
      return { ok: true, value: value ?? wanted, verified: true };
    }
    const now = value === undefined ? 'no value' : String(value);
    return {
      ok: false,
      fault: silence === undefined ? 'mismatch' : 'timeout',
      error:
        silence === undefined
          ? `the device confirmed the write and holds ${now} all the same`
          : `no answer (${silence}), and the device holds ${now}`,
      ...(value === undefined ? {} : { value }),
    };
  }

  #read(wire: Wire, { table, address, width }: ModbusPoint): Promise<Outcome> {
    const { asker, retries } = this.#parts;
    return asker.read({ table, start: address, count: width }, { retries, held: wire });
  }
}

function failed(outcome: Outcome, what: string): WriteResult {
  switch (outcome.kind) {
    case 'exception':
      return refuseWrite('refused', `the device refused ${what}: ${exceptionName(outcome.code)}`);
    case 'silent':
      return refuseWrite('timeout', `${what}: no answer (${outcome.why})`);
    case 'broken':
      return refuseWrite(outcome.why === 'stopped' ? 'stopped' : 'bus down', `${what}: ${outcome.why}`);
    default:
      return refuseWrite('refused', what);
  }
}
